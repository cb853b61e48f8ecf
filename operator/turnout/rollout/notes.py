"""What a person is told of a version that is accepted: what of its spec does not do what it seems to.

A note stands in the message of `Accepted` for as long as it is true, and is told once as a warning when it comes up.
It decides nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from turnout.api.analysis import Analysis, Judge
from turnout.api.plan import resolve_plan
from turnout.api.reasons import ROLLOUT_STATES, State
from turnout.api.scaling import Scaling
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion
from turnout.rollout.rendering import OUR_VARIABLES
from turnout.rollout.replanning import plan_note
from turnout.rollout.selection import Member, Selection, is_stable_state
from turnout.rollout.steps import steps_of

MARK = " Note: "
"""What stands before each of them in a message."""
ROLLS_OUT = (ROLLOUT_STATES - {State.RollingBack}) | {State.Frozen}


@dataclass(frozen=True, slots=True)
class Note:
    """`field`: what it speaks of; of each field one at a time."""

    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


LATE_CRITICAL = Note(
    "spec.scaling.latencyCritical",
    "it was set after the version's birth: pods that are too many go at once instead of after 5m, all else of it "
    "holds; a new version has all of it",
)


def notes(member: Member, version: ModelVersion, status: Status, selection: Selection) -> Iterator[Note]:
    """Of a status that is about to be recorded."""
    yield from _ignored_variables(version)
    if edit := plan_note(member.status, version):
        yield Note("spec.rollout.steps", edit)
    if version.spec.scaling.latency_critical and member.revision and not member.revision.lingers:
        yield LATE_CRITICAL
    if (ghost := selection.stable) and ghost.is_ghost and ghost.death and member is selection.teller:
        yield Note(ghost.name, f"it was deleted, callers are still sent to it, and it is dead: {ghost.death.message}")
    if status.state in ROLLS_OUT and not is_stable_state(status):
        yield from _of_a_rollout(version, status, selection)


def _of_a_rollout(version: ModelVersion, status: Status, selection: Selection) -> Iterator[Note]:
    ceiling, stable = version.spec.scaling.max_replicas, selection.stable
    if stable is None or not status.capacity:
        return
    if ceiling < status.capacity:
        yield few_pods(ceiling, status.capacity, stable.name)
    to_come = steps_of(status)[status.step.index if status.step else 0 :]
    if any(step.analysis for step in to_come) and not status.promoted_at and (blind := unjudged(version.spec.analysis)):
        yield blind


def beforehand(version: ModelVersion, others: Iterable[ModelVersion]) -> Iterator[Note]:
    """What files alone tell. `others`: whatever else they hold, of any model."""
    yield from _ignored_variables(version)
    scaling = version.spec.scaling
    former = [each for each in others if _is_before(each, version)]
    for most, name in sorted(((_most_pods(each.spec.scaling), each.name) for each in former), reverse=True)[:1]:
        if scaling.max_replicas < most:
            yield few_pods(scaling.max_replicas, most, name)
    if any(step.analysis for step in resolve_plan(version.spec).steps) and (blind := unjudged(version.spec.analysis)):
        yield blind


def _ignored_variables(version: ModelVersion) -> Iterator[Note]:
    names = [each.name for each in version.spec.predictor.env if each.name in OUR_VARIABLES]
    if names:
        they_are = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'}"
        yield Note("spec.predictor.env", f"{they_are} set by Turnout; what is written here has no effect")


def _is_before(other: ModelVersion, version: ModelVersion) -> bool:
    same_model = (other.namespace, other.model) == (version.namespace, version.model)
    return same_model and other.version < version.version and other.spec.desired is Desired.LIVE


def _most_pods(scaling: Scaling) -> int:
    """The greatest of its floors."""
    return max(scaling.min_replicas, *(floor.min_replicas for floor in scaling.floors), 0)


def few_pods(ceiling: int, pods: int, stable: str) -> Note:
    """Nobody may carry stable's traffic with fewer pods than it has, but for this ceiling of its own."""
    text = (
        f"{ceiling} is less than the {pods} pods with which {stable} serves: it gets all traffic with {ceiling} ready"
    )
    return Note("spec.scaling.maxReplicas", text)


def unjudged(analysis: Analysis) -> Note | None:
    """Nothing of it decides: neither a metric of the sequential judge, nor a bound that is not for show alone."""
    sequential = analysis.judge is Judge.SEQUENTIAL and (analysis.errors.enabled or analysis.latency.enabled)
    if sequential or analysis.dry_run or any(not metric.dry_run for metric in analysis.custom):
        return None
    harm = "" if analysis.drift.enabled else "harm is not found, and "
    return Note(
        "spec.analysis",
        f"it has nothing to prove: {harm}a step lasts until its maxDuration, where "
        f"onInconclusive ({analysis.on_inconclusive}) decides; enable errors or latency, or add a custom bound",
    )


def noted(message: str) -> Mapping[str, str]:
    """The notes in a message, by their field."""
    return {note.partition(": ")[0]: note for note in message.split(MARK)[1:]}
