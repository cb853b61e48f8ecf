"""Publishing: an estimator or a folder becomes an artifact that a ModelVersion can name.

    published = publish(estimator, to="models/digits/1", example=X[:3])
    published.digest                                             # sha256:…

Runs where models are trained, never in a serving process. Pickle is not written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .artifacts import Example, write_artifact
from .artifacts.write import copy_into
from .batching.engine import Work
from .datatypes import datatype_of
from .server.contract import Contract
from .server.request import check
from .server.response import encode, tensor
from .signature import Signature, TensorSpec

METHODS = ("predict", "predict_proba")


@dataclass(frozen=True, slots=True)
class Published:
    path: Path
    digest: str

    @property
    def uri(self) -> str:
        return self.path.as_uri()


def publish(
    model: Any,
    to: str | Path,
    *,
    example: Any = None,
    outputs: Sequence[str] = (),
    signature: Signature | None = None,
    examples: Sequence[Example] = (),
    labels: Mapping[str, Sequence[str]] | None = None,
) -> Published:
    """Writes the artifact into the folder `to` and returns its digest.

    model: a fitted scikit-learn estimator, or a folder (a saved SentenceTransformer, or files for a custom
    predictor). example: rows the model is asked at publish; with the answers they become examples/. An array
    [rows, features] for an estimator, sentences for an encoder. outputs: methods of the estimator; default
    predict and, where it has it, predict_proba. signature, examples: given by hand for a custom predictor's
    folder.
    """
    target = Path(to).absolute()
    if not isinstance(model, (str, Path)):
        return _publish_estimator(model, target, example, outputs, labels or {})
    source = Path(model)
    if (source / "modules.json").is_file() and signature is None:
        return _publish_encoder(source, target, example)
    if signature is None:
        raise ValueError(f"{source} is no SentenceTransformer; say what it takes and gives with signature=")
    return Published(target, write_artifact(target, copy_into(source), signature, examples))


def _publish_estimator(
    model: Any, target: Path, example: Any, outputs: Sequence[str], labels: Mapping[str, Sequence[str]]
) -> Published:
    from skops.io import dump

    from .runtimes.sklearn import SKOPS, SklearnModel, SklearnSettings

    if example is None:
        raise ValueError("publish(estimator, …) needs example=, at least one row: it tells types and shapes")
    rows = np.ascontiguousarray(example)
    names = tuple(outputs) or tuple(name for name in METHODS if hasattr(model, name))
    answers = {name: np.asarray(getattr(model, name)(rows)) for name in names}
    signature = Signature(
        (_spec_of("features", rows),),
        tuple(_spec_of(name, answer) for name, answer in answers.items()),
        {name: tuple(map(str, values)) for name, values in labels.items()},
    )
    served = SklearnModel(model, signature, SklearnSettings())
    recorded = _record(served, _request("features", rows), signature, "rows")
    digest = write_artifact(target, lambda folder: dump(model, folder / SKOPS), signature, [recorded])
    return Published(target, digest)


def _publish_encoder(source: Path, target: Path, example: Any) -> Published:
    from .runtimes.sentence_transformers import EncoderModel, EncoderSettings, open_encoder, signature_of

    sentences = np.array(list(example or ("The parcel arrived damaged.", "Thank you!")), dtype=object)
    encoder = open_encoder(str(source))
    signature = signature_of(encoder)
    served = EncoderModel(encoder, signature, EncoderSettings())
    recorded = _record(served, _request("text", sentences), signature, "sentences", tolerance=1e-4)
    return Published(target, write_artifact(target, copy_into(source), signature, [recorded]))


def _spec_of(name: str, array: NDArray[Any]) -> TensorSpec:
    datatype = datatype_of(array.dtype)
    if datatype is None:
        raise ValueError(f"{name} has type {array.dtype}, which V2 cannot carry; convert it first")
    is_text = datatype.name == "BYTES"
    return TensorSpec(name, datatype.name, ("N", *array.shape[1:]), text=is_text)


def _request(name: str, rows: NDArray[Any]) -> dict[str, Any]:
    return {"inputs": [_plain(tensor(name, rows))]}


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    data = document["data"]
    return {**document, "shape": list(document["shape"]), "data": getattr(data, "tolist", lambda: data)()}


def _record(served: Any, request: dict[str, Any], signature: Signature, name: str, tolerance: float = 1e-5) -> Example:
    """Asks the model exactly as the server will, so the recorded answer is one that the server can give."""
    contract = Contract.of(signature, served.settings)
    checked = check(request, contract)
    work = Work(checked.inputs, contract.output_names, 0.0, served.settings, checked.dims)
    answers = served.forward(work)
    body = encode("", "", None, answers, contract.output_types)
    return Example(name, request, {"outputs": json.loads(body)["outputs"]}, tolerance)
