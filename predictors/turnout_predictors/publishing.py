"""Publishing: an estimator or a folder becomes an artifact that a ModelVersion can name.

    published = publish(estimator, to="models/digits/1", example=X[:3])
    published.digest                                             # sha256:…

Runs where models are trained, never in a serving process. Pickle is not written.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .artifacts import Example, push, write_artifact
from .artifacts.reference import Reference, read_references, references_of
from .artifacts.write import copy_into
from .batching.engine import Outputs, Work
from .datatypes import datatype_of
from .server.contract import Contract
from .server.request import check
from .server.response import encode, tensor
from .signature import Signature, TensorSpec

METHODS = ("predict", "predict_proba")


@dataclass(frozen=True, slots=True)
class Published:
    """`path`: the folder it was written to; for a store that folder is gone, and `address` is where it lies."""

    path: Path
    digest: str
    address: str = ""

    @property
    def uri(self) -> str:
        return self.address or self.path.as_uri()


def publish(
    model: Any,
    to: str | Path,
    *,
    example: Any = None,
    outputs: Sequence[str] = (),
    signature: Signature | None = None,
    examples: Sequence[Example] = (),
    labels: Mapping[str, Sequence[str]] | None = None,
    reference: Any = None,
    like: str | Path | None = None,
) -> Published:
    """Writes the artifact into the folder `to`, or to a URI of a store, and returns its digest.

    model: a fitted scikit-learn estimator, or a folder (a saved SentenceTransformer, or files for a custom
    predictor). example: rows the model is asked at publish; with the answers they become examples/. An array
    [rows, features] for an estimator, sentences for an encoder. outputs: methods of the estimator; default
    predict and, where it has it, predict_proba. signature, examples: given by hand for a custom predictor's
    folder. reference: many rows as callers send them (at least 50); how the outputs for them are distributed fixes
    the bins by which drift is seen. Without it an analysis has no drift to look at. For a custom predictor's folder:
    many answers, by output. like: the folder of the version before; its bins are taken over, so that answers can be
    compared with its. Numbers outside 0 to 1, labels that are texts, lengths and vectors need it.
    """
    if "://" in str(to):
        with tempfile.TemporaryDirectory() as scratch:
            written = publish(
                model,
                Path(scratch) / "artifact",
                example=example,
                outputs=outputs,
                signature=signature,
                examples=examples,
                labels=labels,
                reference=reference,
                like=like,
            )
            return Published(written.path, push(written.path, str(to)), str(to))
    target = Path(to).absolute()
    former = _bins_of(like)
    if not isinstance(model, (str, Path)):
        return _publish_estimator(model, target, example, outputs, labels or {}, reference, former)
    source = Path(model)
    if (source / "modules.json").is_file() and signature is None:
        return _publish_encoder(source, target, example, reference, former)
    if signature is None:
        raise ValueError(f"{source} is no SentenceTransformer; say what it takes and gives with signature=")
    if reference is not None and not isinstance(reference, Mapping):
        raise ValueError("a custom predictor is not asked at publish; give reference= its answers, by output")
    usual = references_of(reference or {}, former)
    return Published(target, write_artifact(target, copy_into(source), signature, examples, usual))


def _bins_of(like: str | Path | None) -> tuple[Reference, ...]:
    if like is None:
        return ()
    found = read_references(Path(like))
    if not found:
        raise ValueError(f"like={like} was published without reference=: it has no bins to take over")
    return found


def _publish_estimator(
    model: Any,
    target: Path,
    example: Any,
    outputs: Sequence[str],
    labels: Mapping[str, Sequence[str]],
    reference: Any,
    former: Iterable[Reference],
) -> Published:
    from .runtimes.sklearn import SklearnModel, SklearnSettings

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
    usual = _references(served, "features", reference, signature, former)
    return Published(target, write_artifact(target, partial(_dump, model), signature, [recorded], usual))


def _dump(model: Any, folder: Path) -> None:
    from skops.io import dump

    from .runtimes.sklearn import SKOPS

    dump(model, folder / SKOPS)


def _publish_encoder(
    source: Path, target: Path, example: Any, reference: Any, former: Iterable[Reference]
) -> Published:
    from .runtimes.sentence_transformers import EncoderModel, EncoderSettings, open_encoder, signature_of

    sentences = np.array(list(example or ("The parcel arrived damaged.", "Thank you!")), dtype=object)
    encoder = open_encoder(str(source))
    signature = signature_of(encoder)
    served = EncoderModel(encoder, signature, EncoderSettings())
    recorded = _record(served, _request("text", sentences), signature, "sentences", tolerance=1e-4)
    usual = _references(served, "text", reference, signature, former)
    return Published(target, write_artifact(target, copy_into(source), signature, [recorded], usual))


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
    """A request and the answer to it, as the server will give it."""
    contract = Contract.of(signature, served.settings)
    body = encode("", "", _ask(served, request, contract), contract.output_types)
    return Example(name, request, {"outputs": json.loads(body)["outputs"]}, tolerance)


def _references(
    served: Any, name: str, rows: Any, signature: Signature, former: Iterable[Reference]
) -> tuple[Reference, ...]:
    if rows is None:
        return ()
    kind = object if signature.inputs[0].text else None
    request = _request(name, np.ascontiguousarray(rows, kind))
    return references_of(_ask(served, request, Contract.of(signature, served.settings)), former)


def _ask(served: Any, request: dict[str, Any], contract: Contract) -> Outputs:
    """Asks the model exactly as the server will."""
    checked = check(request, contract)
    outputs: Outputs = served.forward(Work(checked.inputs, contract.output_names, 0.0, served.settings, checked.dims))
    return outputs
