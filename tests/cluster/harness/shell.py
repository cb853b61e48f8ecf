"""Other programs, and what the person at the terminal is told while they run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness.errors import CommandError, HarnessError

_STARTED = time.monotonic()


def say(text: str) -> None:
    """A line of progress on stderr, with the seconds since the command began; stdout stays for answers."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Tell what took how long, once it is over."""
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.1f} s")


def run(
    *command: str | Path,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """The standard output of a program that must succeed; CommandError with all it said otherwise."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, input=stdin, cwd=cwd, env=env, timeout=timeout, text=True, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise CommandError(" ".join(words[:4]), 127, f"{words[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise CommandError(" ".join(words[:6]), 124, f"did not end within {timeout:.0f} s") from None
    if done.returncode:
        raise CommandError(" ".join(words[:6]), done.returncode, done.stdout[-2000:] + done.stderr)
    return done.stdout


def succeeds(*command: str | Path) -> bool:
    """Whether a program exists and ends with 0; for questions, not for work."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def until(what: str, true: Callable[[], bool], seconds: float = 90, every: float = 0.2) -> None:
    """Wait for a fact of the running system, and say how long it took to come true."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise HarnessError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    say(f"{what}: {time.monotonic() - began:.1f} s")
