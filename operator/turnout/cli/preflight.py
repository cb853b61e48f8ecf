"""`turnout preflight`: is everything here that Turnout needs, and if not, what to do. It changes nothing."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, add_command, add_world

if TYPE_CHECKING:
    from turnout.cli.findings import Finding

TEXT = """Looks at a cluster, or with --machine (or where there is no kubeconfig) at this machine, and says for each
thing that Turnout needs how it stands, and what to do where it is not right.

Of a cluster: the versions of Kubernetes, KServe and Knative, the CRD, Knative's features and network, the gateway,
the operator, and your own rights; it reads with those rights, and says what it may not read. Of a machine: Python,
packages, Envoy, the port, the folder. The exit code is 1 if something is wrong."""

EXAMPLES = """  turnout preflight
  turnout preflight --context staging -n support
  turnout preflight --machine
"""


def add_parser(commands: Commands) -> None:
    summary = "look whether everything is here that Turnout needs"
    parser = add_command(commands, "preflight", summary=summary, text=TEXT, examples=EXAMPLES)
    parser.add_argument("--machine", action="store_true", help="this machine, as turnout up needs it")
    parser.add_argument("--port", type=int, default=8080, help="of turnout up, with --machine; default 8080")
    parser.add_argument("--ascii", action="store_true", help="no characters beyond ASCII")
    add_world(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from turnout.cli.findings import Level, render_findings
    from turnout.view.ink import ASCII, glyphs_for, has_colour

    glyphs = ASCII if args.ascii else glyphs_for(sys.stdout)
    colour, worst = has_colour(sys.stdout), 0
    for finding in _findings(args):
        print(render_findings([finding], glyphs, colour=colour), flush=True)  # at once: some take their time
        worst = max(worst, finding.level is Level.WRONG)
    return int(worst)


def _findings(args: argparse.Namespace) -> "Iterator[Finding]":
    from turnout.cli.worlds import has_kubeconfig

    wants_cluster = args.cluster or args.kubeconfig or args.context or args.all_namespaces or args.plugin
    if args.machine or not (wants_cluster or has_kubeconfig()):
        from turnout.cli.machine_checks import machine_findings

        return machine_findings(args.state or Path(".turnout"), args.port)
    from turnout.cli.cluster_world import open_cluster

    cluster = open_cluster(args.kubeconfig, args.context)
    from turnout.cli.cluster_checks import cluster_findings

    return cluster_findings(cluster, "" if args.all_namespaces else args.namespace or cluster.namespace)
