"""A model's answer for people: a line for each row, a column for each output."""

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.view.table import render_table

MOST_ROWS = 50
MOST_VALUES = 6
MOST_LETTERS = 60


def render_answer(answer: Mapping[str, Any], milliseconds: float) -> str:
    """The table, and under it which version said so. What has no rows stands beside it."""
    outputs: Sequence[Mapping[str, Any]] = answer.get("outputs", ())
    sizes = [each["shape"][0] for each in outputs if each.get("shape")]
    rows = max(set(sizes), key=sizes.count) if sizes else 0
    in_rows = [each for each in outputs if each.get("shape") and each["shape"][0] == rows]
    lines = []
    if in_rows:
        columns = [[_shown(value) for value in _by_row(each, rows)[:MOST_ROWS]] for each in in_rows]
        numbers = [str(at) for at in range(1, min(rows, MOST_ROWS) + 1)]
        lines.append(
            render_table(
                ("ROW", *(each["name"].upper() for each in in_rows)), list(zip(numbers, *columns, strict=True))
            )
        )
    if rows > MOST_ROWS:
        lines.append(f"… and {rows - MOST_ROWS} rows more; --output json has them all")
    lines += [f"{each['name']}: {_shown(each.get('data'))}" for each in outputs if each not in in_rows]
    said = f"{answer.get('model_name', 'the model')} version {answer.get('model_version', '?')}"
    return "\n".join([*lines, f"\n{said}, {milliseconds:.0f} ms"])


def _by_row(output: Mapping[str, Any], rows: int) -> list[Any]:
    """Data is flat, row by row."""
    data = output.get("data", [])
    width = len(data) // rows if rows else 0
    return [data[at * width] if width == 1 else data[at * width : (at + 1) * width] for at in range(rows)]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        most = ", ".join(_shown(each) for each in value[:MOST_VALUES])
        return f"[{most}, … {len(value)} in all]" if len(value) > MOST_VALUES else f"[{most}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    if value is None:
        return "–"
    text = str(value).lower() if isinstance(value, bool) else " ".join(str(value).split())
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
