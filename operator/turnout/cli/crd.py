"""`turnout crd`: the CustomResourceDefinition that belongs to this very release."""

import argparse

from turnout.cli.command import Commands, add_command


def add_parser(commands: Commands) -> None:
    parser = add_command(
        commands,
        "crd",
        summary="print the CustomResourceDefinition of ModelVersion",
        text="Prints the CustomResourceDefinition that belongs to this release, as YAML.",
        examples="  turnout crd | kubectl apply --server-side -f -\n",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    from turnout.api.crd import render

    print(render(), end="")
    return 0
