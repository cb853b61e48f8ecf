"""`turnout operator`: the process that runs in the cluster."""

import argparse
from functools import partial

from turnout.cli.command import Commands, UserError, add_command
from turnout.settings import add_flags, resolve

TEXT = """Reconciles the ModelVersions of a cluster: the container of the chart starts this. Outside of a cluster
it runs with your kubeconfig, and needs to be told where versions' own addresses are reached."""

EXAMPLES = """  turnout operator --namespaces support,search --version-gateway http://gateway.example.com
"""


def add_parser(commands: Commands) -> None:
    summary = "run the operator against a cluster"
    parser = add_command(commands, "operator", summary=summary, text=TEXT, examples=EXAMPLES)
    add_flags(parser)
    parser.set_defaults(run=partial(run, parser))


def run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    try:
        from turnout.main import main

        settings = resolve(args, parser.error)
    except ModuleNotFoundError as missing:
        raise UserError(f"the operator needs the package {missing.name}: pip install 'turnout[operator]'") from None
    return main(settings)
