"""One version, then two: addresses, splits, repeats, and that no change of either loses a request."""

import asyncio
import os
import signal

import pytest

from tests.platform.local.world import Tally, World, predictor, stream

pytestmark = pytest.mark.slow


async def test_a_version_answers_by_path_by_host_and_at_its_own_address(world: World) -> None:
    await world.deploy(1)
    await world.split((1, 100))
    hosts = ("", "tiny.default.localhost", f"tiny.default.localhost:{world.port}", "tiny-1-predictor.default.localhost")
    for host in hosts:
        assert (await world.ask(host=host)).version == "1", host


async def test_a_version_without_a_share_answers_at_its_own_address_only(world: World) -> None:
    await world.deploy(1)
    await world.until(lambda: world.engine.machine.envoy.trouble is None)
    answer = await world.ask_until(200, host="tiny-1-predictor.default.localhost")
    assert answer.version == "1"
    nobody = await world.ask()
    assert nobody.status == 404
    assert nobody.body["error"] == "No model serves this address. Served here: nothing yet"


async def test_who_asks_for_an_unknown_model_is_told_what_is_served(world: World) -> None:
    await world.deploy(1)
    await world.split((1, 100))
    answer = await world.ask("/v2/models/tin/infer")
    assert answer.status == 404
    assert "/v2/models/tiny at tiny.default.localhost" in answer.body["error"]


async def test_a_split_holds_to_the_percent_and_is_observed(world: World) -> None:
    await world.deploy(1)
    await world.deploy(2)
    await world.split((1, 75), (2, 25))
    route = (await world.seen()).route
    assert route is not None
    assert route.in_sync
    assert route.observed == route.written
    assert [share.percent for share in route.observed] == [75, 25]
    tally = Tally()
    await stream(world, tally, per_second=300, seconds=4)
    assert not tally.failed
    assert tally.versions["2"] == pytest.approx(300, abs=75)  # 5 sigma


async def test_500_requests_a_second_survive_twenty_changes_of_weight(world: World) -> None:
    await world.deploy(1)
    await world.deploy(2)
    await world.split((1, 100))
    tally = Tally()
    load = asyncio.create_task(stream(world, tally, per_second=500, seconds=6))
    for n in range(20):
        await asyncio.sleep(0.25)
        percent = (n * 7) % 99 + 1
        await world.split((1, 100 - percent), (2, percent), fallback=1 if n % 2 else 0)
    await world.split((2, 100))
    await load
    assert tally.sent == 3000
    assert tally.failed == []
    assert set(tally.versions) == {"1", "2"}


async def test_what_fails_on_the_candidate_is_repeated_on_stable_and_counted(world: World) -> None:
    await world.deploy(1)
    await world.deploy(2, settings={"status": 500})
    await world.split((2, 50), (1, 50), fallback=1)
    answers = [await world.ask() for _ in range(60)]
    assert {(answer.status, answer.version) for answer in answers} == {(200, "1")}
    repeats = [answer for answer in answers if answer.body["attempt"] == "repeat"]
    assert 10 < len(repeats) < 50
    await world.until(lambda: world.traffic.requests == 60)
    traffic = world.traffic
    assert traffic.errors == 0
    assert traffic.versions["tiny-2"].failed == traffic.versions["tiny-2"].requests == len(repeats)
    assert traffic.versions["tiny-1"].repeated == len(repeats)


async def test_failures_are_counted_though_the_version_is_dropped_at_once(world: World) -> None:
    await world.deploy(1)
    await world.deploy(2, settings={"status": 500})
    await world.split((2, 99), (1, 1), fallback=1)
    for _ in range(10):
        assert (await world.ask()).status == 200
    await world.split((1, 100))
    await world.until(lambda: world.traffic.requests == 10)
    assert world.traffic.versions["tiny-2"].failed == world.traffic.versions["tiny-1"].repeated >= 8


async def test_without_a_fallback_the_caller_sees_the_failure_and_it_is_counted(world: World) -> None:
    await world.deploy(1, settings={"status": 500})
    await world.split((1, 100))
    assert (await world.ask()).status == 500
    await world.until(lambda: world.traffic.errors == 1)
    assert world.traffic.versions["tiny-1"].failed == 1


async def test_a_caller_cannot_pass_its_request_off_as_a_repeat(world: World) -> None:
    await world.deploy(1)
    await world.deploy(2)
    await world.split((2, 50), (1, 50), fallback=1)
    marks = {(await world.ask(**{"x-turnout-attempt": "repeat"})).body["attempt"] for _ in range(20)}
    assert "repeat" not in marks


async def test_a_candidate_that_crashes_under_load_fails_no_caller(world: World) -> None:
    await world.deploy(1)
    candidate = await world.deploy(2)
    await world.split((2, 20), (1, 80), fallback=1)
    tally = Tally()
    load = asyncio.create_task(stream(world, tally, per_second=200, seconds=4))
    for _ in range(3):
        await asyncio.sleep(0.7)
        candidate.replicas[0].signal(signal.SIGKILL)
    await load
    assert tally.failed == []
    assert tally.sent == 800
    assert tally.slowest < 2


async def test_a_candidate_that_is_stopped_fails_no_caller_and_those_it_holds_wait_for_its_timeout(
    world: World,
) -> None:
    await world.deploy(1)
    candidate = await world.deploy(2, predictor=predictor(timeoutSeconds=4))
    await world.split((2, 20), (1, 80), fallback=1)
    tally = Tally()
    load = asyncio.create_task(stream(world, tally, per_second=100, seconds=5))
    await asyncio.sleep(1)
    candidate.replicas[0].signal(signal.SIGSTOP)
    await load
    assert tally.failed == []
    assert not candidate.replicas[0].ready
    assert tally.slowest < 5


async def test_a_stable_that_crashes_alone_makes_callers_wait_not_fail(world: World) -> None:
    stable = await world.deploy(1)
    await world.split((1, 100))
    await world.ask()
    pid = stable.replicas[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await world.until(lambda: not stable.ready)
    answer = await world.ask()
    assert answer.version == "1"
    assert answer.body["pid"] != pid


async def test_pods_that_leave_finish_what_they_accepted(world: World) -> None:
    revision = await world.deploy(1, pods=2, settings={"seconds": 0.6})
    await world.split((1, 100))
    load = [asyncio.create_task(world.ask()) for _ in range(20)]
    await asyncio.sleep(0.2)
    seen = revision.seen()
    assert seen.revision is not None
    knobs = seen.revision.autoscaling
    revision.scale(type(knobs)(1, 1, knobs.retention))
    await world.until(lambda: len(revision.replicas) == 1)
    assert {answer.status for answer in await asyncio.gather(*load)} == {200}
