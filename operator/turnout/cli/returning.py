"""Rolling back, as the one selection rule has it: those above the version that is to serve are set to Standby.

Pure. The order matters: each version that is set aside is so before the one above it, so that no version in between
becomes the target for a moment; the version that is to serve is made eligible first.
"""

from collections.abc import Iterator, Mapping

from turnout.api.reasons import ROLLOUT_STATES, Role, State
from turnout.api.status import EPOCH, Status
from turnout.api.version import Desired, ModelVersion
from turnout.cli.command import UserError
from turnout.cli.models import Model, standing
from turnout.cli.wishes import Wish, is_eligible
from turnout.rollout.made_of import MADE_AGAIN, why_not_made_again

OWNERS = (
    ("argocd.argoproj.io/tracking-id", "Argo CD"),
    ("argocd.argoproj.io/instance", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("helm.toolkit.fluxcd.io/name", "Flux"),
    ("meta.helm.sh/release-name", "Helm"),
)
"""Labels and annotations by which a tool says that an object is kept as its own source has it."""


def rollback(model: Model, word: str = "") -> tuple[ModelVersion, tuple[Wish, ...]]:
    """The version that is to serve, and what is asked of whom, in this order."""
    good = model.at(word) if word else _former(model)
    if good.status.failed or good.status.state is State.Rejected:
        raise UserError(f"{standing(good)}: it gets no traffic before it is mended; retry it, or name another version")
    wishes = tuple(_wishes(model, good))
    if not wishes:
        raise UserError(f"{good.name} is the target of {model.name} already; {standing(good)}")
    return good, wishes


def _former(model: Model) -> ModelVersion:
    """While a rollout runs, or one is frozen, stable; else who was promoted last before stable."""
    stable = model.stable
    if stable and model.rollout and model.rollout.version > stable.version:
        return stable
    ceiling = stable.version if stable else None
    former = [v for v in model.versions if _may_serve_again(v) and (ceiling is None or v.version < ceiling)]
    if not former:
        there = ", ".join(str(each.version) for each in model.versions)
        raise UserError(
            f"{model.name} has no version that served before {stable.name if stable else 'now'}; there: {there}; "
            f"name one: turnout rollback {model.name} VERSION"
        )
    return max(former, key=lambda each: each.status.replaced_at or each.status.promoted_at or EPOCH)


def _may_serve_again(version: ModelVersion) -> bool:
    status = version.status
    return status.promoted_at is not None and not status.failed and status.state is not State.Rejected


def _wishes(model: Model, good: ModelVersion) -> Iterator[Wish]:
    if good.spec.desired is not Desired.LIVE:
        yield _set(good, Desired.LIVE, f"is made the target again ({way_back(good)})")
    above = [each for each in model.versions if each.version > good.version]
    for bad in reversed(above):
        if is_eligible(bad) or (bad.status.state is State.Frozen and bad.spec.desired is Desired.LIVE):
            yield _set(bad, Desired.STANDBY, "is set aside: it keeps nothing of the traffic")


def _set(version: ModelVersion, desired: Desired, says: str) -> Wish:
    def accepted(seen: Status) -> bool:
        if desired is Desired.LIVE:
            return seen.role in (Role.Stable, Role.Candidate)
        return seen.weight.observed == 0 and seen.state not in ROLLOUT_STATES | {State.Live}

    return Wish(version, {"desired": desired.value}, says, accepted)


def way_back(version: ModelVersion) -> str:
    """How fast a version returns, and why."""
    status = version.status
    if status.role is Role.Stable:
        return "it serves already"
    if not status.promoted_at:
        return "it was never promoted: it goes through its whole plan"
    if why := why_not_made_again(status, version):
        return f"it is {status.state}, and goes through its whole plan: {why}"
    if status.state in MADE_AGAIN:
        return f"it is {status.state}: made again as it was, then all traffic at once"
    if status.replicas.ready:
        return "its pods are ready: at once"
    return "as soon as its pods are ready, without its plan"


def owner_of(version: ModelVersion) -> str:
    """The tool that keeps this object as its source says, if one has left its mark."""
    marks: Mapping[str, str] = {**version.metadata.labels, **version.metadata.annotations}
    return next((tool for mark, tool in OWNERS if mark in marks), "")
