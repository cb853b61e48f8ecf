"""What people say by command about a version whose file is theirs alone: kept over the file, never in it.

A command leaves a request in `state/requests/`; the engine, the one writer of everything else, takes it into the
version's record and removes it. A part of an overlay, `control` or `desired`, wins over the file until the file's own
words for that part change: who edits the file has the last word.
"""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Self

from pydantic import JsonValue, ValidationError

from turnout.api.base import JsonObject
from turnout.api.control import Control
from turnout.api.version import Desired, ModelVersion, Spec
from turnout.platform.local.folder import Folder, write_atomically
from turnout.platform.local.records import Record

REQUESTS = "requests"
PARTS = frozenset({"control", "desired"})


class TooLateError(Exception):
    """Why a request has no effect, for whoever asked. `version`: which one it was meant for, if that is still there."""

    def __init__(self, sentence: str, version: ModelVersion | None = None) -> None:
        super().__init__(sentence)
        self.version = version


class Request(Record):
    """A merge patch of `spec.control` and `spec.desired`, as a cluster would get it.

    `step`: which step a person saw that it is to end; by the time it is taken, that one may be over.
    """

    namespace: str
    name: str
    uid: str
    spec: JsonObject
    step: str = ""


def step_of(version: ModelVersion) -> str:
    """The step that runs, of the attempt that runs."""
    status = version.status
    return f"{status.attempt}.{status.step.index}" if status.step else ""


class Overlay(Record):
    """What has been said and holds; `file_…`: what the file said when it was said."""

    control: Control | None = None
    desired: Desired | None = None
    file_control: Control = Control()
    file_desired: Desired = Desired.LIVE

    @classmethod
    def of(cls, spec: Spec) -> Self:
        """Over a file that says `spec`: nothing yet."""
        return cls(file_control=spec.control, file_desired=spec.desired)

    def still_over(self, spec: Spec) -> Self:
        """Without the parts for which the file, which says `spec`, has other words than it had."""
        control = self.control if spec.control == self.file_control else None
        desired = self.desired if spec.desired == self.file_desired else None
        return type(self)(
            control=control, desired=desired, file_control=spec.control, file_desired=spec.desired
        )  # fmt: skip

    def on(self, spec: Spec) -> Spec:
        """The spec that counts."""
        parts = {"control": self.control or self.file_control, "desired": self.desired or self.file_desired}
        return spec.model_copy(update=parts)

    def said(self, request: JsonObject) -> Self:
        """With what a request says; a part that says what the file says is no longer one. May raise ValidationError."""
        control, desired = self.control or self.file_control, self.desired or self.file_desired
        if (patch := request.get("control")) is not None:
            control = Control.model_validate(_merged(control.body(), patch))
        if (word := request.get("desired")) is not None:
            desired = Desired(str(word))
        return self.model_copy(
            update={
                "control": control if control != self.file_control else None,
                "desired": desired if desired != self.file_desired else None,
            }
        )

    def __bool__(self) -> bool:
        return self.control is not None or self.desired is not None

    def notes(self) -> Iterator[str]:
        """What a person should know to hold against the file; tokens act once and need no reminder."""
        if self.desired is not None:
            yield f"desired: {self.desired} by command (its file says {self.file_desired})"
        for field in ("paused", "abort") if self.control else ():
            now, then = getattr(self.control, field), getattr(self.file_control, field)
            if now != then:
                yield f"control.{field}: {str(now).lower()} by command (its file says {str(then).lower()})"


def _merged(base: JsonValue, patch: JsonValue) -> JsonValue:
    """RFC 7386, of which null is not needed here."""
    if not (isinstance(base, Mapping) and isinstance(patch, Mapping)):
        return patch
    return {**base, **{field: _merged(base.get(field), value) for field, value in patch.items()}}


def leave(state: Path, request: Request) -> None:
    """Put a request where the engine looks; it holds once this returns, whether an engine runs or not."""
    folder = state / REQUESTS
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns()}-{os.getpid()}-{token_hex(4)}.json"
    write_atomically(folder / name, request.model_dump_json(by_alias=True))


def requests(folder: Folder) -> Iterator[tuple[str, Request | None]]:
    """Every request by its name, the eldest first; None for one that cannot be read."""
    for name, fact in folder.read_all(REQUESTS).items():
        try:
            request = Request.model_validate(fact)
        except ValidationError:
            yield name, None
        else:
            yield name, request if request.spec.keys() <= PARTS else None
