"""`python -m demo`: sets the stage, plays the story, draws the page, and says what was measured."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from demo.callers import PATIENCE_WITH_SLEEPERS, Callers, Tally
from demo.engine import Engine, EngineError, free_port
from demo.recorder import Recorder
from demo.report import results, story, summary
from demo.story import FAST, JOURNAL, NIGHT, Measured, Pace, Stage, StoryError, play
from demo.teller import WIDEST, Teller, shown
from demo.train import Trained, train
from turnout.cli.local_world import holder
from turnout.view.account import Account
from turnout.view.html import render_page
from turnout.view.live import Screen, terminal_size

FOLDER = Path(".demo")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="Plays a whole story of rollouts on this machine, with real processes."
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"what it writes, made anew; default {FOLDER}")
    parser.add_argument("--port", type=int, default=8080, help="default 8080, or a free one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured")
    parser.add_argument("--fast", action="store_true", help="shorter pauses, fewer requests")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    # a process that may not keep its bytecode compiles scikit-learn at each start: seconds instead of one
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        folder = clear(args.folder)
        print("Training two models on scikit-learn's handwritten digits ...", flush=True)
        with heard(signal.SIGINT):
            trained = train(folder / "models")
        return asyncio.run(until_told_to_stop(play_on(folder, trained, args)))
    except KeyboardInterrupt:
        print("Stopped; every process has ended.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the story has gone; stdout must not complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (EngineError, StoryError) as fault:
        print(f"demo: {fault}", file=sys.stderr)
        return 1


@contextmanager
def heard(sign: signal.Signals) -> Iterator[None]:
    """KeyboardInterrupt at the latest when the block ends: libraries swallow one that meets them in a callback."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    before = signal.signal(sign, note)
    try:
        yield
    finally:
        signal.signal(sign, before)
    if came:
        raise KeyboardInterrupt


def clear(folder: Path) -> Path:
    """Remove what an earlier demo has left, and nothing else."""
    engine = holder(folder / "state")
    if engine is not None:
        raise EngineError(f"process {engine.pid} is at work in {folder}/state: stop it, or use --folder")
    for name in ("models", "state", "versions"):
        shutil.rmtree(folder / name, ignore_errors=True)
    with suppress(OSError):
        (folder / JOURNAL).unlink()
    try:
        (folder / "versions").mkdir(parents=True)
    except OSError as fault:
        raise EngineError(f"{folder} cannot be made: {fault.strerror}; give --folder another place") from fault
    return folder.absolute()


async def until_told_to_stop(work: Coroutine[None, None, int]) -> int:
    """SIGINT and SIGTERM end the story in order: callers first, then the engine with all that it has started."""
    task = asyncio.ensure_future(work)
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def play_on(folder: Path, trained: Trained, args: argparse.Namespace) -> int:
    """The whole story on a terminal, then the page and the numbers. The exit code says whether it came true."""
    engine = Engine(folder / "state", folder / "versions", free_port(args.port))
    async with engine, AsyncExitStack() as stack:
        screen = stack.enter_context(Screen(sys.stdout))
        callers = await stack.enter_async_context(Callers(engine.url, "digits", trained.questions))
        night = await stack.enter_async_context(Callers(engine.url, NIGHT, trained.questions, PATIENCE_WITH_SLEEPERS))
        tallies = {"digits": callers.tally, NIGHT: night.tally}
        teller = Teller(screen)
        recorder = Recorder(engine, tallies, folder / JOURNAL, teller.mark, teller.tree)
        stack.push_async_callback(ended, asyncio.create_task(recorder.keep_watching()))
        teller.chapter(f"turnout up is running at {engine.url}; its log: {shown(engine.log)}")
        pace = FAST if args.fast else Pace()
        stage = Stage(folder / "versions", trained, engine, callers, night, recorder, pace, teller.chapter)
        measured = await play(stage)
        recorder.look()
        seconds = recorder.now
    return finish(folder, recorder, tallies, measured, seconds, engine.accounts(), args.json)


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def finish(
    folder: Path,
    recorder: Recorder,
    tallies: dict[str, Tally],
    measured: Measured,
    seconds: float,
    accounts: tuple[Account, ...],
    json_file: Path | None,
) -> int:
    """Write the page and the numbers; say what was measured and what was not kept."""
    page = folder / "story.html"
    found = results(recorder, tallies, measured, seconds, shown(page))
    page.write_text(render_page(story(recorder, found, tallies, accounts)), "utf-8")
    if json_file:
        json_file.write_text(json.dumps(found.as_json(), indent=1), "utf-8")
    width = min(terminal_size()[0], WIDEST)
    print(f"\n{summary(found, shown(folder), width)}")
    broken = list(found.broken_promises())
    for sentence in broken:
        print(f"demo: {sentence}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
