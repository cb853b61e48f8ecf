"""Which names of a namespace are reserved: each version takes its own, its address's and its model's.

Nothing foreign lives in this engine, so that only ModelVersions of other models stand in the way; the elder wins.
"""

from collections.abc import Iterable

from turnout.api.reasons import Reason
from turnout.api.version import ModelVersion
from turnout.rollout.snapshot import ModelKey, Problem


def taken_names(versions: Iterable[ModelVersion], key: ModelKey) -> dict[str, Problem]:
    """Names that versions of `key` need and an elder version of another model reserves."""
    here = [version for version in versions if version.namespace == key.namespace]
    needed = _by_name(version for version in here if version.model == key.model)
    reserved = _by_name(version for version in here if version.model != key.model)
    return {
        name: _reserved(name, reserved[name])
        for name in needed.keys() & reserved.keys()
        if _age(reserved[name]) < _age(needed[name])
    }


def _reserved(name: str, by: ModelVersion) -> Problem:
    text = f"the name {name} is reserved by {by.name} of model {by.model}; rename this one"
    return Problem(Reason.NameReserved, text, permanent=True)


def claims(version: ModelVersion) -> tuple[str, str, str]:
    """The names that a version reserves in its namespace."""
    return version.name, f"{version.name}-predictor", version.model


def _by_name(versions: Iterable[ModelVersion]) -> dict[str, ModelVersion]:
    """The eldest claimant of each name."""
    eldest: dict[str, ModelVersion] = {}
    for version in sorted(versions, key=_age):
        for name in claims(version):
            eldest.setdefault(name, version)
    return eldest


def _age(version: ModelVersion) -> tuple[str, str]:
    return str(version.metadata.creation_timestamp), version.uid
