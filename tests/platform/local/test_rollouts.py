"""Files in, rollouts out: the engine with its controller, through good and bad versions, kills and edits."""

import asyncio
import signal

import pytest

from tests.platform.local.conftest import Start
from tests.platform.local.world import KEY, Tally, World, stream
from turnout.api.reasons import Reason, State

pytestmark = pytest.mark.slow


async def serving(world: World, number: int) -> None:
    world.write(number)
    assert not world.read()
    await world.until(lambda: world.status(number).state is State.Live)


async def test_a_second_version_takes_over_step_by_step_and_no_caller_notices(controlled: World) -> None:
    await serving(controlled, 1)
    tally = Tally()
    load = asyncio.create_task(stream(controlled, tally, per_second=100, seconds=6))
    await serving(controlled, 2)
    assert (await controlled.ask()).version == "2"
    assert controlled.status(1).state is State.Standby
    await load
    assert tally.failed == []
    assert set(tally.versions) == {"1", "2"}
    steps = [event.reason for event in controlled.events if event.version == "tiny-2"]
    assert steps[0] == "RolloutStarted"
    assert steps[-1] == "Promoted"


async def test_a_file_that_names_a_clusters_prometheus_runs_and_is_judged_by_its_own_counters(world: World) -> None:
    metric = {"name": "depth", "query": "depth", "max": "9"}
    world.write(1, analysis={"source": {"prometheus": "cluster"}, "custom": [metric]})
    assert not world.read()
    (acted_upon,) = (await world.seen()).versions
    assert (acted_upon.spec.analysis.source.prometheus, acted_upon.spec.analysis.custom) == ("", ())
    (kept,) = world.engine.versions
    assert kept.spec.analysis.source.prometheus == "cluster"


async def test_a_version_that_crashes_in_traffic_is_out_within_a_second_and_no_caller_fails(controlled: World) -> None:
    await serving(controlled, 1)
    tally = Tally()
    load = asyncio.create_task(stream(controlled, tally, per_second=100, seconds=6))
    controlled.write(2, settings={"crash_after": 20})
    controlled.read()
    await controlled.until(lambda: controlled.status(2).state in {State.RollingBack, State.RolledBack})
    crash = (
        controlled.revision(2).replicas[0].crash if controlled.engine.machine.revision("default", "tiny-2") else None
    )
    await load
    assert tally.failed == []
    assert controlled.status(2).reason is Reason.Crashed
    assert controlled.engine.machine.envoy.observed[KEY][0].percent == 100
    dropped = next(event for event in controlled.events if event.reason == "Dropped")
    assert crash is None or (dropped.time - crash.at).total_seconds() < 1
    assert (await controlled.ask()).version == "1"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"refuse": {"reason": "ArtifactDigestMismatch", "message": "not the bytes"}}, Reason.ArtifactDigestMismatch),
        ({"wrong": True}, Reason.WrongAnswer),
    ],
)
async def test_a_version_that_cannot_serve_never_gets_a_request(
    controlled: World, settings: dict[str, object], reason: Reason
) -> None:
    await serving(controlled, 1)
    controlled.write(2, settings=settings)
    controlled.read()
    await controlled.until(lambda: controlled.status(2).state is State.Failed)
    assert controlled.status(2).reason is reason
    assert {(await controlled.ask()).version for _ in range(10)} == {"1"}


async def test_deleting_the_only_file_ends_everything_of_the_model(controlled: World) -> None:
    await serving(controlled, 1)
    (controlled.folder / "tiny-1.yaml").unlink()
    controlled.write(1, text="# nothing\n", file="other.yaml")
    assert not controlled.read()
    await controlled.until(lambda: not list(controlled.engine.keys()))
    assert (await controlled.ask_until(404)).status == 404


async def test_deleting_the_serving_version_cuts_nothing_while_another_takes_over(controlled: World) -> None:
    await serving(controlled, 1)
    tally = Tally()
    load = asyncio.create_task(stream(controlled, tally, per_second=100, seconds=6))
    (controlled.folder / "tiny-1.yaml").unlink()
    await serving(controlled, 2)
    await load
    assert tally.failed == []
    assert (await controlled.ask()).version == "2"


async def test_a_started_again_engine_goes_on_where_the_former_one_was(start: Start) -> None:
    former = await start(controlled=True)
    await serving(former, 1)
    long_step = [{"warmup": {"requests": 1, "timeout": "10s"}}, {"setWeight": 30}, {"pause": {"duration": "1h"}}]
    former.write(2, rollout={"steps": long_step})
    former.read()
    await former.until(lambda: former.status(2).state is State.Paused)
    uids = {version.name: version.uid for version in former.engine.versions}
    await former.engine.__aexit__(None, None, None)
    latter = await start(controlled=True)
    assert not latter.read()
    await latter.until(lambda: latter.status(2).weight.observed == 30 and len(latter.revision(2).ready) == 1)
    assert {version.name: version.uid for version in latter.engine.versions} == uids
    assert latter.status(2).state is State.Paused
    assert {(await latter.ask()).version for _ in range(40)} == {"1", "2"}


async def test_a_stopped_candidate_is_out_within_five_seconds(controlled: World) -> None:
    await serving(controlled, 1)
    steps = [{"warmup": {"requests": 1, "timeout": "10s"}}, {"setWeight": 30}, {"pause": {"duration": "1h"}}]
    controlled.write(2, rollout={"steps": steps, "abortScaleDownDelay": "0s"})
    controlled.read()
    await controlled.until(lambda: controlled.status(2).state is State.Paused)
    controlled.revision(2).replicas[0].signal(signal.SIGSTOP)
    await controlled.until(lambda: len(controlled.engine.machine.envoy.observed[KEY]) == 1, seconds=6.5)
    await controlled.until(lambda: controlled.status(2).reason is Reason.ReadinessLost)
