"""What `turnout up` runs: the local engine, the controller and the files, until a signal."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path

from turnout.api.moments import moment
from turnout.cli.command import UserError
from turnout.controller import Controller, Queue
from turnout.controller.guarding import Guarded
from turnout.judge.sequential import SequentialJudge
from turnout.platform.local.engine import LocalEngine
from turnout.platform.local.machine import Settings
from turnout.platform.local.meaning import without_meaning
from turnout.platform.local.records import EventRecord
from turnout.platform.local.watching import readings
from turnout.rollout.decide import decide
from turnout.view.ink import glyphs_for, has_colour
from turnout.view.live import Screen
from turnout.view.text import render_text
from turnout.view.tree import Clients, Traffic, Tree, tree_of

FRAME = 0.5  # seconds between two looks at the tree
ORDERS = 0.2  # seconds between two looks at what commands ask for


async def serve(settings: Settings, files: Sequence[Path], *, quiet: bool = False, plain: bool = False) -> None:
    """The engine, the controller and the files, until SIGINT or SIGTERM."""
    queue = Queue()
    stopped = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stopped.set)
    with Screen(sys.stdout) as screen:
        screen.is_live = screen.is_live and not (plain or quiet)
        say = (lambda line: None) if quiet else screen.say
        async with LocalEngine(settings, queue.add, lambda key, event: say(line_of(event))) as engine:
            if engine.trouble is not None:
                raise UserError(engine.trouble.message)
            say(f"Serving at {engine.url} ; Ctrl-C ends it. Logs: {engine.folder.logs}")
            controller = Controller(engine, queue, partial(decide, judge=Guarded(SequentialJudge())))
            following, obeying = _follow(engine, files, screen), _obey(engine, screen)
            watching = _draw(engine, screen), _complain(engine, screen)
            await _until_first(controller.run(), following, obeying, *watching, stopped.wait())
            screen.show("")


async def _until_first(*work: Coroutine[object, object, object]) -> None:
    """Run all of it until one ends, then end the rest; what failed is raised."""
    tasks = [asyncio.create_task(each) for each in work]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


async def _follow(engine: LocalEngine, files: Sequence[Path], screen: Screen) -> None:
    """Take the files now and whenever they change; each problem and each idle field is told once."""
    known: set[str] = set()
    async for loaded in readings(files):
        changes = engine.take(loaded)
        known_sources = engine.settings.sources
        idle = (line for version in loaded.versions for line in without_meaning(version, known_sources))
        lines = (*changes.problems, *idle)
        for line in lines:
            if line not in known:
                screen.say(line)
        known = set(lines)


async def _obey(engine: LocalEngine, screen: Screen) -> None:
    """Take what `turnout promote` and its like ask for, from other terminals."""
    while True:
        for line in engine.obey():
            screen.say(f"turnout: {line}")
        await asyncio.sleep(ORDERS)


async def _draw(engine: LocalEngine, screen: Screen) -> None:
    colour, glyphs = has_colour(screen.stream), glyphs_for(screen.stream)
    while screen.is_live:  # else nobody looks, and a tree of many versions takes its time
        screen.show(render_text(tree(engine), width=screen.width, colour=colour, glyphs=glyphs))
        await asyncio.sleep(FRAME)
    await asyncio.Event().wait()


async def _complain(engine: LocalEngine, screen: Screen) -> None:
    """Tell once of each trouble with the folder; models are served on meanwhile."""
    told: set[str] = set()
    while True:
        trouble = engine.folder.trouble
        if trouble and trouble not in told:
            told.add(trouble)
            screen.say(f"turnout: {trouble}")
        await asyncio.sleep(FRAME)


def tree(engine: LocalEngine) -> Tree:
    """The engine's versions with what Envoy has counted."""
    models = engine.machine.traffic.items()
    counts = {
        (key.namespace, name): Traffic(each.requests + each.repeated, each.repeated, each.failed, each.unrepeated)
        for key, model in models
        for name, each in model.versions.items()
    }
    clients = Clients(sum(model.requests for _, model in models), sum(model.errors for _, model in models))
    return tree_of(engine.versions, traffic=counts, source=engine.url, clients=clients)


def line_of(event: EventRecord) -> str:
    """An event as one line, in the clock of the messages."""
    return f"{moment(event.time, event.time)}  {event.version:<20}  {event.reason:<18}  {event.message}"
