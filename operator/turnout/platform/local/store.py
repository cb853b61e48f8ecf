"""ModelVersions on this machine: what the files say, with the metadata and status that a cluster would keep.

Files are the spec, this store is the rest: uid, generation, creation, status, and what people have said by command
over the file. A file that cannot be read keeps what it said before; a field that may not change keeps its old value,
and a sentence says where it stands.
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
from turnout.api.version import ModelVersion, Spec, immutable_changes
from turnout.platform.local.folder import Folder
from turnout.platform.local.names import claims
from turnout.platform.local.overlay import Overlay, Request, TooLateError, step_of
from turnout.platform.local.records import Record, file_name, read_as
from turnout.rollout.controls import PROMOTE, spend
from turnout.rollout.snapshot import ModelKey

KIND = "versions"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at the files has brought."""

    keys: frozenset[ModelKey] = frozenset()
    problems: tuple[str, ...] = ()


class VersionRecord(Record):
    """A ModelVersion as it counts, the file that it stands in, and what was said over that file."""

    object: ModelVersion
    file: str
    overlay: Overlay | None = None


class Versions:
    """Every ModelVersion, by (namespace, name); each persisted by itself when it changes."""

    def __init__(self, folder: Folder, namespace: str) -> None:
        self._folder = folder
        self._namespace = namespace
        self._records: dict[str, VersionRecord] = {}
        self._models: dict[ModelKey, dict[str, None]] = {}  # names of records, in the order of their birth
        self._claims: dict[tuple[str, str], dict[str, None]] = {}  # likewise, by (namespace, name that they reserve)
        for fact in folder.read_all(KIND).values():
            if (record := read_as(VersionRecord, fact, None)) is not None:
                self._remember(record)
        self._take_former_layout()

    def _take_former_layout(self) -> None:
        """All versions stood in one file before; it goes last, so that who is killed here begins anew."""
        former = read_as(dict[str, VersionRecord], self._folder.read(KIND), {})
        for record in former.values():
            self._keep(record)
        self._folder.forget(KIND)

    def __iter__(self) -> Iterator[ModelVersion]:
        return (record.object for record in self._records.values())

    def of(self, key: ModelKey) -> tuple[ModelVersion, ...]:
        return tuple(self._records[name].object for name in self._models.get(key, ()))

    def rivals(self, key: ModelKey) -> tuple[ModelVersion, ...]:
        """Versions of other models that reserve a name which one of this model needs."""
        own = self._models.get(key, {})
        names = (claim for version in self.of(key) for claim in claims(version))
        found = {rival for name in names for rival in self._claims[key.namespace, name] if rival not in own}
        return tuple(self._records[name].object for name in sorted(found))

    def file_of(self, version: ModelVersion) -> Path:
        record = self._records.get(_name(version))
        return Path(record.file) if record else Path()

    def record_status(self, key: ModelKey, name: str, status: Status) -> None:
        """Persist a whole status; that of a version which is gone meanwhile is dropped."""
        record = self._records.get(f"{key.namespace}/{name}")
        if record is not None:
            changed = record.object.model_copy(update={"status": status})
            self._keep(record.model_copy(update={"object": changed}))

    def say(self, request: Request) -> ModelKey | None:
        """Take what a command says over a file; the model that it changes, if any.

        Raises `ValidationError` for what cannot be read, `TooLateError` for what comes too late.
        """
        record = self._records.get(f"{request.namespace}/{request.name}")
        if record is None or record.object.uid != request.uid:
            raise TooLateError(f"{request.name} is not here any more: what was asked of it has no effect")
        if request.step not in ("", step_of(record.object)):
            self._refuse_promotion(record, request)
        overlay = (record.overlay or Overlay.of(record.object.spec)).said(request.spec)
        changed = _respecified(record.object, overlay.on(record.object.spec))
        self._keep(record.model_copy(update={"object": changed, "overlay": overlay or None}))
        return key_of(changed) if changed is not record.object else None

    def _refuse_promotion(self, record: VersionRecord, request: Request) -> None:
        """It was meant for a step that is over: noted, so that who waits for it is told, and never acts later."""
        said = Overlay.of(record.object.spec).said(request.spec)
        token, status = (said.control or said.file_control).promote.token, record.object.status
        refused = tuple(sorted({*status.control.refused, PROMOTE}))
        control = spend(status.control, PROMOTE, token).model_copy(update={"refused": refused})
        noted = record.object.model_copy(update={"status": status.model_copy(update={"control": control})})
        self._keep(record.model_copy(update={"object": noted}))
        why = f"{request.name} has gone on to another step meanwhile: the promotion has no effect; look again"
        raise TooLateError(why, noted)

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
                self._drop(record)
        return Changes(frozenset(touched), tuple(problems))

    def _placed(self, read: ModelVersion) -> ModelVersion:
        """Files that name no namespace, or `default`, belong to the engine's own."""
        if read.namespace != "default":
            return read
        return read.model_copy(update={"metadata": read.metadata.model_copy(update={"namespace": self._namespace})})

    def _put(self, wish: ModelVersion, origin: Origin, touched: set[ModelKey]) -> Iterable[str]:
        former = self._records.get(_name(wish))
        overlay = former.overlay.still_over(wish.spec) if former and former.overlay else None
        if former is None:
            born = {"uid": str(uuid4()), "generation": 1, "creation_timestamp": datetime.now(UTC)}
            wish = wish.model_copy(update={"metadata": wish.metadata.model_copy(update=born)})
        elif refusals := immutable_changes(former.object.spec, wish.spec):
            place, field = _first_difference(former.object, origin)
            return [f"{place}: {field}: {sentence}; the old one serves on" for sentence in refusals]
        else:
            wish = _respecified(former.object, overlay.on(wish.spec) if overlay else wish.spec)
        record = VersionRecord(object=wish, file=str(origin.file.absolute()), overlay=overlay or None)
        if former is None or wish is not former.object:
            touched.add(key_of(wish))
        if record != former:
            self._keep(record)
        return ()

    def _keep(self, record: VersionRecord) -> None:
        self._remember(record)
        self._folder.write(_place(record.object), record.model_dump(mode="json", by_alias=True, exclude_none=True))

    def _remember(self, record: VersionRecord) -> None:
        version, name = record.object, _name(record.object)
        if name not in self._records:
            self._models.setdefault(key_of(version), {})[name] = None
            for claim in claims(version):
                self._claims.setdefault((version.namespace, claim), {})[name] = None
        self._records[name] = record

    def _drop(self, record: VersionRecord) -> None:
        version, name = record.object, _name(record.object)
        del self._records[name], self._models[key_of(version)][name]
        for claim in claims(version):
            del self._claims[version.namespace, claim][name]
        self._folder.forget(_place(version))


def _respecified(version: ModelVersion, spec: Spec) -> ModelVersion:
    """The next generation, if the spec is another."""
    if spec == version.spec:
        return version
    metadata = version.metadata.model_copy(update={"generation": version.metadata.generation + 1})
    return version.model_copy(update={"metadata": metadata, "spec": spec})


def _place(version: ModelVersion) -> str:
    return file_name(KIND, version.namespace, version.name)


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
