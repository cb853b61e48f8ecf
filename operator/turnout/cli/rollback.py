"""`turnout rollback MODEL [VERSION]`: another version serves, because those above it are set to Standby."""

import argparse
import sys
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, add_asking, add_command, add_world

if TYPE_CHECKING:
    from turnout.cli.wishes import Wish

TEXT = """Makes a version the target of its model, by the one rule there is: the greatest version that is Live and has
not failed. So it sets `desired` of every eligible version above it to Standby, and its own to Live if it is not.
Without VERSION: stable while a rollout runs, else the version that served before. It is also the way forward
again: name the newer version.

Where versions are kept in Git, commit this instead (--dry-run prints it): whoever applies the files next
would undo it. In a local engine it holds over the file until the file's own `desired` changes."""

EXAMPLES = """  turnout rollback signals --dry-run
  turnout rollback signals
  turnout rollback signals 6 --wait
"""


def add_parser(commands: Commands) -> None:
    summary = "let a former version serve again"
    parser = add_command(commands, "rollback", summary=summary, text=TEXT, examples=EXAMPLES)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("version", nargs="?", metavar="VERSION", help="default: the version that served before")
    add_asking(parser)
    add_world(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from turnout.cli.asking import carry_out
    from turnout.cli.models import find_model
    from turnout.cli.returning import owner_of, rollback, way_back
    from turnout.cli.worlds import world_of

    world = world_of(args)
    good, asked = rollback(find_model(world.versions(), args.model, world.place), args.version or "")
    print(f"{good.name} is to serve {good.model}: {way_back(good)}")
    if owners := {owner_of(wish.version) for wish in asked} - {""}:
        names, who = ", ".join(wish.version.name for wish in asked), " and ".join(sorted(owners))
        print(f"turnout: {names} is kept by {who}: commit it there, or it is undone", file=sys.stderr)

    def wishes() -> "tuple[Wish, ...]":
        return rollback(find_model(world.versions(), args.model, world.place), good.name)[1]

    return carry_out(world, args, wishes)
