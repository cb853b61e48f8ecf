"""`turnout version`: what is installed here."""

import argparse

from turnout.cli.command import Commands, add_command


def add_parser(commands: Commands) -> None:
    summary = "print the versions of Turnout and of Python"
    parser = add_command(commands, "version", summary=summary, text="Prints the versions of Turnout and of Python.")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    import platform

    from turnout import __version__

    print(f"turnout {__version__} on Python {platform.python_version()}")
    return 0
