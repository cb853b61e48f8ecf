"""`turnout status`: the tree of models and versions, of a local engine or of a cluster."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, UserError, add_command

if TYPE_CHECKING:
    from turnout.cli.worlds import Look
    from turnout.view.tree import Tree

STATE = Path(".turnout")
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
    parser.add_argument("-n", "--namespace", help="only this namespace (in a cluster: default as for kubectl)")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="every namespace of the cluster")
    parser.add_argument("-w", "--watch", action="store_true", help="redraw until Ctrl-C")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--ascii", action="store_true", help="no characters beyond ASCII")
    parser.add_argument("--no-color", action="store_true", help="as if NO_COLOR were set")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--state", type=Path, metavar="DIR", help="the folder of a local engine")
    where.add_argument("--cluster", action="store_true", help="the cluster, also where .turnout is here")
    where.add_argument("--kubeconfig", type=Path, metavar="FILE", help="the cluster of this kubeconfig")
    parser.add_argument("--context", help="the context of the kubeconfig")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    look = _where(args)
    if args.watch:
        return _watch(args, look)
    tree = _chosen(look(), args)
    if args.output == "json":
        _print_json(tree)
    else:
        print(_text(tree, args))
    return 0


def _where(args: argparse.Namespace) -> "Look":
    """The local engine or the cluster, as asked for or as found."""
    from turnout.cli.worlds import cluster, has_kubeconfig, local

    wants_cluster = args.cluster or args.kubeconfig or args.context or args.all_namespaces
    if args.state or (not wants_cluster and STATE.is_dir()):
        return local(args.state or STATE)
    if not wants_cluster and not has_kubeconfig():
        raise UserError(
            "nothing to show: no local engine has this folder (start one: turnout up FILE…), and there is no "
            "kubeconfig (name one: turnout status --kubeconfig FILE)"
        )
    return cluster(args.kubeconfig, args.context, "" if args.all_namespaces else args.namespace)


def _chosen(tree: "Tree", args: argparse.Namespace) -> "Tree":
    """Only what was asked for; a model that is not there is an error that names those that are."""
    from dataclasses import replace

    models = tuple(model for model in tree.models if args.namespace in (None, model.namespace))
    if args.model is None:
        return replace(tree, models=models)
    chosen = tuple(model for model in models if model.model == args.model)
    if not chosen:
        there = ", ".join(sorted({model.model for model in models})) or "none"
        raise UserError(f"no model {args.model} in {tree.source}; there: {there}")
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


def _watch(args: argparse.Namespace, look: "Look") -> int:
    """Redraw on a terminal; elsewhere print the tree anew whenever it has changed."""
    import time

    from turnout.view.live import Screen

    before: object = None
    with Screen(sys.stdout) as screen:
        while True:
            tree = _chosen(look(), args)
            if tree != before and args.output == "json":
                _print_json(tree)
            elif screen.is_live:
                screen.show(_text(tree, args, min(screen.width, 120)))
            elif tree != before:
                print(_text(tree, args), end="\n\n", flush=True)
            before = tree
            time.sleep(LOOK_EVERY_SECONDS)
