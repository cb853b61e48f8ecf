"""Writes the table of values in the chart's README from the comments in values.yaml: neither can drift.

`python tests/chart/values_table.py` exits 1 where the table is not what they say; `--write` writes it.
It reads the comments of this one file's style: a line `# -- sentence` stands right above its key.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

CHART = Path(__file__).parent.parent.parent / "charts" / "turnout"
KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][\w-]*):")
SAYS = re.compile(r"^ *# -- (?P<sentence>.+)$")
TABLE = re.compile(r"(?P<begin><!-- values: begin.*?-->\n).*(?P<end><!-- values: end -->)", re.DOTALL)


class Value(NamedTuple):
    path: tuple[str, ...]
    default: object
    sentence: str


def described(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each described key's path with its sentence, in the order of the file."""
    parents: list[str] = []
    sentence = ""
    for line in text.splitlines():
        if said := SAYS.match(line):
            sentence = said["sentence"]
        elif found := KEY.match(line):
            parents[len(found["indent"]) // 2 :] = [found["key"]]
            if sentence:
                yield tuple(parents), sentence
            sentence = ""


def values(text: str) -> list[Value]:
    defaults = yaml.safe_load(text)

    def default(path: tuple[str, ...]) -> object:
        node = defaults
        for key in path:
            node = node[key]
        return node

    return [Value(path, default(path), sentence) for path, sentence in described(text)]


def table(rows: list[Value]) -> str:
    cells = (f"| `{'.'.join(row.path)}` | `{json.dumps(row.default)}` | {row.sentence} |" for row in rows)
    return "\n".join(("| value | default | what it does |", "|---|---|---|", *cells)) + "\n"


def main(arguments: list[str]) -> int:
    readme = CHART / "README.md"
    is_now = readme.read_text()
    rows = table(values((CHART / "values.yaml").read_text()))
    should_be = TABLE.sub(lambda found: found["begin"] + rows + found["end"], is_now)
    if "--write" in arguments:
        readme.write_text(should_be)
    elif is_now != should_be:
        print("charts/turnout/README.md is not what values.yaml says: run this again with --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
