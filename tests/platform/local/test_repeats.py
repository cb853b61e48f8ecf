"""What is repeated on stable and what is not: a budget by lot, a few beside it, and never what is no use repeating."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.platform.local.world import Answer, World, predictor
from turnout.cli.serving import tree
from turnout.gateway.clusters import SPARED
from turnout.view.tree import Traffic

pytestmark = pytest.mark.slow

RACE = 2  # each of Envoy's threads may let one more through


@asynccontextmanager
async def at_once(world: World, requests: int) -> AsyncIterator[list[asyncio.Task[Answer]]]:
    """Callers who all ask at the same time."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        crowd = World(world.folder, world.port, world.engine, world.queue, session)
        async with asyncio.TaskGroup() as group:
            yield [group.create_task(crowd.ask()) for _ in range(requests)]


async def has_now(world: World, cluster: str) -> int:
    """Requests that stable has at this moment, by the way on which they came."""
    stats = await world.engine.machine.envoy.stats()
    return stats.active.get(f"default/{world.revision(1).record.revision}{cluster}", 0)


async def test_a_candidate_with_a_fifth_of_the_traffic_costs_nobody_anything_however_many_ask_at_once(
    world: World,
) -> None:
    await world.deploy(1)
    await world.deploy(2, settings={"status": 500})
    await world.split((2, 20), (1, 80), fallback=1)
    async with at_once(world, 200) as answers:
        pass
    assert {(answer.result().status, answer.result().version) for answer in answers} == {(200, "1")}
    await world.until(lambda: world.traffic.requests == 200)
    assert world.traffic.versions["tiny-2"].unrepeated == 0


async def test_a_greater_share_is_repeated_up_to_a_fifth_of_what_stable_is_asked_and_a_few_at_a_time(
    world: World, tmp_path: Path
) -> None:
    gate, asked = tmp_path / "gate", 300
    await world.deploy(1, predictor=predictor(timeoutSeconds=120, settings={"gate": str(gate)}))
    await world.deploy(2, predictor=predictor(timeoutSeconds=120, settings={"status": 500}))
    await world.split((2, 50), (1, 50), fallback=1)
    async with at_once(world, asked) as answers, asyncio.timeout(60):
        repeats = own = told = 0
        while not told or told + own + repeats < asked:  # until nobody waits for the candidate any more
            await asyncio.sleep(0.05)
            repeats, own = await has_now(world, "/repeats"), await has_now(world, "")
            told = sum(answer.done() for answer in answers)
        gate.touch()
    assert told > 40
    by_lot = repeats - SPARED
    assert 8 < by_lot < 64 + RACE, "12 % of all, 5 sigma"
    assert by_lot < 0.2 * (own + by_lot) + 30, "a fifth, 5 sigma"
    ends = Counter((answer.result().status, answer.result().version) for answer in answers)
    assert ends == {(200, "1"): own + repeats, (500, "2"): told}
    await world.until(lambda: world.traffic.requests == asked)
    candidate = world.traffic.versions["tiny-2"]
    assert (candidate.failed, candidate.unrepeated) == (asked - own, told)
    assert world.traffic.versions["tiny-1"].repeated == repeats
    shown = {version.name: version.traffic for version in tree(world.engine).models[0].versions}
    assert shown["tiny-2"] == Traffic(candidate.requests, 0, asked - own, told)


async def test_what_is_no_use_repeating_is_told_the_caller(world: World) -> None:
    await world.deploy(1)
    await world.deploy(2, settings={"obeys": True})
    await world.split((2, 99), (1, 1), fallback=1)
    for status in ("400", "404", "409", "413", "429", "504"):
        answers = [await world.ask(**{"X-Status": status}) for _ in range(4)]
        assert not [answer for answer in answers if answer.body["attempt"] == "repeat"], status
        assert int(status) in {answer.status for answer in answers}
    for status in ("500", "501", "502", "503"):
        answers = [await world.ask(**{"X-Status": status}) for _ in range(4)]
        assert {answer.status for answer in answers} == {200}, status


async def test_nothing_is_repeated_for_a_caller_whose_time_is_over(world: World, tmp_path: Path) -> None:
    """The candidate says nothing at all; without a deadline its own limit would end the try, and stable answer."""
    await world.deploy(1)
    await world.deploy(2, predictor=predictor(timeoutSeconds=60, settings={"gate": str(tmp_path / "never")}))
    await world.split((2, 99), (1, 1), fallback=1)
    async with asyncio.timeout(30):
        for _ in range(3):
            await hurried(world)
    await world.until(lambda: world.traffic.requests == 3)
    assert world.traffic.versions.get("tiny-1") is None or world.traffic.versions["tiny-1"].repeated == 0


async def hurried(world: World) -> int:
    headers = {"X-Request-Deadline-Ms": "100"}
    async with world.session.post(f"{world.engine.url}/v2/models/tiny/infer", json={}, headers=headers) as answer:
        return answer.status


async def test_the_deadline_of_a_caller_ends_the_repeat_as_well(world: World, tmp_path: Path) -> None:
    await world.deploy(1, predictor=predictor(timeoutSeconds=60, settings={"gate": str(tmp_path / "never")}))
    await world.deploy(2, settings={"status": 500})
    await world.split((2, 99), (1, 1), fallback=1)
    async with asyncio.timeout(30):
        assert {await hurried(world) for _ in range(3)} == {504}


@pytest.mark.parametrize("deadline", ["soon", "", "-500", "1e3"])
async def test_a_deadline_that_is_no_number_of_milliseconds_changes_nothing(world: World, deadline: str) -> None:
    await world.deploy(1, settings={"seconds": 0.5})
    await world.split((1, 100))
    assert (await world.ask(**{"X-Request-Deadline-Ms": deadline})).status == 200
