"""The invariants that need the truth of the server and the memory of a whole history: who wrote what, when, how often.

The truth, not what the operator saw of it: its watches may be late, and its promises hold all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.rollout.invariants import Verdicts
from tests.rollout.simulation import looked_up
from turnout.api.reasons import State
from turnout.api.status import Status
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, REVISIONS, ROUTES, VERSIONS, Resource

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

Raw = dict[str, Any]
BLIND = 15.0
"""Seconds after somebody else's change of the Route, or longer than any watch is late, in which nobody could know."""


class Ledger:
    """Reads every change of the server and says in a sentence what must not be."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._specs: dict[str, Raw] = {}  # of InferenceServices, by their own uid
        self._born: dict[str, Raw] = {}  # the first spec of a version's InferenceService, by the version's uid
        self._steps: dict[tuple[str, int], int] = {}
        self._attempts: dict[str, int] = {}
        self._verdicts = Verdicts()
        self._last: dict[str, Raw] = {}  # statuses, by the version's uid
        self._foreign_at = -BLIND
        cluster.server.watchers.append(self._seen)

    def _seen(self, resource: Resource, event: str, raw: Raw) -> None:
        try:
            self._look(resource, event, raw)
        except AssertionError as fault:
            self._cluster.faults.append(fault)

    def _look(self, resource: Resource, event: str, raw: Raw) -> None:
        ours = self._cluster.server.writer == "operator"
        if ours:
            assert not raw["metadata"].get("finalizers"), f"a finalizer on {resource} could block a deletion"
        if resource is ROUTES:
            self._route(event, raw, ours=ours)
        elif resource is INFERENCE_SERVICES:
            self._service(event, raw, ours=ours)
        elif resource is VERSIONS and ours:
            self._status(raw)
        elif resource is REVISIONS and event == "DELETED":
            self._foreign_at = self._cluster.loop.time()

    def _route(self, event: str, raw: Raw, *, ours: bool) -> None:
        if not ours:
            self._foreign_at = self._cluster.loop.time()
            return
        assert event != "DELETED", "the operator deletes a Route"
        percents = [target["percent"] for target in raw["spec"]["traffic"]]
        assert sum(percents) == 100, f"a Route is written with {percents}"

    def _service(self, event: str, raw: Raw, *, ours: bool) -> None:
        metadata, name = raw["metadata"], raw["metadata"]["name"]
        if event == "ADDED":
            self._specs[metadata["uid"]] = raw["spec"]
            self._returns_as_it_was(name, raw["spec"])
        elif event == "MODIFIED":
            assert raw["spec"] == self._specs[metadata["uid"]], f"the spec of InferenceService {name} changes"
        elif ours and self._cluster.loop.time() - self._foreign_at > BLIND:
            share = self._cluster.percent(name)
            assert not share, f"the operator deletes {name}, which is observed to have {share} %"

    def _returns_as_it_was(self, name: str, spec: Raw) -> None:
        """Whoever was promoted comes back as the same bytes, whatever the operator's settings are by now."""
        version = self._cluster.versions.get(name)
        if version is None:
            return
        born = self._born.setdefault(version.uid, spec)
        if version.status.promoted_at and version.status.resolved:
            assert _template(spec) == _template(born), f"{name} returns as another template"
        self._born[version.uid] = spec

    def _status(self, raw: Raw) -> None:
        """Steps rise within an attempt; attempts never fall."""
        name, uid = raw["metadata"]["name"], raw["metadata"]["uid"]
        status = raw.get("status", {})
        attempt, step = status.get("attempt", 0), status.get("step")
        key = uid, attempt
        if status.get("state") == State.Deploying:
            self._steps.pop(key, None)  # looked at anew, from the start
        elif step is not None:
            assert step["index"] >= self._steps.get(key, 0), f"{name} goes back to step {step['index']}"
            self._steps[key] = step["index"]
        assert attempt >= self._attempts.get(uid, 0), f"the attempts of {name} fall to {attempt}"
        self._verdicts.see(name, uid, Status.model_validate(status))
        self._attempts[uid] = attempt
        before = self._last.get(uid)
        if before is not None:
            _acts_once(name, raw["spec"], before, status)
        self._last[uid] = status

    def forget(self, name: str) -> None:
        """Its record was changed by somebody else: what it said before counts no more."""
        raw = self._cluster.server.find(VERSIONS, name)
        uid = raw["metadata"]["uid"] if raw else ""
        self._attempts.pop(uid, None)
        self._last.pop(uid, None)
        self._verdicts.forget(uid)
        self._born.pop(uid, None)
        self._steps = {key: index for key, index in self._steps.items() if key[0] != uid}


def _acts_once(name: str, spec: Raw, before: Raw, after: Raw) -> None:
    """A person's word is behind what only a person may do, and it is a new one."""
    told, noted = before.get("control", {}), after.get("control", {})
    left, state = before.get("state"), after.get("state")
    if left in {State.RolledBack, State.Aborted, State.Frozen} and state == State.Pending:
        token = spec["control"]["retryToken"]
        fresh = bool(token) and told.get("retryToken", "") != token == noted["retryToken"]
        assert fresh, f"{name} is tried again unasked"
    if left == State.Failed and state == State.Pending and told.get("retryToken") == noted.get("retryToken"):
        limit, tries = spec["rollout"]["retryLimit"], after.get("retries", 0)
        assert tries <= limit, f"{name} is tried again {tries} times, of at most {limit}"
    if _is_past(before, after, "approval"):
        token = spec["control"]["promote"]["token"]
        fresh = bool(token) and told.get("promoteToken", "") != token == noted.get("promoteToken", "")
        assert fresh, f"{name} goes on without the approval that its plan asks for"


def _is_past(before: Raw, after: Raw, verb: str) -> bool:
    """It has left a step of this kind for a later one of the same plan."""
    was, now = before.get("step"), after.get("step")
    if was is None or now is None or was.get("verb") != verb or before["attempt"] != after["attempt"]:
        return False
    same = before["plan"]["hash"] == after["plan"]["hash"]
    return bool(same and now["index"] > was["index"])


def _template(spec: Raw) -> Raw:
    """All but what changes in place: a maximum of pods, which is set on the revision; its image by digest."""
    kept = {key: value for key, value in spec["predictor"].items() if key != "maxReplicas"}
    (container,) = kept["containers"]
    return {**kept, "containers": [{**container, "image": looked_up(container["image"])}]}
