"""Carrying out wishes: send the patch, as often as the version changes meanwhile, and wait for the engine's word."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from shlex import quote

from turnout.api.reasons import FAILED_STATES
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.cli.command import UserError
from turnout.cli.wishes import Wish
from turnout.cli.worlds import ChangedMeanwhileError, World

TRIES = 8
AGAIN_SECONDS = 0.1
LOOK_EVERY_SECONDS = 0.5
NOT_ACCEPTED = 3
"""The exit code where the engine did not take a wish up in time."""


def carry_out(world: World, args: argparse.Namespace, wishes: Callable[[], Sequence[Wish]]) -> int:
    """What `wishes` makes of the world as it is now: shown, sent and, if asked for, waited for."""
    if args.dry_run:
        for wish in wishes():
            print(_shown(wish))
            print(as_kubectl(wish))
        return 0
    sent = _send(world, wishes)
    if world.caution:
        print(f"turnout: {world.caution}", file=sys.stderr)
    return _wait(world, sent, args.timeout) if args.wait else 0


def _send(world: World, wishes: Callable[[], Sequence[Wish]]) -> tuple[Wish, ...]:
    """Each is sent once; where its version has changed meanwhile, what is still to do is decided anew."""
    sent: list[Wish] = []
    for _ in range(TRIES):
        try:
            for wish in wishes():
                if any(wish.version.uid == done.version.uid for done in sent):
                    continue
                world.change(wish.version, wish.spec)
                sent.append(wish)
                print(_shown(wish))
        except ChangedMeanwhileError:
            time.sleep(AGAIN_SECONDS)
        else:
            return tuple(sent)
    raise UserError(f"somebody else keeps changing the versions in {world.place}: nothing more was asked; try again")


def _shown(wish: Wish) -> str:
    return "\n  ".join((f"{wish.version.name}: {wish.says}", *wish.notes))


def as_kubectl(wish: Wish) -> str:
    """The same by hand."""
    patch = json.dumps({"spec": wish.spec}, separators=(",", ":"))
    name, namespace = wish.version.name, wish.version.namespace
    return f"kubectl patch modelversion {name} --namespace {namespace} --type merge --patch {quote(patch)}"


def _wait(world: World, wishes: Sequence[Wish], timeout: float) -> int:
    """0 once the engine has taken up every wish; each change on the way is a line."""
    ends = time.monotonic() + timeout
    for wish in wishes:
        for seen in _looks(world, wish.version, ends):
            if seen is None:
                raise UserError(f"{wish.version.name} is gone")
            if wish.accepted(seen.status):
                print(f"{wish.version.name}: accepted")
                break
            if over := _over(wish, seen):
                print(f"turnout: {over}", file=sys.stderr)
                return NOT_ACCEPTED
        else:
            sentence = f"{wish.version.name}: not accepted within {timeout:g} s; it stays asked for"
            print(f"turnout: {sentence}: is an operator, or turnout up, running?", file=sys.stderr)
            return NOT_ACCEPTED
    return 0


def _looks(world: World, version: ModelVersion, ends: float) -> Iterator[ModelVersion | None]:
    """The version again and again until the time is over; told where it differs from the look before."""
    told = ""
    while True:
        seen = world.version(version)
        line = _line(seen.status) if seen else ""
        if line != told:
            print(f"{version.name}: {line}", flush=True)
            told = line
        yield seen
        if time.monotonic() >= ends:
            return
        time.sleep(LOOK_EVERY_SECONDS)


def _line(status: Status) -> str:
    step = f", step {status.step.display}" if status.step and status.step.display else ""
    message = f": {status.message}" if status.message else ""
    return f"{status.state or 'not looked at yet'} at {status.weight.observed} %{step}{message}"


def _over(wish: Wish, seen: ModelVersion) -> str:
    """Why the wish will not come true."""
    name, state = wish.version.name, seen.status.state
    if wish.refused(seen.status):
        return f"{name} is {state}: the engine has refused this, it has no effect; its events say why"
    has_looked = (seen.status.observed_generation or 0) > wish.version.metadata.generation
    if has_looked and state in FAILED_STATES:
        return f"{name} is {state}: the engine did not take this up"
    return ""
