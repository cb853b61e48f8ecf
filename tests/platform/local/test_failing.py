"""Everything that goes wrong with a process, the port, Envoy or the engine itself."""

import asyncio
import os
import signal
import socket
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.platform.local.conftest import Start
from tests.platform.local.world import INFER, KEY, World
from turnout.api.reasons import Reason
from turnout.platform.local.engine import LocalEngine
from turnout.platform.local.folder import HeldError
from turnout.platform.local.machine import Settings
from turnout.platform.local.process import start_of
from turnout.platform.protocol import Conflict, Unavailable
from turnout.rollout.plan import Deploy, Retire
from turnout.rollout.snapshot import Deployment

pytestmark = pytest.mark.slow


async def test_a_crash_is_seen_at_once_with_its_exit_code_and_last_words(world: World) -> None:
    revision = await world.deploy(1, settings={"crash_after": 0})
    await world.split((1, 100))
    began = datetime.now(UTC)
    asking = asyncio.create_task(world.ask())
    seen = await world.until_seen(lambda seen: seen.deployments[0].revision and seen.deployments[0].revision.crash)
    fact = seen.deployments[0].revision
    assert fact is not None
    assert fact.crash is not None
    assert (datetime.now(UTC) - began).total_seconds() < 1
    assert fact.crash.exit_code == 3
    assert f"log: {world.engine.folder.logs / 'tiny-1-1.log'}" in fact.crash.message
    assert not fact.starting
    assert fact.ready_pods == 0
    assert fact.ready_at is not None
    assert fact.crash.at > fact.ready_at
    await world.until(lambda: revision.ready)
    back = (await world.seen()).deployments[0].revision
    assert back is not None
    assert back.crash is None
    asking.cancel()


async def test_a_crash_loop_is_started_later_and_later_and_its_logs_are_kept(world: World) -> None:
    revision = await world.deploy_soon(1, settings={"exit_at_start": 5})
    moments: list[datetime] = []

    def third_crash() -> bool:
        crash = revision.replicas[0].crash
        if crash is not None and crash.at not in moments:
            moments.append(crash.at)
        return len(moments) == 3

    await world.until(third_crash)
    first, second = ((later - sooner).total_seconds() for sooner, later in pairwise(moments))
    assert first >= 0.5
    assert second >= 1.0
    logs = world.engine.folder.logs
    assert sorted(path.name for path in logs.glob("tiny-1-1.log*")) == [
        "tiny-1-1.log",
        "tiny-1-1.log.1",
        "tiny-1-1.log.2",
    ]
    seen = revision.seen().revision
    assert seen is not None
    assert seen.starting
    assert seen.crash is not None
    assert "tiny gives up" in seen.crash.message


async def test_exit_78_is_a_problem_for_good_in_the_process_own_words(world: World) -> None:
    words = {"reason": "ArtifactDigestMismatch", "message": "model.skops is not what the digest names"}
    revision = await world.deploy_soon(1, settings={"refuse": words})
    seen = await world.until_seen(lambda seen: seen.deployments[0].problem)
    problem = seen.deployments[0].problem
    assert problem is not None
    assert (problem.reason, problem.message, problem.permanent) == (
        Reason.ArtifactDigestMismatch,
        "model.skops is not what the digest names",
        True,
    )
    await asyncio.sleep(1.2)
    assert revision.replicas[0].starts == 1


async def test_exit_75_is_a_problem_in_the_process_own_words_and_it_is_started_again(world: World) -> None:
    words = {"reason": "ArtifactUnreachable", "message": "the store answers 503"}
    revision = await world.deploy_soon(1, settings={"refuse": words, "refuse_with": 75})
    seen = await world.until_seen(lambda seen: seen.deployments[0].problem)
    problem = seen.deployments[0].problem
    assert problem is not None
    assert (problem.reason, problem.permanent) == (Reason.ArtifactUnreachable, False)
    await world.until(lambda: revision.replicas[0].starts >= 2)


async def test_why_a_further_pod_is_missing_is_told_beside_one_that_serves(world: World, tmp_path: Path) -> None:
    words, gone = {"reason": "ArtifactNotFound", "message": "models/1 is not there"}, tmp_path / "gone"
    revision = await world.deploy(1, settings={"refuse": words, "refuse_once": str(gone)})
    gone.touch()
    knobs = revision.record.autoscaling
    revision.scale(type(knobs)(2, 3, knobs.retention))
    seen = await world.until_seen(lambda seen: seen.deployments[0].problem)
    problem = seen.deployments[0].problem
    assert problem is not None
    assert (problem.reason, problem.message) == (Reason.ArtifactNotFound, "models/1 is not there")
    assert not problem.permanent, "there is no attempt that should fail for it"
    assert len(revision.ready) == 1


@pytest.mark.parametrize("words", [{"reason": "NoSuchReason", "message": "x"}, "no object"])
async def test_exit_78_without_usable_words_is_a_failed_load(world: World, words: object) -> None:
    await world.deploy_soon(1, settings={"refuse": words})
    seen = await world.until_seen(lambda seen: seen.deployments[0].problem)
    assert seen.deployments[0].problem is not None
    assert seen.deployments[0].problem.reason is Reason.LoadFailed


async def test_who_asks_a_version_that_can_never_start_is_told_why_at_once(world: World) -> None:
    await world.deploy_soon(1, settings={"refuse": {"reason": "LoadFailed", "message": "no such file"}})
    await world.until_seen(lambda seen: seen.deployments[0].problem)
    answer = await world.ask_until(503, host="tiny-1-predictor.default.localhost")
    assert answer.body["error"] == "no such file"


async def test_who_asks_a_version_that_ends_again_and_again_is_told_so_and_does_not_hang(world: World) -> None:
    revision = await world.deploy_soon(1, settings={"exit_at_start": 5})
    await world.split((1, 100))
    asking = asyncio.create_task(world.ask())
    await world.until(lambda: revision.replicas[0].starts == 3)
    answer = await asyncio.wait_for(asking, 8)
    assert answer.status == 503
    assert "tiny-1-1 ends again and again, last with exit code 5: tiny gives up" in answer.body["error"]


async def test_a_stopped_process_loses_readiness_within_three_seconds_and_gets_it_back(world: World) -> None:
    revision = await world.deploy(1)
    await world.split((1, 100))
    await asyncio.sleep(0.6)
    revision.replicas[0].signal(signal.SIGSTOP)
    stopped = datetime.now(UTC)
    seen = await world.until_seen(
        lambda seen: seen.deployments[0].revision and not seen.deployments[0].revision.ready_pods
    )
    assert (datetime.now(UTC) - stopped).total_seconds() < 3.5
    fact = seen.deployments[0].revision
    assert fact is not None
    assert (fact.crash, fact.starting) == (None, False)
    revision.replicas[0].signal(signal.SIGCONT)
    await world.until(lambda: revision.ready)


async def test_a_command_that_cannot_be_started_is_a_crash_with_a_sentence(start: Start) -> None:
    world = await start(command=("/no/such/python",))
    revision = await world.deploy_soon(1)
    await world.until(lambda: revision.replicas[0].crash)
    crash = revision.replicas[0].crash
    assert crash is not None
    assert crash.exit_code == 127
    assert "cannot start /no/such/python" in crash.message


async def test_a_taken_port_is_trouble_that_names_who_and_the_flag(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        world = await start(port=port)
        trouble = (await world.seen()).trouble
        assert trouble is not None
        assert trouble.reason is Reason.PortTaken
        assert f"Port {port} of 127.0.0.1 is taken by process {os.getpid()}" in trouble.message
        assert "--port" in trouble.message
    await world.until(lambda: world.engine.trouble is None)


async def test_a_missing_envoy_is_trouble_with_the_way_out_and_traffic_is_unwritable(start: Start) -> None:
    world = await start(find_envoy=lambda: None)
    trouble = (await world.seen()).trouble
    assert trouble is not None
    assert trouble.reason is Reason.EnvoyMissing
    assert "pip install 'turnout[local]'" in trouble.message
    await world.deploy(1)
    with pytest.raises(Unavailable):
        await world.split((1, 100))
    route = (await world.seen()).route
    assert route is not None
    assert route.problem is not None
    assert route.problem.reason is Reason.TrafficUnwritable
    assert not route.in_sync
    assert route.unsynced_since is not None


async def test_a_killed_envoy_is_started_again_with_what_it_served(world: World) -> None:
    await world.deploy(1)
    await world.split((1, 100))
    envoy = world.engine.machine.envoy
    assert envoy.pid is not None
    os.kill(envoy.pid, signal.SIGKILL)
    await world.until(lambda: envoy.starts == 2 and envoy.trouble is None)
    assert (await world.ask()).version == "1"
    route = (await world.seen()).route
    assert route is not None
    assert route.in_sync


async def test_a_second_engine_in_the_folder_is_told_who_holds_it(world: World) -> None:
    second = LocalEngine(Settings(folder=world.engine.settings.folder, port=1), lambda _: None)
    with pytest.raises(HeldError, match=rf"is held by process {os.getpid()} \(.*\) since 20.*--state another folder"):
        await second.__aenter__()


async def test_an_engine_that_ends_leaves_no_process_and_frees_its_folder(start: Start) -> None:
    world = await start()
    revision = await world.deploy(1, pods=2)
    pids = [replica.pid for replica in revision.replicas] + [world.engine.machine.envoy.pid]
    await world.engine.__aexit__(None, None, None)
    assert [start_of(pid) for pid in pids if pid] == ["", "", ""]
    assert (world.engine.folder.path / "lock").read_text() == ""
    again = await start()
    assert [version.name for version in again.engine.versions] == ["tiny-1"]


async def _status(world: World) -> int:
    async with world.session.post(f"{world.engine.url}{INFER}", json={}) as answer:
        return answer.status


async def test_a_disk_that_is_full_is_trouble_while_serving_goes_on_and_the_engine_ends_in_order(world: World) -> None:
    revision = await world.deploy(1)
    await world.split((1, 100))
    assert (await world.ask()).version == "1"
    folder = world.engine.folder
    drafts = [
        file.with_name(f".{file.name}.draft")
        for where in (folder.state, folder.state / "versions", folder.run)
        for file in where.glob("*.json")
    ]
    for draft in drafts:
        draft.symlink_to("/dev/full")
    revision.replicas[0].signal(signal.SIGKILL)
    await world.until(lambda: "cannot be written: No space left on device; make room" in folder.trouble)
    for draft in drafts:
        draft.unlink()
    async with asyncio.timeout(20):
        # Envoy's own 503 is no JSON, and that it hears of the new process is no event here
        while await _status(world) != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await world.until(lambda: not folder.trouble)
    for draft in drafts:
        draft.symlink_to("/dev/full")
    pids = [revision.replicas[0].pid, world.engine.machine.envoy.pid]
    await world.engine.__aexit__(None, None, None)
    assert [start_of(pid) for pid in pids if pid] == ["", ""]


async def test_a_gateway_file_that_cannot_be_written_is_unavailable(world: World) -> None:
    await world.deploy(1)
    (world.engine.folder.run / ".routes.json.draft").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="cannot be written: No space left on device; make room"):
        await world.split((1, 100))


async def test_deploying_again_changes_nothing_and_another_spec_conflicts(world: World) -> None:
    revision = await world.deploy(1)
    version = revision.record.version
    await world.engine.deploy(KEY, Deploy(version, "", revision.record.spec_hash, ()))
    assert world.revision(1) is revision
    with pytest.raises(Conflict, match="tiny-1 still runs as it was before"):
        await world.engine.deploy(KEY, Deploy(version, "", "another", ()))


async def test_a_deployment_of_another_uid_is_not_retired(world: World) -> None:
    revision = await world.deploy(1)
    stale = Deployment("tiny-1", "another uid", 1, "")
    await world.engine.retire(KEY, Retire(stale, "test"))
    assert not revision.leaving


async def test_a_retired_deployment_is_leaving_until_its_pods_are_gone(world: World) -> None:
    revision = await world.deploy(1)
    pid = revision.replicas[0].pid
    await world.engine.retire(KEY, Retire(revision.seen(), "test"))
    assert (await world.seen()).deployments[0].leaving
    await world.until_seen(lambda seen: not seen.deployments)
    assert pid is not None
    assert start_of(pid) == ""


@pytest.mark.parametrize("seconds", [0.0, 0.5], ids=["just told to go", "draining"])
async def test_an_engine_that_ends_while_a_version_is_retired_leaves_no_process(world: World, seconds: float) -> None:
    revision = await world.deploy(1, settings={"seconds": 30})
    await world.split((1, 100))
    pid = revision.replicas[0].pid
    asking = asyncio.create_task(world.ask())
    await asyncio.sleep(0.3)
    await world.engine.retire(KEY, Retire(revision.seen(), "test"))
    await asyncio.sleep(seconds)
    await world.engine.__aexit__(None, None, None)
    assert pid is not None
    assert start_of(pid) == ""
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_broken_record_is_forgotten_not_guessed(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state" / "state"
    (state / "versions").mkdir(parents=True)
    (state / "deployments.json").write_text('[{"uid": 1}]')
    (state / "versions" / "default.tiny-1.json").write_text("{ half a file")
    (state / "versions" / "default.tiny-2.json").write_text('{"object": {"kind": "ModelVersion"}, "file": ""}')
    world = await start()
    assert not list(world.engine.keys())
