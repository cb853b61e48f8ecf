"""The two worlds that a command may speak to, a local engine and a cluster, behind one Protocol.

Looking changes nothing in either. A change is a merge patch of `spec.control` or `spec.desired`, and nothing else.
"""

import argparse
import os
from pathlib import Path
from typing import Protocol

from turnout.api.base import JsonObject
from turnout.api.version import ModelVersion
from turnout.cli.command import UserError
from turnout.view.tree import Tree

STATE = Path(".turnout")


class ChangedMeanwhileError(Exception):
    """The version is not as it was read: look again, then decide again."""


class World(Protocol):
    """Where versions live. Every method raises `UserError` where only the user can put it right."""

    @property
    def place(self) -> str:
        """Which one it is, in words."""

    @property
    def caution(self) -> str:
        """What a person should know before something is asked of it; empty where nothing is."""

    def versions(self) -> tuple[ModelVersion, ...]:
        """Every ModelVersion in sight."""

    def version(self, version: ModelVersion) -> ModelVersion | None:
        """That one as it is now; None if it is gone."""

    def tree(self) -> Tree: ...

    def change(self, version: ModelVersion, spec: JsonObject) -> None:
        """Merge `spec` into the version's, if it is still as it was read; else `ChangedMeanwhileError`."""


def world_of(args: argparse.Namespace) -> World:
    """The local engine or the cluster, as asked for or as found."""
    from turnout.cli.local_world import LocalWorld

    wants_cluster = args.cluster or args.kubeconfig or args.context or args.all_namespaces or args.plugin
    if args.state or (not wants_cluster and STATE.is_dir()):
        return LocalWorld(args.state or STATE, args.namespace)
    if not wants_cluster and not has_kubeconfig():
        raise UserError(
            "nobody to ask: no local engine has this folder (start one: turnout up FILE…), and there is no "
            "kubeconfig (name one with --kubeconfig)"
        )
    from turnout.cli.cluster_world import ClusterWorld

    return ClusterWorld(args.kubeconfig, args.context, "" if args.all_namespaces else args.namespace)


def has_kubeconfig() -> bool:
    """Whether kubectl would find a cluster without being told of one."""
    named = os.environ.get("KUBECONFIG", "")
    files = named.split(os.pathsep) if named else ["~/.kube/config"]
    return any(Path(file).expanduser().is_file() for file in files)
