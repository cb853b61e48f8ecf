"""`turnout init`: a new predictor project, whole enough to pass its own tests. Nothing that exists is overwritten."""

import argparse
import re
from importlib.resources import files
from pathlib import Path

from turnout.cli.command import Commands, UserError, add_command

TEXT = """Writes a project of NAME: the predictor or its training, tests, a ModelVersion and a README.
A sentence encoder needs none: `turnout publish` takes what SentenceTransformer.save() wrote."""
EXAMPLES = """  turnout init churn --runtime sklearn
  turnout init scorer --runtime custom --to projects/scorer
"""
LAYOUTS = {
    "sklearn": {
        "README.md": "README.md",
        "train.py": "train.py",
        "modelversion.yaml": "@model@-1.yaml",
        "test_train.py": "tests/test_train.py",
    },
    "custom": {
        "README.md": "README.md",
        "module.py": "@module@.py",
        "modelversion.yaml": "@model@-1.yaml",
        "words.json": "model/words.json",
        "example.json": "model/examples/hello.json",
        "test_module.py": "tests/test_@module@.py",
    },
}
NAME = r"[a-z]([-a-z0-9]*[a-z0-9])?"


def add_parser(commands: Commands) -> None:
    parser = add_command(commands, "init", summary="begin a predictor project", text=TEXT, examples=EXAMPLES)
    parser.add_argument("name", metavar="NAME", help="the model's name: small letters, digits and dashes")
    parser.add_argument("--runtime", required=True, choices=sorted(LAYOUTS), help="what will serve it")
    parser.add_argument("--to", type=Path, metavar="DIR", help="the project's folder; default NAME")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if not re.fullmatch(NAME, args.name) or len(args.name) > 40:
        raise UserError(f"{args.name!r} is no model's name: at most 40 small letters, digits and dashes")
    folder: Path = args.to or Path(args.name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not empty; name another folder with --to")
    for path, text in project(args.name, args.runtime).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
        print(folder / path)
    print(f"next: cd {folder} && python -m pytest tests")
    return 0


def project(name: str, runtime: str) -> dict[str, str]:
    """Every file's text, by its place in the project."""
    module = name.replace("-", "_")
    words = {"@model@": name, "@module@": module, "@Class@": "".join(part.capitalize() for part in name.split("-"))}
    templates = files("turnout.cli") / "projects" / runtime
    return {
        _filled(place, words): _filled((templates / f"{template}.txt").read_text("utf-8"), words)
        for template, place in LAYOUTS[runtime].items()
    }


def _filled(text: str, words: dict[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text
