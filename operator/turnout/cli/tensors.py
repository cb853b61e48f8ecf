"""What a person has in hand (a table, lines of text, JSON) becomes a V2 request by what the model declares. Pure.

`UserError` names the row and the column that do not fit.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from turnout.cli.command import UserError

Form = Literal["json", "table", "text"]
Json = dict[str, Any]
Row = Mapping[str, Any]
Declared = Sequence[Mapping[str, Any]]
SUFFIXES: Mapping[str, Form] = {".json": "json", ".csv": "table", ".tsv": "table"}
TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def form_of(name: str, content: str) -> Form:
    """By the file's name; of standard input by its first character."""
    for suffix, form in SUFFIXES.items():
        if name.lower().endswith(suffix):
            return form
    return "json" if name == "-" and content.lstrip()[:1] in ("{", "[") else "text"


def request_of(content: str, form: Form, inputs: Declared) -> tuple[Json, tuple[str, ...]]:
    """The V2 request, and the columns that the model does not take."""
    if form == "text":
        return _of_texts(content.splitlines(), inputs), ()
    if form == "table":
        return _of_table(content, inputs)
    try:
        document = json.loads(content)
    except ValueError as fault:
        raise UserError(f"the input is not JSON: {fault}") from None
    if isinstance(document, dict) and "inputs" in document:
        return document, ()
    rows = document if isinstance(document, list) else [document]
    if rows and all(isinstance(row, dict) for row in rows):
        return _of_rows(rows, inputs)
    if rows and all(isinstance(row, str) for row in rows):
        return _of_texts(rows, inputs), ()
    return _of_vectors(rows, inputs), ()


def _of_texts(lines: Sequence[str], inputs: Declared) -> Json:
    """A row for each line that holds something."""
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise UserError("there is no text: every line is empty")
    takers = [each for each in inputs if each["datatype"] == "BYTES"]
    if len(takers) != 1:
        raise UserError(f"lines of text need a model with exactly one input of text; this one takes {_names(inputs)}")
    return {"inputs": [_tensor(takers[0], texts)]}


def _of_table(content: str, inputs: Declared) -> tuple[Json, tuple[str, ...]]:
    """By the heads of its columns; a table of numbers alone also without heads, where one input takes them all."""
    lines = [line for line in csv.reader(io.StringIO(content), _dialect(content)) if any(cell.strip() for cell in line)]
    if not lines:
        raise UserError("the table is empty")
    heads, *body = lines
    if len(inputs) == 1 and len(inputs[0]["shape"]) == 2 and inputs[0]["name"] not in heads:
        body = body if any(_number(cell) is None for cell in heads) else lines
        vectors = [
            [_cell(cell, inputs[0], row, str(at + 1)) for at, cell in enumerate(line)] for row, line in _numbered(body)
        ]
        return _of_vectors(vectors, inputs), ()
    wrong = next((row for row, line in _numbered(body) if len(line) != len(heads)), None)
    if wrong is not None:
        raise UserError(f"row {wrong} of the table has another number of columns than its head")
    return _of_rows([dict(zip(heads, line, strict=True)) for line in body], inputs)


def _dialect(content: str) -> type[csv.Dialect]:
    """Of three common ones, the one whose mark stands in the first line most often."""
    first = content.partition("\n")[0]
    mark = max(",;\t", key=first.count)

    class Chosen(csv.excel):
        delimiter = mark

    return Chosen


def _numbered(lines: Sequence[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(lines, 1))


def _of_rows(rows: Sequence[Row], inputs: Declared) -> tuple[Json, tuple[str, ...]]:
    columns = dict.fromkeys(name for row in rows for name in row)
    taken = [each for each in inputs if each["name"] in columns]
    if not rows or not taken:
        raise UserError(f"the columns are {', '.join(columns) or 'none'}; the model takes {_names(inputs)}")
    tensors = [
        _tensor(each, [_cell(row.get(each["name"]), each, at, each["name"]) for at, row in _numbered(rows)])
        for each in taken
    ]
    return {"inputs": tensors}, tuple(name for name in columns if name not in {each["name"] for each in taken})


def _of_vectors(rows: Sequence[Any], inputs: Declared) -> Json:
    if len(inputs) != 1 or not rows:
        raise UserError(f"rows without names need a model with one input; this one takes {_names(inputs)}")
    return {"inputs": [_tensor(inputs[0], rows)]}


def _tensor(declared: Mapping[str, Any], rows: Sequence[Any]) -> Json:
    """Its shape is the rows' own, and `[N, 1]` where the model wants that of single values."""
    shape, level = [len(rows)], rows[0] if rows else None
    while isinstance(level, list):
        shape, level = [*shape, len(level)], level[0] if level else None
    data = list(rows)
    if len(shape) == 1 and len(declared["shape"]) == 2 and declared["shape"][1] in (1, -1):
        shape = [*shape, 1]
    return {"name": declared["name"], "datatype": declared["datatype"], "shape": shape, "data": data}


def _cell(value: Any, declared: Mapping[str, Any], row: int, column: str) -> Any:
    """A cell of text as the datatype has it; empty is null, which means a missing number."""
    datatype = str(declared["datatype"])
    if datatype == "BYTES" or not isinstance(value, str):
        return "" if value is None and datatype == "BYTES" else value
    if not value.strip():
        return None
    fits = TRUTHS.get(value.strip().lower()) if datatype == "BOOL" else _number(value)
    if fits is None or (datatype.removeprefix("U").startswith("INT") and not isinstance(fits, int)):
        raise UserError(f"row {row}, column {column}: {value.strip()!r} is no {datatype}")
    return fits


def _number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _names(inputs: Declared) -> str:
    return (
        ", ".join(f"{each['name']} ({each['datatype']} {list(each['shape'])})" for each in inputs) or "nothing declared"
    )
