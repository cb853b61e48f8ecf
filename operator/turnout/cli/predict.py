"""`turnout predict MODEL [FILE]`: one request to a model, from a file or the shell, and its answer for people."""

import argparse
import json
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, UserError, add_command, add_world, seconds

if TYPE_CHECKING:
    from turnout.cli.calling import Address, Json
    from turnout.cli.tensors import Form

TEXT = """Sends one request to a model and prints its answer, a line for each row. What it sends is
  a .json file: a V2 request as it is, or rows as an array of objects, of arrays or of texts;
  a .csv or .tsv table: columns by the names of the model's inputs, or numbers for its only input;
  any other file, a row of text for each line. Without FILE, or with -, standard input is read.

It calls the model where its clients do, so a canary gets its share; --version calls one version itself."""

EXAMPLES = """  turnout predict digits digits.csv
  turnout predict encoder --text hello --text goodbye
  turnout predict digits request.json --version 3 -o json
  turnout predict signals mails.txt --set threshold=0.7
  turnout predict digits rows.json --url http://localhost:8080      a process, without any engine
  turnout predict digits rows.json -n support --via 10.0.0.7:80     through a cluster's gateway
"""


def add_parser(commands: Commands) -> None:
    parser = add_command(
        commands, "predict", summary="send a request to a model and show its answer", text=TEXT, examples=EXAMPLES
    )
    add = parser.add_argument
    add("model", metavar="MODEL")
    add("file", nargs="?", default="-", metavar="FILE", help="default: standard input")
    add("--text", action="append", default=[], metavar="TEXT", help="a row of text, instead of a file; may be repeated")
    add("--form", choices=("json", "table", "text"), help="what the input is, where its name does not say it")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting for this request alone")
    add("--version", type=int, metavar="NUMBER", help="this version, whatever its share")
    add("--url", metavar="URL", help="the address to call, without asking an engine for it")
    add("--via", default="", metavar="HOST:PORT", help="the gateway to call it through")
    add("--timeout", type=seconds, default="60s", metavar="TIME", help="default 60s")
    add("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    add_world(parser)
    parser.set_defaults(run=run, arguments=[])


def run(args: argparse.Namespace) -> int:
    from turnout.cli.calling import call
    from turnout.view.answer import render_answer

    address, settings = _address(args), _settings(args.set)
    request, unused = _request(args, address)
    if settings:
        request = {**request, "parameters": {**request.get("parameters", {}), "settings": json.dumps(settings)}}
    if unused:
        print(f"turnout: columns that the model does not take: {', '.join(unused)}", file=sys.stderr)
    begun = monotonic()
    answer = call(address, "/infer", args.timeout, request)
    milliseconds = (monotonic() - begun) * 1000
    print(json.dumps(answer, ensure_ascii=False) if args.output == "json" else render_answer(answer, milliseconds))
    return 0


def _request(args: argparse.Namespace, address: "Address") -> "tuple[Json, tuple[str, ...]]":
    from turnout.cli.calling import call
    from turnout.cli.tensors import form_of, request_of

    if args.text:
        form: Form = "json"
        content = json.dumps(args.text)
    else:
        name = _file(args)
        content = _content(name)
        form = args.form or form_of(name, content)
    inputs = call(address, "", args.timeout).get("inputs", ())
    return request_of(content, form, inputs)


def _file(args: argparse.Namespace) -> str:
    """argparse leaves a FILE over that stands behind options."""
    words: list[str] = [*([args.file] if args.file != "-" else []), *args.arguments]
    if len(words) > 1 or any(word.startswith("-") for word in words):
        raise UserError(f"{' '.join(words)}: one FILE is read, and no other option is known; see --help")
    return words[0] if words else "-"


def _content(name: str) -> str:
    if name == "-":
        if sys.stdin.isatty():
            print("turnout: reading standard input; Ctrl-D ends it", file=sys.stderr)
        return sys.stdin.read()
    try:
        return Path(name).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise UserError(f"{name} cannot be read: {fault}") from None


def _address(args: argparse.Namespace) -> "Address":
    from turnout.cli.calling import Address
    from turnout.cli.models import find_model
    from turnout.cli.worlds import world_of

    if args.url:
        return Address(args.url, args.model, args.via)
    world = world_of(args)
    model = find_model(world.versions(), args.model, world.place)
    if args.version is not None:
        chosen = model.at(str(args.version))
        return Address(_there(chosen.status.version_url, chosen.name, world.place), model.name, args.via)
    newest = next((version.status.url for version in model.versions if version.status.url), "")
    return Address(_there(newest, model.name, world.place), model.name, args.via)


def _there(url: str, what: str, place: str) -> str:
    if not url:
        raise UserError(f"{what} has no address in {place} yet; see: turnout status")
    return url


def _settings(given: list[str]) -> dict[str, object]:
    """NAME=VALUE each; a value that is JSON is taken as such, else as text."""
    settings: dict[str, object] = {}
    for each in given:
        name, found, text = each.partition("=")
        if not found or not name:
            raise UserError(f"--set {each!r} must be NAME=VALUE")
        try:
            settings[name] = json.loads(text)
        except ValueError:
            settings[name] = text
    return settings
