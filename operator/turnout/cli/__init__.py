"""`turnout …`: commands for people. Each is a module that imports what it needs only when it runs.

Exit codes: 0 done; 1 something is wrong, said in one sentence on stderr; 2 the command line makes no sense;
3 asked for, and not taken up by the engine in time; 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from turnout import __version__
from turnout.cli import (
    analyze,
    completion,
    crd,
    history,
    init,
    lint,
    operator,
    plan,
    power,
    predict,
    preflight,
    publish,
    rollback,
    status,
    up,
    version,
)
from turnout.cli.command import UserError
from turnout.cli.control import CONTROLS

COMMANDS = (
    up,
    status,
    predict,
    analyze,
    *CONTROLS,
    rollback,
    history,
    init,
    publish,
    plan,
    power,
    lint,
    preflight,
    crd,
    completion,
    operator,
    version,
)


def parser(prog: str = "turnout") -> argparse.ArgumentParser:
    """Every command with its options."""
    whole = argparse.ArgumentParser(
        prog=prog,
        description="Rolls out versions of models, watches over them, and takes back those that fail.",
        epilog="`turnout COMMAND --help` tells more, with examples.",
    )
    whole.add_argument("--version", action="version", version=f"turnout {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return _run(parser(), argv)


def kubectl() -> int:
    """`kubectl turnout …`: the same commands, always of the cluster that kubectl talks to."""
    return _run(parser("kubectl turnout"), None, plugin=True)


def _run(whole: argparse.ArgumentParser, argv: Sequence[str] | None, *, plugin: bool = False) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["__complete"]:
        return completion.complete(whole, words[1:], plugin=plugin)
    args, rest = whole.parse_known_args(words)
    args.plugin = plugin
    if rest and "arguments" not in args:
        whole.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if rest:
            args.arguments = rest
        code: int = args.run(args)
        sys.stdout.flush()
    except UserError as error:
        print(f"turnout: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `turnout … | head` is no failure; stdout must not complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
