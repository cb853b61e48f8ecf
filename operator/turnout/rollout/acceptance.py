"""Which versions cannot be acted upon, and why: not served, a schedule that never comes, a number taken, a name taken.

Looked at again in every pass, so that a version is accepted as soon as its cause has gone.
"""

from datetime import datetime

from turnout.api.reasons import Reason, State
from turnout.api.schedules import schedule_faults
from turnout.api.served import unserved
from turnout.api.status import EPOCH
from turnout.api.tunables import missettings
from turnout.api.version import ModelVersion
from turnout.rollout.identity import spec_hash
from turnout.rollout.snapshot import Deployment, Problem, Snapshot


def refusals(snapshot: Snapshot) -> dict[str, Problem]:
    """By ModelVersion name: the first reason against each version that has one."""
    found = {}
    for version in snapshot.versions:
        problem = (
            _not_served(version)
            or _invalid(version)
            or _duplicate(version, snapshot.versions)
            or _reserved(version, snapshot.versions)
            or _name_conflict(version, snapshot)
        )
        if problem:
            found[version.name] = problem
    return found


def _not_served(version: ModelVersion) -> Problem | None:
    fields = unserved(version.spec)
    if not fields:
        return None
    return Problem(Reason.NotServed, "; ".join(map(str, fields)), permanent=True)


def _invalid(version: ModelVersion) -> Problem | None:
    """What the schema cannot see."""
    times = (f"{fault.field}: {fault.sentence}" for fault in schedule_faults(version.spec.scaling))
    faults = (*times, *map(str, missettings(version.spec.predictor)))
    return Problem(Reason.Invalid, "; ".join(faults), permanent=True) if faults else None


def _seniority(version: ModelVersion) -> tuple[datetime, str]:
    return version.metadata.creation_timestamp or EPOCH, version.uid


def _duplicate(version: ModelVersion, versions: tuple[ModelVersion, ...]) -> Problem | None:
    rivals = [v for v in versions if v.version == version.version and v.name != version.name]
    older = [rival for rival in rivals if _seniority(rival) < _seniority(version)]
    if not older:
        return None
    text = f"version {version.version} of {version.model} is already {older[0].name}: give this one another number"
    return Problem(Reason.DuplicateVersion, text, permanent=True)


def _reserved(version: ModelVersion, versions: tuple[ModelVersion, ...]) -> Problem | None:
    """The address of one version would be the InferenceService of another."""
    for other in versions:
        clash = f"{other.name}-predictor" == version.name or f"{version.name}-predictor" == other.name
        if clash and _seniority(other) < _seniority(version):
            shared = max(other.name, version.name, key=len)
            text = f"the name {shared} is reserved by {other.name}: rename this one"
            return Problem(Reason.NameReserved, text, permanent=True)
    return None


def _name_conflict(version: ModelVersion, snapshot: Snapshot) -> Problem | None:
    for needed in (version.name, f"{version.name}-predictor", version.model):
        if needed in snapshot.taken:
            return snapshot.taken[needed]
    return _older_self(version, snapshot.deployments)


def _older_self(version: ModelVersion, deployments: tuple[Deployment, ...]) -> Problem | None:
    """A deleted and remade ModelVersion of the same name must wait until what runs under the name is gone."""
    same = next((d for d in deployments if d.name == version.name), None)
    if same is None or not is_of_older_self(version, same):
        return None
    text = (
        f"an earlier {version.name} of another spec runs under this name, and goes as soon as it serves nobody; "
        "to take its place give the new version a name and a number of its own"
    )
    return Problem(Reason.NameTaken, text, permanent=True)


def is_of_older_self(version: ModelVersion, deployment: Deployment) -> bool:
    """What runs under the name of this version, which has begun no attempt, was made of another spec."""
    untouched = version.status.state in {None, State.Pending, State.Rejected} and not version.status.attempt
    return untouched and deployment.spec_hash != spec_hash(version)
