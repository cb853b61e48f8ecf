"""`turnout history MODEL`: every attempt that the versions of a model remember, the last one first."""

import argparse
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, add_command, add_world

if TYPE_CHECKING:
    from turnout.api.status import Attempt
    from turnout.api.version import ModelVersion
    from turnout.cli.models import Model

TEXT = """Shows the attempts of a model's versions, the last one first: how each ended and why, when it began, how
long it took and the greatest share that it had. An attempt that runs is the first line. Each version
remembers its last five."""

HEADS = ("VERSION", "ATTEMPT", "OUTCOME", "REASON", "STARTED", "TOOK", "MAX SHARE")


def add_parser(commands: Commands) -> None:
    examples = "  turnout history signals\n  turnout history signals -o json\n"
    parser = add_command(
        commands, "history", summary="show the attempts of a model's versions", text=TEXT, examples=examples
    )
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    add_world(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from turnout.cli.models import find_model
    from turnout.cli.worlds import world_of
    from turnout.view.table import render_table

    world = world_of(args)
    model = find_model(world.versions(), args.model, world.place)
    attempts = sorted(_attempts(model), key=_began, reverse=True)
    if args.output == "json":
        _print_json(model, attempts)
    elif attempts:
        print(render_table(HEADS, [_row(version, attempt) for version, attempt in attempts]))
    else:
        print(f"no version of {model.name} has been tried yet")
    return 0


def _attempts(model: "Model") -> "Iterator[tuple[ModelVersion, Attempt]]":
    """Those that have ended, and those that run."""
    from turnout.api.reasons import ROLLOUT_STATES, Role
    from turnout.api.status import Attempt

    for version in model.versions:
        status = version.status
        yield from ((version, attempt) for attempt in status.history)
        if status.state in ROLLOUT_STATES and status.role is not Role.Stable and status.attempt:
            yield (
                version,
                Attempt(
                    attempt=status.attempt,
                    outcome=status.state.value if status.state else "",
                    reason=status.reason.value if status.reason else "",
                    started_at=status.rollout_started_at,
                    max_weight=max(status.weight.observed, status.weight.desired),
                ),
            )


def _began(pair: "tuple[ModelVersion, Attempt]") -> tuple[object, int, int]:
    from turnout.api.status import EPOCH

    version, attempt = pair
    return attempt.started_at or EPOCH, version.version, attempt.attempt


def _row(version: "ModelVersion", attempt: "Attempt") -> Sequence[str]:
    from turnout.api.moments import moment
    from turnout.api.scalars import Duration

    began, ended = attempt.started_at, attempt.finished_at
    took = Duration.of(_whole(ended - began)) if began and ended else "runs" if began else "–"
    started = moment(began) if began else "–"
    share = f"{attempt.max_weight} %"
    return version.name, str(attempt.attempt), attempt.outcome, attempt.reason, started, took, share


def _whole(took: timedelta) -> timedelta:
    """Nobody reads milliseconds, unless there is nothing else."""
    second = timedelta(seconds=1)
    return took if took < second else round(took / second) * second


def _print_json(model: "Model", attempts: "Sequence[tuple[ModelVersion, Attempt]]") -> None:
    import json

    lines = [{"name": version.name, "version": version.version, **attempt.body()} for version, attempt in attempts]
    print(json.dumps({"namespace": model.namespace, "model": model.name, "attempts": lines}, indent=2))
