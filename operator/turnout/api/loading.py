"""ModelVersions from YAML files; of each that cannot be read: file, line, field, and what may stand there.

One bad document spoils no other. Defaults apply as the API server would apply them; a `status` in a file is
dropped, as it would be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pydantic import JsonValue, ValidationError

from turnout.api.base import JsonObject
from turnout.api.documents import Document, DocumentError, FieldPath, documents
from turnout.api.problems import Fault, faults, field_names, nearest, shown
from turnout.api.schedules import schedule_faults
from turnout.api.version import API_VERSION, GROUP, KIND, ModelVersion

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Origin:
    """Where in the files something stands."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """What is wrong at a place of a file."""

    origin: Origin
    field: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.field}: {self.sentence}" if self.field else f"{self.origin}: {self.sentence}"


@dataclass(frozen=True)
class Loaded:
    """What the files say: versions that can be used, problems to be told, notes for the curious."""

    versions: tuple[ModelVersion, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    origins: Mapping[tuple[str, str], Origin]
    """Where each version stands, by (namespace, name)."""


def load(paths: Iterable[Path]) -> Loaded:
    """Every ModelVersion of the files, and of the YAML files right inside the folders, among `paths`."""
    reading = _Reading()
    for path in paths:
        for file in _files(path, reading):
            reading.read(file)
    return Loaded(tuple(reading.versions), tuple(reading.problems), tuple(reading.notes), reading.origins)


def load_text(text: str, file: Path = Path("-")) -> Loaded:
    """As `load`, of one text; `file` is what problems call it."""
    reading = _Reading()
    reading.read_text(text, file)
    return Loaded(tuple(reading.versions), tuple(reading.problems), tuple(reading.notes), reading.origins)


@dataclass
class _Reading:
    """What has been read so far."""

    versions: list[ModelVersion] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    origins: dict[tuple[str, str], Origin] = field(default_factory=dict)

    def read(self, file: Path) -> None:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as fault:
            self.complain(file, 1, "", f"is not UTF-8 from byte {fault.start} on: save it as UTF-8")
        except OSError as fault:
            self.complain(file, 1, "", f"cannot be read: {fault.strerror or fault}")
        else:
            self.read_text(text, file)

    def read_text(self, text: str, file: Path) -> None:
        try:
            for document in documents(text):
                self._read_document(document, file)
        except DocumentError as fault:
            self.complain(file, fault.line, "", fault.sentence)

    def complain(self, file: Path, line: int, name: str, sentence: str) -> None:
        self.problems.append(Problem(Origin(file, line), name, sentence))

    def _read_document(self, document: Document, file: Path) -> None:
        line = document.line(())
        if not isinstance(document.value, dict):
            self.complain(file, line, "", f"found {shown(document.value)}, expected a {KIND}")
        elif _is_of_another_kind(document.value):
            self.notes.append(f"{file}:{line}: {document.value.get('kind')} ignored: only {KIND} is read")
        elif wrong := tuple(_header_faults(document.value)):
            self._complain_of(wrong, document, file)
        else:
            self._read_version(document, file)

    def _read_version(self, document: Document, file: Path) -> None:
        body = {key: value for key, value in cast("JsonObject", document.value).items() if key != "status"}
        try:
            version = ModelVersion.model_validate(_pruned(body, ()))
        except ValidationError as error:
            self._complain_of(faults(error), document, file)
            return
        if wrong := schedule_faults(version.spec.scaling):
            self._complain_of(wrong, document, file)
            return
        key, origin = (version.namespace, version.name), Origin(file, document.line(()))
        if (first := self.origins.get(key)) is not None:
            line = document.line(("metadata", "name"))
            self.complain(file, line, "metadata.name", f"{version.name} stands at {first} already")
            return
        self.origins[key] = origin
        self.versions.append(version)

    def _complain_of(self, wrong: Iterable[Fault], document: Document, file: Path) -> None:
        for fault in sorted(wrong, key=lambda fault: document.line(fault.path)):
            self.complain(file, document.line(fault.path), fault.field, fault.sentence)


def _files(path: Path, reading: _Reading) -> tuple[Path, ...]:
    if not path.exists():
        reading.complain(path, 1, "", "no such file or folder")
        return ()
    if not path.is_dir():
        return (path,)
    found = tuple(sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file()))
    if not found:
        reading.complain(path, 1, "", f"no file of this folder ends in {', '.join(SUFFIXES)}")
    return found


def _is_of_another_kind(body: JsonObject) -> bool:
    """A Kubernetes object of somebody else's: another kind, and not one that looks like ours misspelt."""
    kind, api_version = body.get("kind"), str(body.get("apiVersion", ""))
    named = isinstance(kind, str) and bool(api_version) and kind != KIND
    return named and not api_version.startswith(f"{GROUP}/")


def _header_faults(body: JsonObject) -> Iterator[Fault]:
    for name, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        found = body.get(name)
        if found is None:
            yield Fault((name,), f"is required and missing: write {name}: {expected}")
        elif found != expected:
            yield Fault((name,), f"found {shown(found)}, must be {expected}")
    for name in body:
        if name not in field_names(()):
            yield Fault((name,), f"unknown field{nearest(name, field_names(()))}")


def _pruned(value: JsonValue, path: FieldPath) -> JsonValue:
    """Without the fields that are written as null: the API server drops those and fills in the default."""
    if isinstance(value, list):
        return [_pruned(inner, (*path, index)) for index, inner in enumerate(value)]
    if not isinstance(value, dict):
        return value
    known = field_names(path)
    return {
        name: _pruned(inner, (*path, name)) for name, inner in value.items() if not (inner is None and name in known)
    }
