"""From the benchmark's JSON to the page of its tables and the pictures: `python -m benchmarks.judge.document FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.judge.pictures import all_of
from benchmarks.report import table

DOCS = Path(__file__).parents[2] / "docs"
OPENING = """# The judge, measured

For those who want to know how far to trust it. Written by `make bench-judge JSON=judge.json` and
`python -m benchmarks.judge.document judge.json`; no number here is typed by hand. The words are those of
[The judge](judge.md).

Synthetic traffic, kinder than life: polls every 15 s for ten minutes, Poisson requests, lognormal latency. The tables
are made by a vectorised twin of the judge, which a test holds equal to the judge itself, poll by poll.
This run: {runs} attempts a cell where the heading says so, Python {python}, {cores} cores shared with other work; but
the table of speed is of a run by itself, on a machine that did nothing else.

A *bar* is what was asked for. That of bad requests: of the others' rules that keep alpha none serves fewer, by more
than two standard errors on the same attempts. A rule keeps alpha where none of the rows named null, but that of bursts
of pods, shows it to roll back more than 1 %; the last column asks that of the rows with a stable at 0.5 % alone.

"""


def page(run: dict[str, Any]) -> str:
    opening = OPENING.format(runs=run["runs"], python=run["machine"]["python"], cores=run["machine"]["cores"])
    sections = [f"## {title}\n\n{table(rows)}\n" for title, rows in run["tables"].items()]
    return opening + "\n".join(sections)


def main() -> None:
    run = json.loads(Path(sys.argv[1]).read_text())
    (DOCS / "judge-measured.md").write_text(page(run))
    for name, content in all_of(run["tables"]).items():
        (DOCS / name).write_text(content)


if __name__ == "__main__":
    main()
