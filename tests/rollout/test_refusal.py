"""What cannot be accepted says why, disturbs nothing else, and is looked at again in every pass."""

from __future__ import annotations

import pytest

from tests.rollout.simulation import version
from tests.rollout.world import World, canary
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.rollout import Strategy
from turnout.api.status import ConditionStatus
from turnout.rollout.snapshot import Problem


def accepted(world: World, name: str) -> tuple[ConditionStatus, str]:
    condition = world.versions[name].status.condition(ConditionType.Accepted)
    assert condition is not None
    return condition.status, condition.reason


def taken(text: str, reason: Reason = Reason.NameTaken) -> Problem:
    return Problem(reason, text, permanent=True)


@pytest.mark.parametrize(
    ("refused", "reason", "says"),
    [
        pytest.param(version(1, name="other"), Reason.DuplicateVersion, "is already signals-1", id="a number taken"),
        pytest.param(
            version(2, rollout={"strategy": "Shadow"}), Reason.NotServed, "spec.rollout.strategy", id="not served"
        ),
        pytest.param(
            version(2, predictor={"runtime": "sklearn", "artifact": {"uri": "s3://m/2"}, "settings": {"batch": 9}}),
            Reason.Invalid,
            "spec.predictor.settings.batch: is unknown; the runtime has allow_pickle, trusted",
            id="a setting that its runtime does not have",
        ),
        pytest.param(
            version(2, name="signals-1-predictor"), Reason.NameReserved, "is reserved by signals-1", id="a sibling's"
        ),
        pytest.param(version(2, name="taken"), Reason.NameTaken, "is somebody's Service", id="a name taken"),
        pytest.param(
            version(2, name="free"), Reason.NameTaken, "is somebody's Service", id="its Knative Service's name taken"
        ),
        pytest.param(
            version(2, name="tone"), Reason.NameReserved, "reserved by another", id="a name of another model's version"
        ),
    ],
)
def test_a_version_is_rejected(served: World, refused: object, reason: Reason, says: str) -> None:
    served.taken = {name: taken(f"{name} is somebody's Service") for name in ("taken", "free-predictor")}
    served.taken["tone"] = taken("the name tone is reserved by another", Reason.NameReserved)
    served.apply(refused)  # type: ignore[arg-type]  # parametrized
    served.run(2)
    (name,) = served.versions.keys() - {"signals-1"}
    status = served.versions[name].status
    assert (status.state, status.reason) == (State.Rejected, reason)
    assert says in status.message
    assert accepted(served, name) == (ConditionStatus.FALSE, reason.value)
    assert served.states()["signals-1"] is State.Live


def refuse(world: World, name: str) -> None:
    """Ask for something that this release does not do."""
    rollout = world.versions[name].spec.rollout
    world.edit(name, rollout=rollout.model_copy(update={"strategy": Strategy.SHADOW}))


def test_a_model_name_that_somebody_else_uses_stops_every_version(world: World) -> None:
    world.taken = {"signals": taken("the Service signals is not Turnout's")}
    world.apply(version(1))
    world.run(2)
    assert world.state("signals-1") is State.Rejected
    world.taken = {}
    world.run(6)
    assert world.state("signals-1") is State.Live


def test_of_a_tie_the_older_is_accepted_and_the_other_when_it_is_gone(served: World) -> None:
    served.apply(version(1, name="other", rollout={"strategy": "AllAtOnce"}))
    served.run(2)
    served.delete("signals-1")
    served.run(8)
    assert served.states() == {"other": State.Live}
    assert set(served.running) == {"other"}


def test_a_rejected_version_whose_spec_is_mended_is_rolled_out(served: World) -> None:
    served.apply(version(2, rollout={"strategy": "Shadow"}))
    served.run(1)
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    served.run(10)
    assert served.state("signals-2") is State.Live


def test_a_refusal_in_mid_rollout_is_said_and_stops_nothing(served: World) -> None:
    canary(served, 2, 30, pause="5s")
    refuse(served, "signals-2")
    served.run(1)
    assert accepted(served, "signals-2") == (ConditionStatus.FALSE, "NotServed")
    assert served.state("signals-2") is State.Paused
    served.run(10)
    assert served.state("signals-2") is State.Live


def test_a_formerly_promoted_version_that_is_refused_does_not_return(served: World) -> None:
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    served.run(10)
    refuse(served, "signals-1")
    served.edit("signals-2", desired="Standby")
    served.run(5)
    assert served.states() == {"signals-1": State.Standby, "signals-2": State.Live}
    assert served.versions["signals-2"].status.reason is Reason.LastServing


def test_a_remade_version_of_another_spec_waits_until_its_older_self_has_gone(served: World) -> None:
    served.apply(version(2, desired="Standby"))
    served.run(1)
    served.delete("signals-1")
    other = version(1, predictor={"runtime": "sklearn", "artifact": {"uri": "file:///elsewhere"}})
    served.apply(other)
    served.run(2)
    status = served.versions["signals-1"].status
    assert (status.state, status.reason) == (State.Rejected, Reason.NameTaken)
    assert served.percent("signals-1") == 100


def test_an_engine_that_cannot_work_is_waited_for(world: World) -> None:
    world.trouble = Problem(Reason.KServeMissing, "the cluster does not serve InferenceServices; install KServe")
    world.apply(version(1))
    world.run(2)
    status = world.versions["signals-1"].status
    assert (status.state, status.reason, status.attempt) == (State.Pending, Reason.KServeMissing, 0)
    assert status.message == world.trouble.message
    assert [e.reason for e in world.events] == ["DependencyMissing"]
    world.run(900)
    world.trouble = None
    world.run(6)
    assert world.state("signals-1") is State.Live


def test_trouble_in_mid_rollout_changes_nothing_of_what_cannot_be_seen(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    seen, states = dict(served.running), served.states()
    writes = len(served.writes)
    served.trouble = Problem(Reason.KServeMissing, "KServe has gone")
    served.running, route = {}, (served.written, served.route_uid)
    served.route_uid = ""
    served.run(5)
    assert served.states() == states
    assert not [w for w in served.writes[writes:] if not w.startswith("record")]
    served.running, served.trouble, served.route_uid = seen, None, route[1]
    served.run(2)
    assert served.percent("signals-2") == 30


def test_trouble_while_deploying_stops_the_progress_clock(served: World) -> None:
    served.apply(version(2, rollout={**steps_of_ten(), "progressDeadline": "10s"}))
    served.run(0.1)
    served.remove("signals-2")
    served.trouble = Problem(Reason.EnvoyMissing, "no Envoy")
    served.run(30)
    status = served.versions["signals-2"].status
    assert (status.state, status.reason) == (State.Deploying, Reason.EnvoyMissing)
    served.trouble = None
    served.run(6)
    assert served.percent("signals-2") == 10


def steps_of_ten() -> dict[str, object]:
    return {"steps": [{"warmup": {"requests": 1}}, {"setWeight": 10}, {"pause": {"duration": "60s"}}]}
