"""Artifacts on this machine by their digest: pulled once, shared by every version and process, bounded in size.

    DIR/<hex>/           a whole artifact; it appears by one rename, after its last byte was verified and synced
    DIR/<hex>.partial/   one that is being pulled, or was when a process died: the next one goes on there
    DIR/<hex>.pull       locked by who pulls, so that the others wait for it and find it there
    DIR/<hex>.used       locked, shared, by every process that has it open; touched by each: the oldest goes first

Locks are the kernel's: whoever dies lets go. What is in the cache is verified again whenever it is opened.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from turnout_predictors.errors import ARTIFACT_NO_ROOM, StartError

GIB: Final = 1 << 30
DEFAULT_GIB: Final = 20.0
FILES: Final = "files"  # of a partial artifact: what is verified; beside them, by their sha256, those that come in
FOLDER_VARIABLE: Final = "TURNOUT_ARTIFACT_CACHE"
BOUND_VARIABLE: Final = "TURNOUT_ARTIFACT_CACHE_GIB"
_NO_ROOM: Final = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        *(errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR),
    }
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cache:
    """`bound`: bytes that all artifacts may have together; what is in use is never taken away for it."""

    folder: Path
    bound: int

    @classmethod
    def here(cls, environment: Mapping[str, str] | None = None) -> Cache:
        """Where this process's environment says, else where this user keeps caches."""
        given = os.environ if environment is None else environment
        usual = Path(given.get("XDG_CACHE_HOME") or Path(given.get("HOME", "/tmp")) / ".cache") / "turnout/artifacts"
        gib = given.get(BOUND_VARIABLE, "") or str(DEFAULT_GIB)
        try:
            return cls(Path(given.get(FOLDER_VARIABLE) or usual), int(float(gib) * GIB))
        except ValueError:
            raise StartError(ARTIFACT_NO_ROOM, f"{BOUND_VARIABLE} {gib!r} is no number of GiB; correct it") from None

    def whole(self, name: str) -> Path:
        return self.folder / name

    def partial(self, name: str) -> Path:
        return self.folder / f"{name}.partial"

    def hold(self, name: str) -> int:
        """Says, until this process ends or closes the descriptor, that the artifact is in use."""
        with no_room_told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = _open(self.folder / f"{name}.used")
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            os.utime(descriptor)
        return descriptor

    @contextmanager
    def pulling(self, name: str) -> Iterator[None]:
        """One process at a time; the others wait here until it is done, or dead."""
        with no_room_told(self.folder):
            descriptor = _open(self.folder / f"{name}.pull")
        try:
            if not _try_lock(descriptor):
                log.info("another process pulls the same artifact: waiting for it")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def make_room(self, size: int, name: str) -> None:
        """For `size` bytes more of artifact `name`: within the bound, and on the disk. StartError if there is none."""
        if size > self.bound:
            raise StartError(
                ARTIFACT_NO_ROOM,
                f"the artifact has {_gib(size)}, the cache in {self.folder} takes {_gib(self.bound)}; "
                f"set {BOUND_VARIABLE}",
            )
        artifacts = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(name)]
        sizes = {path: _size(path) for path in artifacts}
        had = _size(self.partial(name))
        for path in sorted(sizes, key=self._last_use):
            if sum(sizes.values()) + size <= self.bound and size - had <= self._free():
                return
            if self._evict(path):
                del sizes[path]
        if size - had > self._free():
            raise StartError(
                ARTIFACT_NO_ROOM,
                f"the artifact needs {_gib(size - had)} more in {self.folder}, {_gib(self._free())} are free; "
                f"free some, or name another folder in {FOLDER_VARIABLE}",
            )

    def finish(self, name: str) -> Path:
        """The partial artifact becomes whole, durably and in one step."""
        with no_room_told(self.folder):
            partial, whole = self.partial(name), self.whole(name)
            for folder, _, _ in os.walk(partial / FILES, topdown=False):
                sync(Path(folder))
            os.rename(partial / FILES, whole)
            sync(self.folder)
            shutil.rmtree(partial, ignore_errors=True)
        return whole

    def drop(self, name: str) -> None:
        """Neither whole nor partial any more."""
        for path in (self.whole(name), self.partial(name)):
            shutil.rmtree(path, ignore_errors=True)

    def _last_use(self, path: Path) -> float:
        with suppress(OSError):
            return (self.folder / f"{path.name.partition('.')[0]}.used").stat().st_mtime
        return 0.0

    def _free(self) -> int:
        return shutil.disk_usage(self.folder).free

    def _evict(self, path: Path) -> bool:
        """Takes away what nobody uses. It stops being an artifact first, then its bytes go."""
        descriptor = _open(self.folder / f"{path.name.partition('.')[0]}.used")
        try:
            if not _try_lock(descriptor):
                return False
            log.info("the cache is full: %s goes, which was used least recently", path.name)
            if not path.name.endswith(".evicted"):
                gone = path.with_name(f"{path.name}.evicted")
                shutil.rmtree(gone, ignore_errors=True)
                path = path.rename(gone)
            shutil.rmtree(path, ignore_errors=True)
            return True
        finally:
            os.close(descriptor)


@contextmanager
def no_room_told(folder: Path) -> Iterator[None]:
    """A disk that is full, or may not be written, in one sentence."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in _NO_ROOM:
            raise
        raise StartError(
            ARTIFACT_NO_ROOM,
            f"the cache of artifacts in {folder} cannot be written: {fault.strerror}; make room there, "
            f"or name another folder in {FOLDER_VARIABLE}",
        ) from None


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else f"{size / (1 << 20):.1f} MiB"
