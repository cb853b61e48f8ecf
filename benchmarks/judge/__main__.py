"""All tables of the judge: `make bench-judge`; QUICK=1 for fewer attempts, JSON=FILE for machines.

RUNS sets the attempts per cell (5 000 by default), with which the bound on false rollbacks is worth something.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.judge import asking, beside, endings, moved, slowness, speed, tables
from benchmarks.report import Row, publish, quick, table


def main() -> None:
    runs = int(os.environ.get("RUNS", "") or (500 if quick() else 5000))
    began = time.perf_counter()
    shown: dict[str, Sequence[Row]] = {}

    def show(title: str, rows: Callable[[], Sequence[Row]]) -> None:
        shown[title] = rows()
        print(f"\n## {title}\n\n{table(shown[title])}", flush=True)
        print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)

    few = max(100, runs // 10)
    show(f"Innocent: false rollbacks ({runs} attempts)", lambda: tables.innocent(runs))
    show(f"Innocent: the whole grid, worst of five base rates, % ({few} attempts)", lambda: tables.whole_grid(few))
    show(f"Guilty: errors alone, found % / median s ({few} attempts)", lambda: tables.guilty(few))
    show(f"Good: errors below 2 % ({few} attempts)", lambda: tables.good(few))
    show(f"How a step ends ({few} attempts)", lambda: endings.endings(few))
    show(f"Latency alone ({few} attempts)", lambda: slowness.slower(few))
    show(f"Drift: paused % / median s ({few} attempts)", lambda: moved.moved(few))
    show(f"Drift: whose doing ({few} attempts)", lambda: moved.the_world(few))
    show(f"Shown apart: rolled back, no bar ({few} attempts)", lambda: tables.apart(few))
    show("Speed", speed.speed)
    show("Requests a minute for evidence", asking.asking)
    for pods in (1, 3):
        cells, said = beside.looked(few, pods), f"{pods} pods a side"
        show(f"Beside others, {said}: rolled back % / median s ({few} attempts)", partial(beside.found, cells))
        show(f"Time within which 95 % are found, {said}, s ({few} attempts)", partial(beside.late, cells))
        show(f"Bad requests served until then, {said}, on average", partial(beside.served, cells))
    publish("judge", shown["Speed"], runs=runs, tables=shown, seconds=round(time.perf_counter() - began))


if __name__ == "__main__":
    main()
