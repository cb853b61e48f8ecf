"""What people on duty say by command reaches a running engine, and no file of theirs is touched by it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.platform.local.world import World
from turnout.api.reasons import State
from turnout.cli import main
from turnout.platform.local.overlay import Request, leave
from turnout.platform.local.store import key_of

WARMUP = {"warmup": {"requests": 2, "timeout": "10s"}}
WAITS = {"steps": [WARMUP, {"setWeight": 50}, {"approval": {}}], "abortScaleDownDelay": "0s"}


@pytest.fixture
async def duty(controlled: World) -> AsyncIterator[World]:
    """An engine with its controller that looks at what commands ask for, as `turnout up` does."""

    async def obey() -> None:
        while True:
            assert not controlled.engine.obey()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(obey())
    yield controlled
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def say(world: World, *arguments: str) -> None:
    """A command from another terminal, until the engine has taken it up."""
    where = ("--state", str(world.engine.folder.path), "--wait", "--timeout", "30s")
    assert await asyncio.to_thread(main, [*arguments, *where]) == 0, arguments


async def until(world: World, number: int, state: State) -> None:
    await world.until(lambda: world.status(number).state is state, seconds=30)


async def test_a_rollout_is_promoted_paused_aborted_retried_and_rolled_back_by_command(
    duty: World, capsys: pytest.CaptureFixture[str]
) -> None:
    duty.write(1)
    duty.read()
    await until(duty, 1, State.Live)
    file = duty.write(2, rollout=WAITS)
    before = file.read_text()
    duty.read()
    await until(duty, 2, State.Paused)
    await say(duty, "pause", "tiny")
    assert duty.status(2).control.paused_since is not None
    await say(duty, "resume", "tiny")
    await say(duty, "abort", "tiny")
    await until(duty, 2, State.Aborted)
    await say(duty, "retry", "tiny")
    await until(duty, 2, State.Paused)
    await say(duty, "promote", "tiny")
    await until(duty, 2, State.Live)
    await say(duty, "rollback", "tiny")
    await until(duty, 1, State.Live)
    assert (await duty.ask()).version == "1"
    said = capsys.readouterr().out
    assert "tiny-2: ends its step 3/3 now" in said
    assert "control.abort was still true and would refuse it: set to false" in said
    assert file.read_text() == before
    assert [attempt.outcome for attempt in duty.status(2).history][:1] == ["Aborted"]


async def test_what_a_command_has_said_ends_where_the_file_says_something_else(duty: World) -> None:
    duty.write(1)
    duty.read()
    await until(duty, 1, State.Live)
    duty.write(2, rollout=WAITS)
    duty.read()
    await until(duty, 2, State.Paused)
    await say(duty, "pause", "tiny")
    assert duty.status(2).control.paused_since is not None
    duty.write(2, rollout=WAITS, control={"promote": {"token": "by-file"}})
    duty.read()
    await duty.until(lambda: duty.status(2).control.paused_since is None)


async def test_a_promotion_that_comes_too_late_is_told_among_the_versions_events(world: World) -> None:
    """Where the command that waits for it says that the reason stands."""
    world.write(1)
    world.read()
    (version,) = world.engine.versions
    wish = Request(
        namespace=version.namespace,
        name=version.name,
        uid=version.uid,
        spec={"control": {"promote": {"mode": "NextStep", "token": "t1"}}},
        step="9.9",
    )
    leave(world.engine.folder.state, wish)
    assert world.engine.obey() == ()
    (event,) = world.engine.events(key_of(version))
    assert (event.version, event.reason, event.warning) == (version.name, "ControlRejected", True)
    assert "has gone on to another step meanwhile" in event.message
