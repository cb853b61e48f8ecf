"""What `turnout publish` runs, in a process of its own: the control side imports no model library.

    python -m turnout_predictors.publisher '{"model": "saved/", "to": "s3://models/signals/7"}'

Progress goes to stderr. The last line of stdout is `{"uri", "digest", "runtime", "files"}`; a fault is one sentence on
stderr and exit code 1. What a folder holds says how it is published: an artifact as it is, a SentenceTransformer
(modules.json), an estimator (model.skops), else the files of a custom predictor. Pickle is refused.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from .artifacts import push
from .artifacts.artifact import SIGNATURE
from .artifacts.manifest import NAME, parse
from .errors import StartError
from .publishing import publish
from .signature import Signature, signature_from_json

ENCODER: Final = "modules.json"
KINDS: Final = {ENCODER: "sentence-transformers", "model.skops": "sklearn"}
LISTS: Final = ".json (a list), .npy (an array) or .txt (a text on each line)"


@dataclass(frozen=True, slots=True)
class Request:
    """`example`, `reference`: files of rows or texts. `entrypoint`: the class that says what a folder takes."""

    model: str
    to: str
    example: str = ""
    reference: str = ""
    entrypoint: str = ""
    dry_run: bool = False


def main(arguments: Sequence[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        published = answer(Request(**json.loads(arguments[0])))
    except (StartError, ValueError, OSError, TypeError, ImportError) as fault:
        print(getattr(fault, "message", "") or fault, file=sys.stderr)
        return 1
    print(json.dumps(published))
    return 0


def answer(request: Request) -> dict[str, Any]:
    """Publishes, unless it is a dry run, and tells what."""
    address = request.to if "://" in request.to else Path(request.to).absolute().as_uri()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "artifact"
        runtime = write(request, folder)
        if runtime == "custom" and not request.entrypoint:
            raise ValueError(
                "a custom predictor is served by its class: name it with --entrypoint package.module:Class"
            )
        files = parse((folder / NAME).read_bytes(), folder)
        digest = push(folder, address, dry_run=request.dry_run)
    sizes = {name: entry.size for name, entry in files.items()}
    return {"uri": address, "digest": digest, "runtime": runtime, "files": sizes}


def write(request: Request, folder: Path) -> str:
    """The artifact, into `folder`; returns the runtime that serves it. ValueError if the model is none."""
    model = Path(request.model)
    if model.is_file() and model.suffix == ".skops":
        return _write_estimator(request, model, folder)
    if not model.is_dir():
        raise ValueError(f"{model} is no folder and no .skops file; name the folder that holds the model")
    if (model / NAME).is_file():
        shutil.copytree(model, folder)
        return next((runtime for file, runtime in KINDS.items() if (model / file).is_file()), "custom")
    if (model / ENCODER).is_file():
        publish(model, folder, example=_rows(request.example), reference=_rows(request.reference))
        return KINDS[ENCODER]
    if (model / "model.skops").is_file():
        return _write_estimator(request, model / "model.skops", folder)
    return _write_files(request, model, folder)


def _write_estimator(request: Request, path: Path, folder: Path) -> str:
    from .runtimes.sklearn import INNARDS, read_skops

    if not request.example:
        raise ValueError(f"{path} does not say what it takes: give a few rows with --example, in {LISTS}")
    estimator = read_skops(path, INNARDS)
    publish(estimator, folder, example=_rows(request.example), reference=_rows(request.reference))
    return "sklearn"


def _write_files(request: Request, model: Path, folder: Path) -> str:
    from .runtimes.sklearn import PICKLES

    for name in PICKLES:
        if (model / name).exists():
            raise ValueError(f"{model / name} can run any code when it is loaded; save it with skops.io.dump instead")
    if request.example or request.reference:
        raise ValueError("a custom predictor is not asked at publish: put requests and answers into its examples/")
    publish(model, folder, signature=_signature(request, model))
    return "custom"


def _signature(request: Request, model: Path) -> Signature:
    if (model / SIGNATURE).is_file():
        return signature_from_json(json.loads((model / SIGNATURE).read_bytes()))
    if not request.entrypoint:
        raise ValueError(
            f"{model} holds no SentenceTransformer, no model.skops and no {SIGNATURE}: name its class with --entrypoint"
        )
    from .runtimes.custom import resolve

    sys.path.insert(0, "")  # as it is found where it is served: beside the file
    found = resolve(request.entrypoint)
    signature = getattr(found, "signature", None)
    if signature is None:
        raise ValueError(f"{request.entrypoint} is no Predictor, so it does not say what it takes; write {SIGNATURE}")
    declared: Signature = signature()
    return declared


def _rows(path: str) -> Any:
    """An array of rows, or a list of texts; None without a path."""
    if not path:
        return None
    kind = Path(path).suffix
    if kind == ".npy":
        return np.load(path, allow_pickle=False)
    if kind == ".txt":
        return [line for line in Path(path).read_text("utf-8").splitlines() if line.strip()]
    if kind != ".json":
        raise ValueError(f"{path} must be {LISTS}")
    rows = json.loads(Path(path).read_bytes())
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path} must hold a list of at least one row")
    texts = all(isinstance(row, str) for row in rows)
    return rows if texts else np.asarray(rows, np.float64)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
