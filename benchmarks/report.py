"""One run's figures, twice: a table for people on standard output, JSON for machines where JSON=FILE asks for it."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = Mapping[str, str | int | float]


def quick() -> bool:
    """QUICK=1: fewer rounds, the same shape."""
    return os.environ.get("QUICK", "") not in {"", "0"}


def table(rows: Sequence[Row]) -> str:
    """Rows of the same keys as a Markdown table, columns aligned."""
    if not rows:
        return "(nothing was measured)"
    cells = [list(rows[0]), *([_written(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _written(value: str | int | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if math.isfinite(value) else "–"
    return str(value)


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def publish(name: str, rows: Sequence[Row], **facts: Any) -> None:
    """Print the table, and write everything to the file that JSON names."""
    print(table(rows), flush=True)
    target = os.environ.get("JSON", "")
    if target:
        machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
        content = {
            "benchmark": name,
            "at": datetime.now(UTC).isoformat(),
            "machine": machine,
            "rows": list(rows),
            **facts,
        }
        Path(target).write_text(json.dumps(content, indent=2) + "\n")
