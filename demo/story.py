"""What happens, in which order, and what is waited for. Each chapter fails with a sentence if its wait is in vain."""

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from demo import versions
from demo.callers import Callers
from demo.engine import Engine
from demo.recorder import Recorder
from demo.train import Trained
from turnout.api.reasons import State
from turnout.view.story import Mark, MarkKind

PATIENCE_SECONDS = 150.0
NIGHT = "digits-night"
JOURNAL = "journal-of-version-4"


class StoryError(Exception):
    """The story took another course than it should have."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it is told. `per_second`: requests; `breath`: seconds between chapters."""

    per_second: float = 80.0
    breath: float = 3.0


FAST = Pace(breath=1.0)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that the chapters play with."""

    files: Path
    trained: Trained
    engine: Engine
    callers: Callers
    night: Callers
    recorder: Recorder
    pace: Pace
    tell: Callable[[str], None]

    def apply(self, name: str, text: str) -> None:
        """Put a file where the engine looks; written aside first, so that it never reads half of it."""
        draft = self.files / f".{name}.draft"
        draft.write_text(text, "utf-8")
        draft.replace(self.files / f"{name}.yaml")

    async def until(self, name: str, reached: Callable[[], bool], what: str) -> None:
        """Wait for something to become true of a version."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not reached():
                    self.engine.check()
                    await asyncio.sleep(0.05)
                return
        seen = self.engine.version(name)
        stands = f"{seen.state} ({seen.reason}): {seen.message}" if seen else "not there"
        raise StoryError(f"{name} did not {what} within {PATIENCE_SECONDS:g} s; it is {stands}")

    async def until_state(self, name: str, *states: State) -> None:
        """Wait for one of the states; any other end of a rollout ends the wait."""

        def reached() -> bool:
            version = self.engine.version(name)
            return version is not None and version.state in {*states, State.Failed, State.RolledBack, State.Rejected}

        await self.until(name, reached, f"become {' or '.join(states)}")
        seen = self.engine.version(name)
        if seen and seen.state not in states:
            raise StoryError(f"{name} became {seen.state} ({seen.reason}), not {states[0]}: {seen.message}")


@dataclass(frozen=True, slots=True)
class Measured:
    """What only the story itself can time."""

    wake_seconds: float


async def play(stage: Stage) -> Measured:
    """All chapters."""
    await first_version(stage)
    asking = asyncio.create_task(stage.callers.keep_asking(stage.pace.per_second))
    try:
        await asyncio.sleep(stage.pace.breath)
        await better_version(stage)
        await asyncio.sleep(stage.pace.breath)
        await failing_version(stage)
        await asyncio.sleep(stage.pace.breath)
        await crashing_version(stage)
        await asyncio.sleep(stage.pace.breath)
        await broken_version(stage)
        measured = Measured(await sleeper(stage))
        await asyncio.sleep(stage.pace.breath)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    return measured


async def first_version(stage: Stage) -> None:
    stage.tell("Version 1, trained on 120 images only, is the first of its model: nothing stands in its way.")
    artifacts = stage.trained.artifacts
    stage.apply("digits-1", versions.first("digits", artifacts[1]))
    night = versions.first(NIGHT, artifacts[2], floor=0, retention="2s")
    stage.apply(f"{NIGHT}-1", night)
    await stage.until_state("digits-1", State.Live)
    await stage.until_state(f"{NIGHT}-1", State.Live)
    await stage.night.ask()
    stage.tell(f"Callers begin: {stage.pace.per_second:g} requests per second, and they will not stop.")


async def better_version(stage: Stage) -> None:
    stage.tell(
        "Version 2, trained on seven times as many, is applied: 10 %, 50 %, then all, each as soon as the judge has "
        "proof that it is good enough."
    )
    stage.apply("digits-2", versions.next_one(2, stage.trained.artifacts[2]))
    await stage.until_state("digits-2", State.Live)


async def failing_version(stage: Stage) -> None:
    stage.tell(
        "Version 3 passes every test, never crashes, and raises on one image in twenty. Only counting can tell: the "
        "judge compares it with version 2, every five seconds."
    )
    shutil.copy(Path(__file__).with_name("flawed_digits.py"), stage.files)
    stage.apply("digits-3", versions.flawed(3, stage.trained.artifacts[3]))
    await stage.until_state("digits-3", State.RolledBack)


async def crashing_version(stage: Stage) -> None:
    stage.tell("Version 4 passes every test and will die of its 12th real image, and again at each start.")
    shutil.copy(Path(__file__).with_name("shaky_digits.py"), stage.files)
    journal = stage.files.parent / JOURNAL
    stage.apply("digits-4", versions.shaky(4, stage.trained.artifacts[4], journal))
    await stage.until_state("digits-4", State.RolledBack)


async def broken_version(stage: Stage) -> None:
    stage.tell("Version 5 was copied only in part: half of its model file is missing.")
    stage.apply("digits-5", versions.next_one(5, stage.trained.artifacts[5]))
    await stage.until_state("digits-5", State.Failed)


async def sleeper(stage: Stage) -> float:
    """Returns how long the caller waited who woke it, in seconds."""

    def is_asleep() -> bool:
        version = stage.engine.version(f"{NIGHT}-1")
        return version is not None and version.asleep

    await stage.until(f"{NIGHT}-1", is_asleep, "fall asleep")
    stage.tell(f"Nobody has asked {NIGHT} for a while; it has no process. One caller asks now, and waits for it.")
    begin = time.perf_counter()
    await stage.night.ask()
    waited = time.perf_counter() - begin
    text = f"answers the caller who woke it, after {waited:.1f} s"
    stage.recorder.mark(NIGHT, Mark(round(stage.recorder.now, 3), MarkKind.WOKE, 1, text))
    return waited
