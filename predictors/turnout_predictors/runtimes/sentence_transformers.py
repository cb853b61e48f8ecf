"""Sentence encoders: text BYTES [N] in, embedding FP32 [N, D] and tokens INT32 [N] out.

Only files of the artifact are read: nothing is downloaded, and code in a model folder is never run. torch on
the CPU in fp32 is the oracle; other backends are chosen at publish.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Final, Literal

import numpy as np

from turnout_predictors.batching.engine import Model, Outputs, Work
from turnout_predictors.errors import ARTIFACT_INVALID, RequestError, StartError
from turnout_predictors.settings import Settings, bind, compute
from turnout_predictors.signature import Signature, TensorSpec

from . import Start, missing

PLATFORM: Final = "turnout_sentence_transformers"
MODULES: Final = "modules.json"


class EncoderSettings(Settings):
    normalize: bool = compute(True, description="scale every vector to length 1")
    max_length: int = compute(256, ge=8, le=8192, description="tokens per row")
    too_long: Literal["cut", "refuse"] = compute("cut", description="what becomes of a longer row")


def import_libraries() -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    try:
        import sentence_transformers  # noqa: F401
        from transformers.utils.logging import disable_progress_bar
    except ImportError as fault:
        raise missing(fault, "predictor,sentence-transformers") from None
    disable_progress_bar()  # type: ignore[no-untyped-call]  # it draws on the log


def load(start: Start) -> Model:
    """StartError if the artifact is no sentence encoder in a safe format."""
    import torch

    settings = bind(EncoderSettings, dict(start.settings))
    artifact = start.require_artifact()
    if artifact.file(MODULES) is None:
        raise StartError(ARTIFACT_INVALID, f"artifact {artifact.path} has no {MODULES}; publish a SentenceTransformer")
    unsafe = sorted(path.name for path in artifact.path.rglob("*.bin"))
    if unsafe and not any(artifact.path.rglob("*.safetensors")):
        raise StartError(ARTIFACT_INVALID, f"{artifact.path} holds pickled weights ({unsafe[0]}); save safetensors")
    torch.set_num_threads(start.threads)
    with contextlib.suppress(RuntimeError):  # allowed once per process, before the first parallel work
        torch.set_num_interop_threads(1)
    encoder = open_encoder(str(artifact.path))
    return EncoderModel(encoder, artifact.signature or signature_of(encoder), settings)


def open_encoder(folder: str) -> Any:
    """The library's own object, from local files alone."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        folder,
        device="cpu",
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )


def signature_of(encoder: Any) -> Signature:
    size = int(encoder.get_embedding_dimension())
    return Signature(
        (TensorSpec("text", "BYTES", ("N",), text=True),),
        (TensorSpec("embedding", "FP32", ("N", size)), TensorSpec("tokens", "INT32", ("N",))),
    )


class EncoderModel:
    platform = PLATFORM
    budget_padded = 2048.0  # tokens: a larger batch is hardly faster on a CPU, and others wait longer

    def __init__(self, encoder: Any, signature: Signature, settings: Settings) -> None:
        self._encoder = encoder
        self._longest = int(encoder.max_seq_length or settings.model_dump()["max_length"])
        self.signature = signature
        self.settings = settings

    def lengths(self, work: Work) -> list[int]:
        """About how many tokens each row has: four letters make one. Exact counts would cost a tokenizer's run."""
        longest = min(work.settings.max_length, self._longest)
        return [min(len(text) // 4 + 2, longest) for text in work.inputs["text"].tolist()]

    def forward(self, work: Work) -> Outputs:
        """`tokens` counts what the model saw, special tokens included."""
        texts = work.inputs["text"].tolist()
        settings = work.settings
        longest = min(settings.max_length, self._longest)
        if settings.too_long == "refuse":
            self._refuse_longer(texts, longest)
        self._encoder.max_seq_length = longest
        outputs: dict[str, Any] = {}
        if "embedding" in work.outputs:
            outputs["embedding"] = self._embed(texts, settings.normalize)
        if "tokens" in work.outputs:
            outputs["tokens"] = self._count(texts)
        return outputs

    def _embed(self, texts: list[str], normalize: bool) -> Any:
        if not texts:
            return np.zeros((0, self._encoder.get_embedding_dimension()), np.float32)
        return self._encoder.encode(
            texts, normalize_embeddings=normalize, convert_to_numpy=True, show_progress_bar=False
        )

    def _refuse_longer(self, texts: list[str], longest: int) -> None:
        self._encoder.max_seq_length = longest + 1
        if texts and self._count(texts).max() > longest:
            message = f"a text has more than {longest} tokens (max_length); shorten it, or say too_long: cut"
            raise RequestError("too_large", message, field="text")

    def _count(self, texts: list[str]) -> Any:
        if not texts:
            return np.zeros(0, np.int32)
        mask = self._encoder.preprocess(texts)["attention_mask"]
        return mask.sum(dim=1).numpy().astype(np.int32)
