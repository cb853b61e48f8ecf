"""`turnout plan FILE…`: what would happen if these files were applied now, step by step, without applying them."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, UserError, add_command, add_world

if TYPE_CHECKING:
    from datetime import datetime

    from turnout.api.version import ModelVersion

TEXT = """Says for each ModelVersion of the files which way it would go if it were applied now: refused and why,
stand by, or roll out, and then step by step: share of the traffic, ready pods that it needs on both sides, and
times. It compares with what is there, in the cluster or the local engine; where neither can be reached, each
version is taken for the first of its model, or comes after the file that --after names. Nothing is changed.

With --rps, the requests per second of the model, an analysis also says when it will have seen enough.
The exit code is 1 if a version would be refused or a file is wrong."""

EXAMPLES = """  turnout plan signals-8.yaml
  turnout plan signals-8.yaml --rps 40
  turnout plan signals-8.yaml --after signals-7.yaml     without a cluster
  turnout plan models/ -n support
"""


def add_parser(commands: Commands) -> None:
    summary = "say what would happen if files were applied"
    parser = add_command(commands, "plan", summary=summary, text=TEXT, examples=EXAMPLES)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="a YAML file, or a folder of them")
    parser.add_argument("--rps", type=_rate, metavar="NUMBER", help="requests per second that the model gets")
    parser.add_argument("--after", action="append", type=Path, default=[], metavar="FILE", help=AFTER)
    parser.add_argument("--ascii", action="store_true", help="no characters beyond ASCII")
    add_world(parser)
    parser.set_defaults(run=run)


AFTER = "as if the version of this file were Live, where no world knows it"


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if not 0 <= rate < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of requests per second, such as 40 or 0.5")
    return rate


def run(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from turnout.api.loading import load
    from turnout.rollout.forecast import forecast
    from turnout.view.forecast import render_forecast
    from turnout.view.ink import ASCII, glyphs_for

    loaded = load(args.paths)
    for problem in loaded.problems:
        print(problem, file=sys.stderr)
    glyphs, now = ASCII if args.ascii else glyphs_for(sys.stdout), datetime.now(UTC)
    after = tuple(_serving(args.after, now))
    present, given = _Present(args, after), (*after, *loaded.versions)
    found = [forecast(version, present.beside(version, given), now, args.rps) for version in loaded.versions]
    if found:
        print("\n\n".join(render_forecast(each, glyphs) for each in found))
        print(f"\n{present.words}")
    return 1 if loaded.problems or any(each.refusals for each in found) else 0


def _serving(paths: "Sequence[Path]", now: "datetime") -> "Iterator[ModelVersion]":
    """The versions of these files as they would be once they are stable."""
    from turnout.api.loading import load
    from turnout.api.reasons import Role, State
    from turnout.api.status import ReplicasStatus, Status
    from turnout.rollout.floors import wanted_pods

    loaded = load(paths)
    if loaded.problems:
        raise UserError(str(loaded.problems[0]))
    for version in loaded.versions:
        ready = max(1, wanted_pods(version.spec.scaling, now))
        status = Status(role=Role.Stable, state=State.Live, promoted_at=now, replicas=ReplicasStatus(ready=ready))
        yield version.model_copy(update={"status": status})


class _Present:
    """What is there now, read once for each namespace; nothing where no world can be reached. `words`: which world.

    `after`: what the caller says is Live.
    """

    def __init__(self, args: argparse.Namespace, after: "Sequence[ModelVersion]") -> None:
        self._args = args
        self._after = ", ".join(version.name for version in after)
        self._read: dict[str | None, tuple[ModelVersion, ...]] = {}
        self.words = ""

    def of(self, version: "ModelVersion") -> "tuple[ModelVersion, ...]":
        """The versions of its model where it would be applied: a file that names no namespace goes to the usual one."""
        named = version.namespace if version.namespace != "default" else None
        space = self._args.namespace or named
        if space not in self._read:
            self._read[space] = self._look(space)
        return tuple(each for each in self._read[space] if each.model == version.model)

    def beside(self, version: "ModelVersion", others: "Sequence[ModelVersion]") -> "tuple[ModelVersion, ...]":
        """What is there, and what the files bring along with it."""
        there = self.of(version)
        known = {each.name for each in there} | {version.name}
        new = (each for each in others if each.model == version.model and each.name not in known)
        return (*there, *new)

    def _look(self, space: str | None) -> "tuple[ModelVersion, ...]":
        from turnout.cli.worlds import world_of

        try:
            world = world_of(argparse.Namespace(**{**vars(self._args), "namespace": space, "all_namespaces": False}))
            found = world.versions()
        except UserError as fault:
            nothing = "nothing, as if each were the first of its model"
            self.words = f"compared with {f'{self._after} of --after alone' if self._after else nothing}: {fault}"
            return ()
        self.words = f"compared with {world.place}"
        return found
