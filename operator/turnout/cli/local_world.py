"""A local engine, by what it has written down in its folder; it is asked by requests that it finds there."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from turnout.api.base import JsonObject
from turnout.api.control import PromoteMode
from turnout.api.moments import moment
from turnout.api.version import ModelVersion
from turnout.cli.command import UserError
from turnout.cli.worlds import ChangedMeanwhileError
from turnout.platform.local.overlay import Overlay, Request, leave, step_of
from turnout.view.tree import Clients, Traffic, Tree, tree_of


class _Version(BaseModel):
    object: ModelVersion
    file: str = ""
    overlay: Overlay | None = None


class _Counts(BaseModel):
    requests: int = 0
    failed: int = 0
    repeated: int = 0
    unrepeated: int = 0


class _Model(BaseModel):
    requests: int = 0
    errors: int = 0
    versions: Mapping[str, _Counts] = {}


class Holder(BaseModel):
    """Who has the folder of a local engine, as its lock says. `trouble`: why it can remember nothing new."""

    pid: int
    since: AwareDatetime
    trouble: str = ""


class _Engine(BaseModel):
    trouble: str | None = None
    problems: tuple[str, ...] = ()


TRAFFIC = TypeAdapter(dict[str, _Model])


class LocalWorld:
    """The engine that has, or last had, a folder."""

    def __init__(self, folder: Path, namespace: str | None = None) -> None:
        if not (folder / "state").is_dir():
            raise UserError(f"{folder} is no folder of a local engine; start one: turnout up FILE…")
        self._folder = folder
        self._namespace = namespace or None

    @property
    def place(self) -> str:
        return f"local engine in {self._folder}"

    @property
    def caution(self) -> str:
        if holder(self._folder) is None:
            return "no engine runs here: it takes effect when turnout up is started in this folder again"
        return ""

    def versions(self) -> tuple[ModelVersion, ...]:
        here = (record.object for record in _records(self._folder))
        return tuple(version for version in here if self._namespace in (None, version.namespace))

    def version(self, version: ModelVersion) -> ModelVersion | None:
        return next((each for each in self.versions() if each.uid == version.uid), None)

    def tree(self) -> Tree:
        return local_tree(self._folder, self._namespace)

    def change(self, version: ModelVersion, spec: JsonObject) -> None:
        """Never in the file, which is its owner's: over it, see `platform.local.overlay`."""
        step = step_of(version) if _ends_a_step(spec) else ""
        now = self.version(version)
        if now is None or (step and step != step_of(now)):
            raise ChangedMeanwhileError(version.name)
        request = Request(namespace=version.namespace, name=version.name, uid=version.uid, spec=spec, step=step)
        try:
            leave(self._folder / "state", request)
        except OSError as fault:
            sentence = f"{self._folder} cannot be written: {fault.strerror or fault}; make room, or ask as its owner"
            raise UserError(sentence) from None


def _ends_a_step(spec: JsonObject) -> bool:
    control = spec.get("control")
    promote = control.get("promote") if isinstance(control, dict) else None
    return isinstance(promote, dict) and promote.get("mode") == PromoteMode.NEXT_STEP


def local_tree(folder: Path, namespace: str | None = None) -> Tree:
    """The tree as the folder has it now."""
    records = [record for record in _records(folder) if namespace in (None, record.object.namespace)]
    try:
        traffic = TRAFFIC.validate_python(_read(folder / "state" / "traffic.json"))
        engine = _Engine.model_validate(_read(folder / "state" / "engine.json"))
    except ValidationError as fault:
        raise _of_another_release(folder, fault) from None
    held = holder(folder)
    troubles = (engine.trouble, held.trouble if held else None)
    return tree_of(
        [record.object for record in records],
        traffic=dict(_counts(traffic)),
        source=_source(folder, held),
        clients=_clients(traffic),
        problems=tuple(trouble for trouble in troubles if trouble) + engine.problems,
        notes=_notes(records),
    )


def _records(folder: Path) -> list[_Version]:
    if (folder / "state" / "versions.json").exists():
        raise UserError(f"{folder} was written by an earlier release: start turnout up there once, it takes all over")
    files = sorted((folder / "state" / "versions").glob("*.json"))
    try:
        return [_Version.model_validate(found) for file in files if (found := _read(file))]
    except ValidationError as fault:
        raise _of_another_release(folder, fault) from None


def _of_another_release(folder: Path, fault: ValidationError) -> UserError:
    said = fault.errors()[0]["msg"]
    return UserError(f"{folder} was written by another release: {said}; start turnout up there anew")


def _read(file: Path) -> object:
    """One file of the state; an engine that has just begun has none."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _counts(traffic: Mapping[str, _Model]) -> Iterator[tuple[tuple[str, str], Traffic]]:
    for key, model in traffic.items():
        namespace = key.partition("/")[0]
        for name, counts in model.versions.items():
            requests = counts.requests + counts.repeated
            yield (namespace, name), Traffic(requests, counts.repeated, counts.failed, counts.unrepeated)


def _clients(traffic: Mapping[str, _Model]) -> Clients | None:
    requests = sum(model.requests for model in traffic.values())
    return Clients(requests, sum(model.errors for model in traffic.values())) if requests else None


def _notes(records: list[_Version]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """What commands have said over the files, by (namespace, name)."""
    said = {(each.object.namespace, each.object.name): each.overlay for each in records}
    return {key: tuple(overlay.notes()) for key, overlay in said.items() if overlay}


def holder(folder: Path) -> Holder | None:
    """The engine that is at work in the folder."""
    try:
        found = Holder.model_validate_json((folder / "lock").read_text("utf-8"))
        os.kill(found.pid, 0)
    except (OSError, ValidationError):
        return None
    return found


def _source(folder: Path, engine: Holder | None) -> str:
    if engine is None:
        return f"local engine in {folder}: stopped, this is how it was left; go on with: turnout up FILE…"
    return f"local engine in {folder}: running as process {engine.pid} since {moment(engine.since)}"
