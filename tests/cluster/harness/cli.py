"""The harness by hand: `python tests/cluster/harness COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from harness import lifecycle
from harness.binaries import build
from harness.builder import Recipe
from harness.cluster import Cluster
from harness.errors import HarnessError
from harness.layout import LOCK, Layout, here
from harness.lock import holders, shared
from harness.shell import say


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, or 1 with one sentence on stderr."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(here(), options))
    except HarnessError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `down` clears what was begun, `up` begins anew", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="harness",
        description="A real one-node Kubernetes with KServe, Knative and Kourier on this machine.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("build", _build, "compile everything (once; some 11 minutes on two cores)"),
        ("up", _up, "start the cluster, after a crash too; nothing if it is healthy"),
        ("down", _down, "stop it and leave nothing behind but its logs"),
        ("reset", _reset, "down, and forget logs and images too"),
        ("status", _status, "say whether it is up, who uses it, and what runs in it"),
        ("env", _env, "print exports for a shell: KUBECONFIG, PATH, TURNOUT_GATEWAY"),
        ("shell", _shell, "a shell with kubectl, helm and the gateway's address"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=run)
    _add_image_commands(commands.add_parser("image", help="give the cluster an image"))
    return parser


def _add_image_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    taken = commands.add_parser("import", help="an archive, as docker save or buildah push write it")
    taken.add_argument("archive", type=Path)
    taken.set_defaults(run=_image_import)
    made = commands.add_parser("build", help="one built from a Dockerfile; prints the name it got")
    made.add_argument("dockerfile", type=Path)
    made.add_argument("name", help="without registry and tag, e.g. turnout-operator")
    made.add_argument("--target", default="", help="the stage to build; default: the last")
    made.add_argument("--context", type=Path, default=Path(), help="default: the current folder")
    made.add_argument("--arg", action="append", default=[], metavar="NAME=VALUE", help="a build argument")
    made.set_defaults(run=_image_build)


def _build(layout: Layout, _: argparse.Namespace) -> int:
    build(layout)
    return 0


def _up(layout: Layout, _: argparse.Namespace) -> int:
    lifecycle.up(layout)
    print(Cluster(layout).instructions())
    return 0


def _down(layout: Layout, _: argparse.Namespace) -> int:
    lifecycle.down(layout)
    return 0


def _reset(layout: Layout, _: argparse.Namespace) -> int:
    lifecycle.reset(layout)
    return 0


def _status(layout: Layout, _: argparse.Namespace) -> int:
    for holder in holders(LOCK):
        print(f"in use by {holder}")
    if not lifecycle.is_healthy(layout):
        print(f"not healthy, or not up ({lifecycle.origin(layout)})")
        return 1
    print(f"healthy, {lifecycle.origin(layout)}")
    print(Cluster(layout).kubectl("get", "nodes,pods", "-A"), end="")
    return 0


def _env(layout: Layout, _: argparse.Namespace) -> int:
    for name, value in Cluster(layout).exports().items():
        print(f"export {name}={value}")
    return 0


def _shell(layout: Layout, _: argparse.Namespace) -> int:
    if not lifecycle.is_healthy(layout):
        raise HarnessError("no healthy cluster to open a shell on: start it with `up`")
    cluster = Cluster(layout)
    say(cluster.instructions())
    shell = os.environ.get("SHELL", "/bin/bash")
    with shared(LOCK, "this shell"):
        return os.spawnvpe(os.P_WAIT, shell, [shell], {**os.environ, **cluster.exports()})


def _image_import(layout: Layout, options: argparse.Namespace) -> int:
    Cluster(layout).import_image(options.archive)
    return 0


def _image_build(layout: Layout, options: argparse.Namespace) -> int:
    arguments = dict(word.split("=", 1) for word in options.arg)
    recipe = Recipe(options.dockerfile, options.context.resolve(), options.name, options.target, arguments)
    print(Cluster(layout).build_image(recipe))
    return 0
