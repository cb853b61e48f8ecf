"""`turnout up FILE…`: run ModelVersion files on this machine, keep running, follow the files."""

import argparse
from datetime import timedelta
from pathlib import Path

from turnout.cli.command import Commands, UserError, add_command, seconds
from turnout.settings import prometheus, token_file

TEXT = """Runs the ModelVersions of the files as processes behind one address, without a cluster: rolls out what
is new, takes back what fails, puts idle models to sleep. Edit or add a file, and it follows. Ctrl-C ends all of
it; started again in the same folder, it goes on where it was."""

EXAMPLES = """  turnout up digits-1.yaml
  turnout up models/ --port 9000
  curl localhost:8080/v2/models/digits
"""


def add_parser(commands: Commands) -> None:
    parser = add_command(commands, "up", summary="run ModelVersion files on this machine", text=TEXT, examples=EXAMPLES)
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="a YAML file, or a folder of them")
    add("--port", type=_port, default=8080, help="where models answer; default 8080")
    add("--state", type=Path, default=Path(".turnout"), metavar="DIR", help="what it remembers; default .turnout")
    add("--namespace", type=_namespace, default="default", help="of versions that name none; default: default")
    add("--idle", type=_duration, default="30s", metavar="TIME", help=IDLE)
    add("--prometheus", action="append", default=[], type=prometheus, metavar="NAME=URL", help=PROMETHEUS)
    add("--prometheus-token", action="append", default=[], type=token_file, metavar="NAME=FILE", help=TOKEN)
    add("--quiet", action="store_true", help="print problems only")
    add("--plain", action="store_true", help="lines instead of the live tree")
    parser.set_defaults(run=run)


PROMETHEUS = "what an analysis may name as its source, for its custom queries; counters are the processes' own"
TOKEN = "the file with the bearer token for it, read anew for each query"
IDLE = "how long a version is kept after its last request, before its scaleToZeroRetention; default 30s"


def _duration(text: str) -> timedelta:
    return timedelta(seconds=seconds(text))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} must be a port, 1 to 65535")
    return int(text)


def _namespace(text: str) -> str:
    import re

    if not re.fullmatch("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text):
        rule = "lower-case letters, digits and dashes, at most 63, a letter or digit at both ends"
        raise argparse.ArgumentTypeError(f"{text!r} must be a namespace's name: {rule}")
    return text


def run(args: argparse.Namespace) -> int:
    """Run until a signal."""
    import asyncio

    try:
        from turnout.cli.serving import serve
    except ModuleNotFoundError as missing:
        raise UserError(f"the local engine needs the package {missing.name}: pip install 'turnout[local]'") from None
    from turnout.evidence.prometheus import Entry
    from turnout.platform.local.folder import FolderError
    from turnout.platform.local.machine import Settings

    tokens, known = dict(args.prometheus_token), dict(args.prometheus)
    for name in sorted(tokens.keys() - known.keys()):
        raise UserError(f"--prometheus-token {name}: there is no --prometheus {name}=URL")
    settings = Settings(
        folder=args.state,
        port=args.port,
        namespace=args.namespace,
        idle_window=args.idle,
        sources={name: Entry(name, url, tokens.get(name)) for name, url in known.items()},
    )
    try:
        asyncio.run(serve(settings, args.files, quiet=args.quiet, plain=args.plain))
    except FolderError as fault:
        raise UserError(str(fault)) from None
    return 0
