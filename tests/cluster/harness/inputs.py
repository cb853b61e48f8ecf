"""What an image is made of, as a digest: the Dockerfile, its arguments, and those files that it copies.

Only what COPY and ADD name counts: an edit elsewhere in the repository builds nothing anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import HarnessError

_IGNORED = {"__pycache__", ".git", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache"}


def digest(*parts: str) -> str:
    """Twelve hexadecimal digits for some texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def of_build(dockerfile: Path, context: Path, target: str, arguments: Mapping[str, str]) -> str:
    """Changes when, and only when, something changes that the build can see."""
    text = dockerfile.read_text()
    ignore = context / ".dockerignore"
    parts = [text, target, json.dumps(dict(sorted(arguments.items())))]
    parts.append(ignore.read_text() if ignore.exists() else "")
    for source in sources(filled_in(text, arguments)):
        parts += [f"{path.relative_to(context)} {_digest_of(path)}" for path in _files(context, source)]
    return digest(*parts)


def filled_in(dockerfile: str, arguments: Mapping[str, str]) -> str:
    """The text with ${NAME} replaced by its build argument, or by the default that ARG gives it.

    >>> filled_in("ARG A=x\\nCOPY ${A} ${B} /", {"B": "y"})
    'ARG A=x\\nCOPY x y /'
    """
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    values = {**defaults, **arguments}
    return re.sub(r"\$\{(\w+)\}", lambda name: values.get(name[1], name[0]), dockerfile)


def sources(dockerfile: str) -> list[str]:
    """The patterns that COPY and ADD take from the build context.

    >>> sources("FROM a AS b\\nCOPY --chown=1:1 x y /z/\\nCOPY --from=b /q /q\\n")
    ['x', 'y']
    """
    found = []
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        words = line.split()
        if not words or words[0].upper() not in ("COPY", "ADD"):
            continue
        options = [word for word in words[1:] if word.startswith("--")]
        if not any(option.startswith("--from=") for option in options):
            names = words[1 + len(options) : -1]
            if names and names[0].startswith("["):
                names = json.loads(" ".join(words[1 + len(options) :]))[:-1]
            found += names
    return found


def _files(context: Path, pattern: str) -> Iterator[Path]:
    matches = [context] if pattern in (".", "./") else sorted(context.glob(pattern.strip("/")))
    if not matches:
        raise HarnessError(f"the Dockerfile copies {pattern}, and {context} has no such file")
    for match in matches:
        if match.is_file():
            yield match
        for path in sorted(match.rglob("*")) if match.is_dir() else ():
            if path.is_file() and not _IGNORED & set(path.relative_to(context).parts):
                yield path


def _digest_of(path: Path) -> str:
    mode = "x" if path.stat().st_mode & 0o111 else "-"
    return mode + hashlib.sha256(path.read_bytes()).hexdigest()
