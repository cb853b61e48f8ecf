"""`turnout promote`, `abort`, `pause`, `resume`, `retry`: what people on duty say to a rollout.

A person names the model; the command finds the version, says which, and patches its control block like anyone.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, add_asking, add_command, add_world

if TYPE_CHECKING:
    from turnout.cli.models import Model
    from turnout.cli.wishes import Wish

Choose = Callable[["Model", str, argparse.Namespace], "Wish"]
"""From the model, a fresh token and the options to the wish."""


@dataclass(frozen=True)
class ControlCommand:
    """One command of the control block."""

    name: str
    summary: str
    text: str
    examples: str
    choose: Choose
    options: Callable[[argparse.ArgumentParser], object] = lambda parser: None

    def add_parser(self, commands: Commands) -> None:
        parser = add_command(commands, self.name, summary=self.summary, text=self.text, examples=self.examples)
        parser.add_argument("model", metavar="MODEL", help="the model; the command finds the version")
        self.options(parser)
        add_asking(parser)
        add_world(parser)
        parser.set_defaults(run=self.run)

    def run(self, args: argparse.Namespace) -> int:
        from turnout.cli.asking import carry_out
        from turnout.cli.models import find_model
        from turnout.cli.wishes import fresh_token
        from turnout.cli.worlds import world_of

        world, token = world_of(args), fresh_token(datetime.now(UTC))

        def wishes() -> "tuple[Wish, ...]":
            return (self.choose(find_model(world.versions(), args.model, world.place), token, args),)

        return carry_out(world, args, wishes)


def _promote(model: "Model", token: str, args: argparse.Namespace) -> "Wish":
    from turnout.cli.wishes import promote

    return promote(model, token, full=args.full)


def _abort(model: "Model", _: str, args: argparse.Namespace) -> "Wish":
    from turnout.cli.wishes import abort

    return abort(model, args.version or "")


def _pause(model: "Model", _: str, __: argparse.Namespace) -> "Wish":
    from turnout.cli.wishes import pause

    return pause(model)


def _resume(model: "Model", _: str, __: argparse.Namespace) -> "Wish":
    from turnout.cli.wishes import resume

    return resume(model)


def _retry(model: "Model", token: str, args: argparse.Namespace) -> "Wish":
    from turnout.cli.wishes import retry

    return retry(model, token, args.version or "")


def _full(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="all traffic at once, instead of the next step")


def _version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", nargs="?", metavar="VERSION", help="default: the newest one that has failed")


def _aborted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", nargs="?", metavar="VERSION", help="default: the one whose rollout runs")


CONTROLS = (
    ControlCommand(
        "promote",
        "end the step that runs, or with --full the whole plan",
        "Ends the running step of the model's rollout: a pause, an approval or an analysis. Where the rollout's\n"
        "deadline has stopped it, it ends no step, but lets the one that runs go on. With --full all traffic goes\n"
        "to the version as soon as its pods are ready. It acts once: each call writes a new token.",
        "  turnout promote signals\n  turnout promote signals --full --wait\n",
        _promote,
        _full,
    ),
    ControlCommand(
        "abort",
        "end a rollout and take its share away",
        "Ends the model's rollout: the version gives its share back to stable and gets no traffic until it is\n"
        "retried. With VERSION also one that waits for its turn. Abort wins over promote.",
        "  turnout abort signals\n  turnout abort signals -n support --wait\n",
        _abort,
        _aborted,
    ),
    ControlCommand(
        "retry",
        "give a failed version its next attempt",
        "Starts the next attempt of a version that was rolled back, aborted or frozen, or that failed. If its\n"
        "control.abort was left true, it is set to false, and that is said.",
        "  turnout retry signals\n  turnout retry signals 7 --wait\n",
        _retry,
        _version,
    ),
    ControlCommand(
        "pause",
        "keep a rollout where it is",
        "Keeps the share of the model's rollout and stops the clocks of its plan; the deadline of the whole attempt\n"
        "runs on. Harm still rolls it back.",
        "  turnout pause signals\n",
        _pause,
    ),
    ControlCommand(
        "resume",
        "let a paused rollout go on",
        "Lets a rollout that a person has paused go on where it was.",
        "  turnout resume signals\n",
        _resume,
    ),
)
