"""Where a tree is read from: the folder of a local engine, or a cluster. Looking changes nothing in either."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, TypeAdapter, ValidationError

from turnout.api.version import ModelVersion
from turnout.cli.command import UserError
from turnout.view.tree import Clients, Traffic, Tree, tree_of

Look: TypeAlias = Callable[[], Tree]


class _Version(BaseModel):
    object: ModelVersion


class _Counts(BaseModel):
    requests: int = 0
    failed: int = 0
    repeated: int = 0


class _Model(BaseModel):
    requests: int = 0
    errors: int = 0
    versions: Mapping[str, _Counts] = {}


class Holder(BaseModel):
    """Who has the folder of a local engine, as its lock says."""

    pid: int
    since: str


class _Engine(BaseModel):
    trouble: str | None = None
    problems: tuple[str, ...] = ()


VERSIONS = TypeAdapter(dict[str, _Version])
TRAFFIC = TypeAdapter(dict[str, _Model])


def local(folder: Path) -> Look:
    """What the engine that has, or last had, this folder has written down."""
    if not (folder / "state").is_dir():
        raise UserError(f"{folder} is no folder of a local engine; start one: turnout up FILE…")
    return lambda: local_tree(folder)


def local_tree(folder: Path) -> Tree:
    """The tree as the folder has it now."""
    try:
        versions = VERSIONS.validate_python(_read(folder, "versions"))
        traffic = TRAFFIC.validate_python(_read(folder, "traffic"))
        engine = _Engine.model_validate(_read(folder, "engine"))
    except ValidationError as fault:
        raise UserError(
            f"{folder} was written by another release: {fault.errors()[0]['msg']}; start turnout up there anew"
        ) from None
    return tree_of(
        [record.object for record in versions.values()],
        traffic=dict(_counts(traffic)),
        source=_source(folder),
        clients=_clients(traffic),
        problems=((engine.trouble,) if engine.trouble else ()) + engine.problems,
    )


def _read(folder: Path, name: str) -> object:
    """One file of the state; an engine that has just begun has none."""
    try:
        return json.loads((folder / "state" / f"{name}.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _counts(traffic: Mapping[str, _Model]) -> Iterator[tuple[tuple[str, str], Traffic]]:
    for key, model in traffic.items():
        namespace = key.partition("/")[0]
        for name, counts in model.versions.items():
            requests = counts.requests + counts.repeated
            yield (namespace, name), Traffic(requests, counts.repeated, counts.failed)


def _clients(traffic: Mapping[str, _Model]) -> Clients | None:
    requests = sum(model.requests for model in traffic.values())
    return Clients(requests, sum(model.errors for model in traffic.values())) if requests else None


def holder(folder: Path) -> Holder | None:
    """The engine that is at work in the folder."""
    try:
        found = Holder.model_validate_json((folder / "lock").read_text("utf-8"))
        os.kill(found.pid, 0)
    except (OSError, ValidationError):
        return None
    return found


def _source(folder: Path) -> str:
    engine = holder(folder)
    if engine is None:
        return f"local engine in {folder}: stopped, this is how it was left; go on with: turnout up FILE…"
    return f"local engine in {folder}: running as process {engine.pid} since {engine.since}"


def has_kubeconfig() -> bool:
    """Whether kubectl would find a cluster without being told of one."""
    named = os.environ.get("KUBECONFIG", "")
    files = named.split(os.pathsep) if named else ["~/.kube/config"]
    return any(Path(file).expanduser().is_file() for file in files)


def cluster(kubeconfig: Path | None, context: str | None, namespace: str | None) -> Look:
    """The ModelVersions of the cluster that kubectl would talk to."""
    try:
        from turnout.platform.kubernetes.listing import ListingError, list_versions
    except ModuleNotFoundError as missing:
        raise UserError(
            f"to read a cluster, the package {missing.name} is needed: pip install 'turnout[operator]'"
        ) from None

    def look() -> Tree:
        try:
            versions, place = list_versions(kubeconfig, context, namespace)
        except ListingError as fault:
            raise UserError(str(fault)) from None
        return tree_of(versions, source=place)

    return look
