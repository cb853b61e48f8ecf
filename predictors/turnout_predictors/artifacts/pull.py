"""From a store into the cache: resumed where it was cut, every byte checked on its way to the disk.

A file gets its name only when its digest is the manifest's. What was cut is asked for again from there, by this
process or the next one. Who gives up: after `Patience.attempts` in a row that brought no byte.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from turnout_predictors.errors import (
    ARTIFACT_DIGEST_MISMATCH,
    ARTIFACT_INVALID,
    ARTIFACT_UNREACHABLE,
    Interrupted,
    StartError,
)

from .cache import FILES, Cache, no_room_told, sync
from .manifest import NAME, Entry, parse, sha256_of, verify
from .storage import Source

LARGEST_MANIFEST: Final = 16 << 20
LONGEST_WAIT: Final = 30.0
PROGRESS_SECONDS: Final = 5.0
_BLOCK: Final = 1 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store may be silent. `rest` waits that many seconds."""

    attempts: int = 6
    first_seconds: float = 0.5
    rest: Callable[[float], None] = time.sleep

    def after(self, uri: str, failures: int, fault: Interrupted) -> None:
        """Waits before the next attempt; StartError after the last."""
        if failures >= self.attempts:
            raise StartError(ARTIFACT_UNREACHABLE, f"artifact {uri}: {fault}; tried {failures} times without a byte")
        log.warning("%s; going on from there", fault)
        backed_off = self.first_seconds * 2**failures * random.uniform(0.5, 1)
        self.rest(min(LONGEST_WAIT, max(fault.retry_after, backed_off)))


def pull(uri: str, source: Source, digest: str | None, cache: Cache, patience: Patience | None = None) -> Path:
    """The verified artifact in the cache; StartError says why there is none.

    `digest`: what the manifest must have; if it is in the cache, nobody is asked. Without one the manifest that lies
    there now says what is pulled.
    """
    patience = patience or Patience()
    raw = None if digest else read_manifest(uri, source, patience)
    name = digest.removeprefix("sha256:") if digest else hashlib.sha256(raw or b"").hexdigest()
    cache.hold(name)  # until this process ends
    with cache.pulling(name):
        if (whole := cache.whole(name)).is_dir():
            if _is_sound(whole, f"sha256:{name}"):
                log.info("%s is in the cache: %s", uri, whole)
                return whole
            cache.drop(name)
        if raw is None:
            raw = read_manifest(uri, source, patience)
        found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if digest and found != digest:
            raise StartError(
                ARTIFACT_DIGEST_MISMATCH,
                f"artifact {uri} has digest {found}, wanted {digest}; set artifact.digest to what was published",
            )
        return _fill(uri, source, raw, name, cache, patience)


def read_manifest(uri: str, source: Source, patience: Patience) -> bytes:
    """manifest.json as it lies there; StartError if it is larger than any."""
    failures = 0
    while True:
        held = bytearray()
        try:
            with closing(source.read(NAME)) as blocks:  # type: ignore[type-var]  # a generator, as they all are
                for block in blocks:
                    held += block
                    if len(held) > LARGEST_MANIFEST:
                        raise StartError(ARTIFACT_INVALID, f"{uri}: {NAME} has more than 16 MiB, which is no manifest")
            return bytes(held)
        except Interrupted as fault:
            failures += 1
            patience.after(uri, failures, fault)


def _is_sound(whole: Path, digest: str) -> bool:
    try:
        verify(whole, digest)
    except StartError as fault:
        log.warning("the cache holds what it should not, so it is pulled again: %s", fault.message)
        return False
    return True


def _fill(uri: str, source: Source, raw: bytes, name: str, cache: Cache, patience: Patience) -> Path:
    entries, partial = parse(raw, uri), cache.partial(name)
    size = sum(entry.size for entry in entries.values())
    cache.make_room(size + len(raw), name)
    progress = Progress(uri, size)
    log.info("pulling %s: %d files, %.1f MiB", uri, len(entries), size / _BLOCK)
    try:
        with no_room_told(cache.folder):
            _weed(partial / FILES, entries)
            for file, entry in entries.items():
                _pull_file(source, file, entry, partial, patience, progress)
            _write(partial / FILES / NAME, raw)
        whole = cache.finish(name)
    except StartError as fault:
        if fault.reason != ARTIFACT_UNREACHABLE:  # only what may still come is worth its place
            cache.drop(name)
        raise
    progress.ended()
    return whole


def _weed(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Of what a process before us left under its name, only what the manifest says: a disk may rot meanwhile."""
    for path in sorted(folder.rglob("*"), reverse=True):
        entry = entries.get(path.relative_to(folder).as_posix())
        if path.is_dir() and not path.is_symlink():
            if entry is not None:
                shutil.rmtree(path)
        elif entry is None or not stat.S_ISREG(path.lstat().st_mode) or sha256_of(path) != entry.sha256:
            log.warning("%s, left by another process, is no file of the artifact as it was published: it goes", path)
            path.unlink()


def _pull_file(source: Source, name: str, entry: Entry, partial: Path, patience: Patience, progress: Progress) -> None:
    """StartError unless the file lies in its place afterwards, whole and verified."""
    path, part = partial / FILES / name, partial / entry.sha256
    if path.exists():
        progress.had(entry.size)  # from a process before us, and verified
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    is_resumed = part.exists()
    try:
        _transfer(source, name, entry, part, patience, progress)
    except StartError as fault:
        if not (is_resumed and fault.reason == ARTIFACT_DIGEST_MISMATCH):
            raise
        part.unlink()  # the process before us died while it wrote: once more from the start
        _transfer(source, name, entry, part, patience, progress)
    part.rename(path)


class _Ended(Interrupted):
    """The store took its answer for a whole one. If it says so again and again, that is what lies there."""


def _transfer(source: Source, name: str, entry: Entry, part: Path, patience: Patience, progress: Progress) -> None:
    """Appends to `part` until it is what the manifest says."""
    sha, had = hashlib.sha256(), 0
    with part.open("a+b") as file:
        file.seek(0)
        while block := file.read(_BLOCK):
            sha.update(block)
            had += len(block)
        progress.had(had)
        failures = 0
        while had < entry.size:
            before = had
            try:
                for block in _blocks(source, name, had):
                    had += len(block)
                    if had > entry.size:
                        raise _differs(progress.uri, name, f"is longer than the {entry.size} bytes of its manifest")
                    sha.update(block)
                    file.write(block)
                    progress.came(len(block))
                if had < entry.size:
                    raise _Ended(f"{name} ended after {had} of {entry.size} bytes")
            except Interrupted as fault:
                failures = 0 if had > before else failures + 1
                if isinstance(fault, _Ended) and failures >= patience.attempts:
                    raise _differs(
                        progress.uri, name, f"ends after {had} of the {entry.size} bytes it should have"
                    ) from None
                patience.after(progress.uri, failures, fault)
        file.flush()
        os.fsync(file.fileno())
    if had != entry.size or sha.hexdigest() != entry.sha256:
        raise _differs(progress.uri, name, "differs from its manifest")


def _blocks(source: Source, name: str, start: int) -> Iterator[bytes]:
    with closing(source.read(name, start)) as blocks:  # type: ignore[type-var]  # a generator, as they all are
        yield from blocks


def _differs(uri: str, name: str, fact: str) -> StartError:
    return StartError(ARTIFACT_DIGEST_MISMATCH, f"artifact {uri}: {name} {fact}; publish or copy it again")


def _write(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    sync(path)


@dataclass
class Progress:
    """A line in the log every few seconds."""

    uri: str
    size: int
    done: int = 0
    clock: Callable[[], float] = time.monotonic
    _begun: float = field(init=False)
    _said: float = field(init=False)
    _fetched: int = 0

    def __post_init__(self) -> None:
        self._begun = self._said = self.clock()

    def had(self, size: int) -> None:
        self.done += size

    def came(self, size: int) -> None:
        self.done += size
        self._fetched += size
        now = self.clock()
        if now - self._said >= PROGRESS_SECONDS:
            self._said = now
            log.info("pulling %s: %s", self.uri, self.line(now))

    def line(self, now: float) -> str:
        """`43 % of 87.0 MiB, 12.1 MiB/s`."""
        share = 100 * self.done // self.size if self.size else 100
        rate = self._fetched / _BLOCK / max(now - self._begun, 0.001)
        return f"{share} % of {self.size / _BLOCK:.1f} MiB, {rate:.1f} MiB/s"

    def ended(self) -> None:
        now = self.clock()
        log.info("pulled %s in %.1f s: %s", self.uri, now - self._begun, self.line(now))
