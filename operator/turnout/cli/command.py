"""What every command is made of. Nothing heavy is imported here: `turnout --help` answers at once."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = object


class UserError(Exception):
    """Something only the user can put right, in one sentence that names the object, the fact and the next action."""


def add_command(
    commands: Commands, name: str, *, summary: str, text: str = "", examples: str = ""
) -> argparse.ArgumentParser:
    """A parser whose help reads: what it does, how it is called, and examples as they are written."""
    return commands.add_parser(
        name,
        help=summary,
        description=text or summary,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_asking(parser: argparse.ArgumentParser) -> None:
    """The options of every command that asks an engine for something."""
    parser.add_argument("--dry-run", action="store_true", help="print the patch and ask for nothing")
    parser.add_argument("--wait", action="store_true", help="until the engine has taken it up, told line by line")
    parser.add_argument("--timeout", type=seconds, default="60s", metavar="TIME", help="of --wait; default 60s")


def seconds(text: str) -> float:
    """A length of time as an option: 30s, 5m, 1h30m."""
    import re

    from turnout.api.scalars import DURATION_PATTERN, Duration

    if not re.match(DURATION_PATTERN, text):
        raise argparse.ArgumentTypeError(f"{text!r} must be a length of time such as 30s, 5m or 1h30m")
    return Duration(text).seconds


def add_world(parser: argparse.ArgumentParser) -> None:
    """The options that say which world is meant, alike for every command and spelt as kubectl spells them."""
    group = parser.add_argument_group(
        "where", "The local engine of this folder (.turnout) if there is one, else the cluster that kubectl talks to."
    )
    group.add_argument("-n", "--namespace", metavar="NAME", help="only this namespace; in a cluster: the context's own")
    group.add_argument("-A", "--all-namespaces", action="store_true", help="every namespace of the cluster")
    group.add_argument("--context", metavar="NAME", help="the cluster of this context of the kubeconfig")
    where = group.add_mutually_exclusive_group()
    where.add_argument("--kubeconfig", type=Path, metavar="FILE", help="the cluster of this kubeconfig")
    where.add_argument("--cluster", action="store_true", help="the cluster, also where .turnout is here")
    where.add_argument("--state", type=Path, metavar="DIR", help="the local engine of this folder")
