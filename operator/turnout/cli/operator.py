"""`turnout operator`: the process that runs in the cluster."""

import argparse

from turnout.cli.command import Commands, UserError, add_command


def add_parser(commands: Commands) -> None:
    parser = add_command(
        commands,
        "operator",
        summary="run the operator against a cluster",
        text="Reconciles the ModelVersions of a cluster: the container of the chart starts this.",
    )
    parser.set_defaults(run=run, arguments=[])  # whatever is left over on the command line is for the operator


def run(args: argparse.Namespace) -> int:
    try:
        from turnout.main import main
    except ModuleNotFoundError as missing:
        raise UserError(f"the operator needs the package {missing.name}: pip install 'turnout[operator]'") from None
    return main(args.arguments) or 0
