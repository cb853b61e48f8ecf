"""The command line of everything that is generated from the models: print it, write it, or compare it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def main(render: Callable[[], str], path: str, arguments: Sequence[str] | None = None) -> int:
    """Print what `render` gives; `--write` puts it into the file, `--check` says whether the file is that."""
    parser = argparse.ArgumentParser(description=f"Generates {path} from the models.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="exit with 1 if the file is another")
    action.add_argument("--write", action="store_true", help="write the file")
    parser.add_argument("file", nargs="?", type=Path, default=Path(path))
    asked = parser.parse_args(arguments)
    text = render()
    if asked.write:
        asked.file.parent.mkdir(parents=True, exist_ok=True)
        asked.file.write_text(text, encoding="utf-8")
    elif asked.check:
        return _check(asked.file, text)
    else:
        sys.stdout.write(text)
    return 0


def _check(file: Path, text: str) -> int:
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{file} is not what the models say: generate it anew with --write\n")
    return 1
