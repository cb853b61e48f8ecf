"""`turnout lint`: what is wrong with ModelVersion files, by file, line and field, before anybody applies them."""

import argparse
import sys
from pathlib import Path

from turnout.cli.command import Commands, add_command


def add_parser(commands: Commands) -> None:
    parser = add_command(
        commands,
        "lint",
        summary="check ModelVersion files",
        text="Checks files, or the YAML files right inside folders, as the API server would, and names\n"
        "what this release does not serve yet, and settings that the runtime would refuse. What is allowed and\n"
        "does not do what it seems to is a note.\n"
        "Problems go to stderr as file:line: field: sentence; the exit code is 1 if there is one.",
        examples="  turnout lint examples/digits\n  turnout lint signals-7.yaml signals-8.yaml\n",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="a YAML file, or a folder of them")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from turnout.api.loading import load
    from turnout.api.served import unserved
    from turnout.api.tunables import missettings
    from turnout.rollout.notes import beforehand

    loaded = load(args.paths)
    for note in loaded.notes:
        print(note)
    for version in loaded.versions:
        for caution in beforehand(version, loaded.versions):
            print(f"{loaded.origins[version.namespace, version.name]}: note: {caution}")
    early = (
        f"{loaded.origins[version.namespace, version.name]}: {found}"
        for version in loaded.versions
        for found in (*unserved(version.spec), *missettings(version.spec.predictor))
    )
    problems = (*map(str, loaded.problems), *early)
    for problem in problems:
        print(problem, file=sys.stderr)
    wrong = len(problems)
    if not wrong:
        print(f"{_count(len(loaded.versions), 'ModelVersion')}, nothing wrong")
    return 1 if wrong else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
