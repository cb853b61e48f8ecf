"""`turnout analyze MODEL [VERSION]`: what the judge knows of a version's attempt, for a person."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, UserError, add_command, add_world

if TYPE_CHECKING:
    from turnout.api.version import ModelVersion
    from turnout.cli.models import Model
    from turnout.cli.worlds import World
    from turnout.view.account import Account

LOOK_EVERY_SECONDS = 1.0
TEXT = """Shows what the judge knows of a version that takes traffic: both sides over the same intervals, the
evidence of each bet and how it came about, how the answers spread where drift is looked at, and how
far it is from a verdict. Without VERSION it is the one whose rollout runs, else the one that was judged
last: an attempt can be looked at until the next one begins."""
EXAMPLES = """  turnout analyze signals                       what is known now
  turnout analyze signals 7 --watch             redrawn after every poll
  turnout analyze signals --html verdict.html   a page to keep, or to send
  turnout analyze signals -o json               for programs
"""


def add_parser(commands: Commands) -> None:
    parser = add_command(
        commands, "analyze", summary="show what the judge knows of a version", text=TEXT, examples=EXAMPLES
    )
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("version", nargs="?", metavar="VERSION", help="its number or name")
    parser.add_argument("-w", "--watch", action="store_true", help="redraw until Ctrl-C")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page that needs no network, and say so")
    parser.add_argument("--ascii", action="store_true", help="no characters beyond ASCII")
    parser.add_argument("--no-color", action="store_true", help="as if NO_COLOR were set")
    add_world(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from turnout.cli.worlds import world_of

    world = world_of(args)
    if args.watch:
        return _watch(args, world)
    account = _account(args, world)
    if args.html:
        _write_page(args.html, account)
        print(f"{args.html}: {account.sentence}")
    else:
        print(_said(account, args, world.place))
    return 0


def _account(args: argparse.Namespace, world: "World") -> "Account":
    from turnout.cli.models import find_model
    from turnout.view.account import account_of

    model = find_model(world.versions(), args.model, world.place)
    version = model.at(args.version) if args.version else _judged_last(model)
    found = account_of(version)
    if found is None:
        raise UserError(_unknown(version))
    return found


def _judged_last(model: "Model") -> "ModelVersion":
    """The one whose rollout runs, if it is judged; else the one with the newest poll."""
    judged = [version for version in model.versions if version.status.analysis and version.status.analysis.memory]
    if model.rollout in judged:
        return model.rollout
    if not judged:
        waits = f"; {model.rollout.name} has no poll yet" if model.rollout else ""
        raise UserError(f"no version of {model.name} has been judged{waits}; see: turnout status {model.name}")
    return max(judged, key=_polled_at)


def _polled_at(version: "ModelVersion") -> float:
    at = version.status.analysis.polled_at if version.status.analysis else None
    return at.timestamp() if at else 0.0


def _unknown(version: "ModelVersion") -> str:
    """Why there is nothing to tell."""
    from turnout.api.analysis import Judge

    analysis = version.status.analysis
    if analysis is None or not analysis.memory:
        return f"{version.name} has not been judged in its last attempt; see: turnout history {version.model}"
    if version.spec.analysis.judge is Judge.THRESHOLD:
        return f"{version.name} is not judged by numbers; see: turnout status {version.model}"
    return (
        f"what the judge remembers of {version.name} is of other terms or of another release; "
        f"wait for the next poll, or see: turnout status {version.model}"
    )


def _said(account: "Account", args: argparse.Namespace, place: str, width: int | None = None) -> str:
    if args.output == "json":
        import json

        from turnout.view.account_json import account_json

        return json.dumps(account_json(account), indent=2, ensure_ascii=False)
    from turnout.view.account_text import render_account
    from turnout.view.ink import ASCII, glyphs_for, has_colour
    from turnout.view.live import terminal_size

    if width is None:
        width = min(terminal_size()[0], 120) if sys.stdout.isatty() else 80
    return render_account(
        account,
        width=width,
        colour=has_colour(sys.stdout) and not args.no_color,
        glyphs=ASCII if args.ascii else glyphs_for(sys.stdout),
        source=place,
    )


def _write_page(file: Path, account: "Account") -> None:
    from turnout.view.account_page import render_account_page

    try:
        file.write_text(render_account_page(account), "utf-8")
    except OSError as fault:
        raise UserError(f"{file} cannot be written: {fault.strerror}; name another place with --html") from None


def _watch(args: argparse.Namespace, world: "World") -> int:
    """Redraw on a terminal; elsewhere print it anew, and write the page anew, whenever something has changed."""
    import time

    from turnout.view.live import Screen

    before: object = None
    with Screen(sys.stdout) as screen:
        while True:
            account = _account(args, world)
            changed, before = account != before, account
            if changed and args.html:
                _write_page(args.html, account)
            if screen.is_live and args.output == "text":
                screen.show(_said(account, args, world.place, min(screen.width, 120)))
            elif changed:
                print(_said(account, args, world.place), end="\n\n", flush=True)
            time.sleep(LOOK_EVERY_SECONDS)
