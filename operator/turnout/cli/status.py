"""`turnout status`: the tree of models and versions, of a local engine or of a cluster."""

import argparse
import sys
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, add_command, add_world

if TYPE_CHECKING:
    from turnout.cli.worlds import World
    from turnout.view.tree import Tree

LOOK_EVERY_SECONDS = 1.0
EXAMPLES = """\
  turnout status                      the engine of this folder, else the cluster
  turnout status signals --watch      one model, redrawn as it changes
  turnout status -n support -o json   for programs
  turnout status --kubeconfig ~/.kube/staging
"""


def add_parser(commands: Commands) -> None:
    parser = add_command(
        commands,
        "status",
        summary="show models and versions with state, share, step and reason",
        text="Shows each model as a tree: its address, and its versions with state, role, share of the\n"
        "traffic, step, ready pods/floor, requests and errors, and the reason in plain words.\n\n"
        "It reads the local engine whose folder (.turnout) is here, running or not; where there is\n"
        "none, the cluster that kubectl would talk to. The last line says which.",
        examples=EXAMPLES,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="only this model")
    parser.add_argument("-w", "--watch", action="store_true", help="redraw until Ctrl-C")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--ascii", action="store_true", help="no characters beyond ASCII")
    parser.add_argument("--no-color", action="store_true", help="as if NO_COLOR were set")
    add_world(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from turnout.cli.worlds import world_of

    world = world_of(args)
    if args.watch:
        return _watch(args, world)
    tree = _chosen(world.tree(), args)
    if args.output == "json":
        _print_json(tree)
    else:
        print(_text(tree, args))
    return 0


def _chosen(tree: "Tree", args: argparse.Namespace) -> "Tree":
    """Only what was asked for; a model that is not there is an error that names those that are."""
    from dataclasses import replace

    from turnout.cli.models import unknown_model

    if args.model is None:
        return tree
    chosen = tuple(model for model in tree.models if model.model == args.model)
    if not chosen:
        names = {version.name: model.model for model in tree.models for version in model.versions}
        raise unknown_model(args.model, names, tree.source)
    return replace(tree, models=chosen)


def _text(tree: "Tree", args: argparse.Namespace, width: int | None = None) -> str:
    from turnout.view.ink import ASCII, glyphs_for, has_colour
    from turnout.view.live import terminal_size
    from turnout.view.text import render_text

    if width is None:
        width = min(terminal_size()[0], 120) if sys.stdout.isatty() else 80
    glyphs = ASCII if args.ascii else glyphs_for(sys.stdout)
    return render_text(tree, width=width, colour=has_colour(sys.stdout) and not args.no_color, glyphs=glyphs)


def _print_json(tree: "Tree") -> None:
    import json

    from turnout.view.tree import tree_json

    print(json.dumps(tree_json(tree), indent=2, ensure_ascii=False))


def _watch(args: argparse.Namespace, world: "World") -> int:
    """Redraw on a terminal; elsewhere print the tree anew whenever it has changed."""
    import time

    from turnout.view.live import Screen

    before: object = None
    with Screen(sys.stdout) as screen:
        while True:
            tree = _chosen(world.tree(), args)
            if tree != before and args.output == "json":
                _print_json(tree)
            elif screen.is_live:
                screen.show(_text(tree, args, min(screen.width, 120)))
            elif tree != before:
                print(_text(tree, args), end="\n\n", flush=True)
            before = tree
            time.sleep(LOOK_EVERY_SECONDS)
