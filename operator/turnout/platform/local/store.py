"""ModelVersions on this machine: what the files say, with the metadata and status that a cluster would keep.

Files are the spec, this store is the rest: uid, generation, creation, status. A file that cannot be read keeps
what it said before; a field that may not change keeps its old value, and a sentence says where it stands.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import JsonValue

from turnout.api.documents import DocumentError, FieldPath, documents
from turnout.api.loading import Loaded, Origin
from turnout.api.problems import written
from turnout.api.status import Status
from turnout.api.version import ModelVersion, immutable_changes
from turnout.platform.local.folder import Folder
from turnout.platform.local.records import VersionRecord, as_json, read_as
from turnout.rollout.snapshot import ModelKey


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at the files has brought."""

    keys: frozenset[ModelKey] = frozenset()
    problems: tuple[str, ...] = ()


class Versions:
    """Every ModelVersion, by (namespace, name); persisted at each change."""

    def __init__(self, folder: Folder, namespace: str) -> None:
        self._folder = folder
        self._namespace = namespace
        self._records = read_as(dict[str, VersionRecord], folder.read("versions"), {})

    def __iter__(self) -> Iterator[ModelVersion]:
        return (record.object for record in self._records.values())

    def of(self, key: ModelKey) -> tuple[ModelVersion, ...]:
        return tuple(version for version in self if key_of(version) == key)

    def file_of(self, version: ModelVersion) -> Path:
        record = self._records.get(_name(version))
        return Path(record.file) if record else Path()

    def record_status(self, key: ModelKey, name: str, status: Status) -> None:
        """Persist a whole status; that of a version which is gone meanwhile is dropped."""
        record = self._records.get(f"{key.namespace}/{name}")
        if record is not None:
            changed = record.object.model_copy(update={"status": status})
            self._records[_name(changed)] = record.model_copy(update={"object": changed})
            self._write()

    def take(self, loaded: Loaded) -> Changes:
        """Make the store say what the files say; tells which models changed, and what may not be as it is written."""
        touched: set[ModelKey] = set()
        problems = [str(problem) for problem in loaded.problems]
        present: set[str] = set()
        for read in loaded.versions:
            origin = loaded.origins[(read.namespace, read.name)]
            wish = self._placed(read)
            present.add(_name(wish))
            refusal = self._put(wish, origin, touched)
            problems.extend(refusal)
        broken = {str(problem.origin.file.absolute()) for problem in loaded.problems}
        for name in self._records.keys() - present:
            record = self._records[name]
            if record.file not in broken or not Path(record.file).exists():
                touched.add(key_of(record.object))
                del self._records[name]
        if touched:
            self._write()
        return Changes(frozenset(touched), tuple(problems))

    def _placed(self, read: ModelVersion) -> ModelVersion:
        """Files that name no namespace, or `default`, belong to the engine's own."""
        if read.namespace != "default":
            return read
        return read.model_copy(update={"metadata": read.metadata.model_copy(update={"namespace": self._namespace})})

    def _put(self, wish: ModelVersion, origin: Origin, touched: set[ModelKey]) -> Iterable[str]:
        former = self._records.get(_name(wish))
        if former is None:
            born = {"uid": str(uuid4()), "generation": 1, "creation_timestamp": datetime.now(UTC)}
            wish = wish.model_copy(update={"metadata": wish.metadata.model_copy(update=born)})
        elif refusals := immutable_changes(former.object.spec, wish.spec):
            place, field = _first_difference(former.object, origin)
            return [f"{place}: {field}: {sentence}; the old one serves on" for sentence in refusals]
        elif former.object.spec == wish.spec:
            return ()
        else:
            kept = former.object.metadata
            metadata = kept.model_copy(update={"generation": kept.generation + 1})
            wish = former.object.model_copy(update={"metadata": metadata, "spec": wish.spec})
        self._records[_name(wish)] = VersionRecord(object=wish, file=str(origin.file.absolute()))
        touched.add(key_of(wish))
        return ()

    def _write(self) -> None:
        self._folder.write("versions", as_json(self._records))


def key_of(version: ModelVersion) -> ModelKey:
    return ModelKey(version.namespace, version.model)


def _name(version: ModelVersion) -> str:
    return f"{version.namespace}/{version.name}"


IMMUTABLE: tuple[FieldPath, ...] = (
    ("spec", "model"),
    ("spec", "version"),
    ("spec", "predictor"),
    ("spec", "scaling", "containerConcurrency"),
)


def _first_difference(former: ModelVersion, origin: Origin) -> tuple[Origin, str]:
    """Where in the file the first immutable field stands that is not as it was."""
    try:
        found = [document for document in documents(origin.file.read_text("utf-8")) if document.line(()) == origin.line]
    except (OSError, DocumentError):
        return origin, "spec"
    old: JsonValue = former.body()
    for document in found:
        for path in IMMUTABLE:
            deepest = _differs(_at(old, path), _at(document.value, path), path)
            if deepest is not None:
                return Origin(origin.file, document.line(deepest)), written(deepest)
    return origin, "spec"


def _at(value: JsonValue, path: FieldPath) -> JsonValue:
    for part in path:
        value = value.get(str(part)) if isinstance(value, dict) else None
    return value


def _differs(old: JsonValue, new: JsonValue, path: FieldPath) -> FieldPath | None:
    """The deepest field as it is written that is not as it was; what is not written down has its default."""
    if isinstance(old, dict) and isinstance(new, dict):
        inner = (_differs(old.get(name), value, (*path, name)) for name, value in new.items())
        return next((found for found in inner if found is not None), None)
    return path if new is not None and new != old else None
