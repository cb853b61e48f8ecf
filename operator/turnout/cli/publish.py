"""`turnout publish`: a model becomes an artifact, in a folder or a store, and a ModelVersion that names it.

The work is done by the predictors' own code in a process of its own; nothing of it is imported here.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from turnout.cli.command import Commands, UserError, add_command

TEXT = """Writes the artifact of a model (manifest, signature, examples, drift reference), puts it where --to says, and
prints the ModelVersion that serves it, pinned to its digest.

MODEL is a folder that SentenceTransformer.save() wrote, one with model.skops (or such a file), the files of a
custom predictor, or an artifact, which is copied as it is. --to is a folder, or an address of file, s3, gs or oci.
Equal bytes again are nothing to do; what is published is never changed. Credentials are this environment's."""

EXAMPLES = """  turnout publish saved/ --to models/signals/7 --model signals --version 7
  turnout publish model.skops --to s3://models/digits/1 --example rows.json --reference usual.npy
  turnout publish words/ --to oci://registry.example.com/loud:1 --entrypoint loud:Shouting
  turnout publish saved/ --to s3://models/signals/7 --dry-run
"""
UNKNOWN = {"runtime": "sklearn", "uri": "file://m", "digest": ""}  # for a look at names and numbers before all else
ROWS = "of FILE: .json, .npy or .txt"


def add_parser(commands: Commands) -> None:
    summary = "publish a model, and print the ModelVersion that serves it"
    parser = add_command(commands, "publish", summary=summary, text=TEXT, examples=EXAMPLES)
    parser.add_argument("source", type=Path, metavar="MODEL", help="the folder, or .skops file, that holds the model")
    parser.add_argument("--to", required=True, metavar="URI", help="a folder, or file://, s3://, gs:// or oci://")
    parser.add_argument("--example", default="", metavar="FILE", help=f"it is asked these rows, {ROWS}")
    parser.add_argument("--reference", default="", metavar="FILE", help=f"at least 50 usual rows, for drift, {ROWS}")
    parser.add_argument("--entrypoint", default="", metavar="CLASS", help="package.module:Class of a custom predictor")
    parser.add_argument("--model", default="", metavar="NAME", help="the model's name; default: that of MODEL")
    parser.add_argument("--version", type=int, default=1, metavar="NUMBER", help="the version's number; default 1")
    parser.add_argument("--dry-run", action="store_true", help="write and check everything, and put it nowhere")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    _manifest(args, UNKNOWN | ({"runtime": "custom"} if args.entrypoint else {}))
    published = _published(args)
    size = sum(published["files"].values()) / (1 << 20)
    what = f"{len(published['files'])} files, {size:.1f} MiB, {published['digest']}"
    print(f"{'would publish' if args.dry_run else 'published'} {what} at {published['uri']}", file=sys.stderr)
    print(_manifest(args, published), end="")
    return 0


def _published(args: argparse.Namespace) -> dict[str, Any]:
    asked = {
        "model": str(args.source),
        "to": args.to,
        "example": args.example,
        "reference": args.reference,
        "entrypoint": args.entrypoint,
        "dry_run": args.dry_run,
    }
    command = [sys.executable, "-m", "turnout_predictors.publisher", json.dumps(asked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise UserError(f"{args.source} was not published: the reason stands above")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _manifest(args: argparse.Namespace, published: dict[str, Any]) -> str:
    """The ModelVersion as YAML; UserError if the name or the number is none."""
    import yaml
    from pydantic import ValidationError

    from turnout.api.version import API_VERSION, KIND, ModelVersion

    model = args.model or args.source.resolve().stem
    predictor: dict[str, Any] = {"runtime": published["runtime"]}
    if args.entrypoint:
        predictor["entrypoint"] = args.entrypoint
    predictor["artifact"] = {"uri": published["uri"], "digest": published["digest"]}
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": f"{model}-{args.version}"},
        "spec": {"model": model, "version": args.version, "predictor": predictor},
    }
    try:
        ModelVersion.model_validate(document)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{place}: {first['msg']}; name the version with --model, --version, --entrypoint") from None
    return yaml.safe_dump(document, sort_keys=False, width=120)
