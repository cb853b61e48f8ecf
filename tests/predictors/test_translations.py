"""Other shapes of the same request: OpenAI's embeddings, rerank, a view by row, pandas' columns, a text as it is."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
import pytest

from tests.predictors.echo import INFER, Echo, ask
from turnout_predictors.settings import Settings, compute
from turnout_predictors.signature import Signature, TensorSpec

TEXT = TensorSpec("text", "BYTES", ("N",), text=True)


class Encoder:
    """A vector of how many a, b and c a text has."""

    class Knobs(Settings):
        truncate_dim: int = compute(3, ge=1, le=3)

    signature = Signature(
        (TEXT,),
        (TensorSpec("embedding", "FP32", ("N", "D")), TensorSpec("tokens", "INT32", ("N",))),
        embedding_space="abc",
    )
    platform = "test"
    settings = Knobs()

    def forward(self, work: Any) -> Any:
        texts = work.inputs["text"].tolist()
        counts = [[text.count(letter) for letter in "abc"] for text in texts]
        found = np.array(counts, np.float32).reshape(-1, 3)[:, : work.settings.truncate_dim]
        return {"embedding": found, "tokens": np.array([len(text) for text in texts], np.int32)}


class Ranker:
    """Longest first."""

    signature = Signature(
        (TensorSpec("query", "BYTES", ("Q",), text=True), TensorSpec("documents", "BYTES", ("M",), text=True)),
        (TensorSpec("index", "INT32", ("Q", "k")), TensorSpec("score", "FP32", ("Q", "k"))),
    )
    platform = "test"
    settings = None

    def forward(self, work: Any) -> Any:
        lengths = np.array([[len(text) for text in work.inputs["documents"].tolist()]])
        order = np.argsort(-lengths, axis=1, kind="stable")
        return {"index": order, "score": np.take_along_axis(lengths, order, 1)}


async def embedded(in_process: Any, **body: Any) -> Any:
    return await in_process(Encoder()).ask("POST", "/v1/embeddings", body)


async def test_embeddings_as_openai_has_them(in_process: Any) -> None:
    answer = await embedded(in_process, input=["aab", "c"], model="m")
    assert answer.json == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [2, 1, 0]},
            {"object": "embedding", "index": 1, "embedding": [0, 0, 1]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


async def test_embeddings_in_base64_of_one_text_cut_short(in_process: Any) -> None:
    answer = await embedded(in_process, input="aab", encoding_format="base64", dimensions=2)
    (item,) = answer.json["data"]
    assert np.frombuffer(base64.b64decode(item["embedding"]), "<f4").tolist() == [2, 1]


RANKED = {
    "by an encoder, Cohere's way": (
        Encoder,
        {"query": "a", "documents": ["b", {"text": "aa"}, "ab"], "top_n": 2, "return_documents": True},
        {
            "results": [
                {"index": 1, "relevance_score": 1.0, "document": {"text": "aa"}},
                {"index": 2, "relevance_score": pytest.approx(0.5**0.5), "document": {"text": "ab"}},
            ],
            "model": "m",
        },
    ),
    "by a ranker, TEI's way": (
        Ranker,
        {"query": "x", "texts": ["a", "ccc", "bb"]},
        [{"index": 1, "score": 3.0}, {"index": 2, "score": 2.0}, {"index": 0, "score": 1.0}],
    ),
    "with the texts": (
        Ranker,
        {"query": "x", "texts": ["a"], "return_text": True},
        [{"index": 0, "score": 1.0, "text": "a"}],
    ),
}


@pytest.mark.parametrize(("model", "body", "expected"), RANKED.values(), ids=RANKED.keys())
async def test_rerank(in_process: Any, model: Any, body: Any, expected: Any) -> None:
    assert (await in_process(model()).ask("POST", "/rerank", body)).json == expected


REFUSED = {
    "no JSON": (Encoder, "/v1/embeddings", b"{", 400, "not JSON"),
    "a list": (Encoder, "/v1/embeddings", [], 400, "JSON object"),
    "no input": (Encoder, "/v1/embeddings", {}, 400, "must be a text"),
    "nothing to embed": (Encoder, "/v1/embeddings", {"input": []}, 400, "at least one text"),
    "token numbers": (Encoder, "/v1/embeddings", {"input": [1, 2]}, 400, "must be a text"),
    "another model": (Encoder, "/v1/embeddings", {"input": "a", "model": "x"}, 404, "'x' is not served"),
    "another encoding": (Encoder, "/v1/embeddings", {"input": "a", "encoding_format": "hex"}, 400, "float or base64"),
    "too many dimensions": (Encoder, "/v1/embeddings", {"input": "a", "dimensions": 9}, 400, "truncate_dim"),
    "no dimension": (Encoder, "/v1/embeddings", {"input": "a", "dimensions": 0}, 400, "positive"),
    "a model without vectors": (Echo, "/v1/embeddings", {"input": "a"}, 501, "no embedding"),
    "documents that are none": (Encoder, "/rerank", {"query": "a", "documents": "b"}, 400, "array of texts"),
    "documents without text": (Encoder, "/rerank", {"query": "a", "documents": [{}]}, 400, "must be a text"),
    "no query": (Encoder, "/rerank", {"documents": ["b"]}, 400, "must be a text"),
    "no places": (Encoder, "/rerank", {"query": "a", "documents": ["b"], "top_n": 0}, 400, "positive"),
    "a model that cannot rank": (Echo, "/rerank", {"query": "a", "documents": ["b"]}, 501, "neither"),
}


@pytest.mark.parametrize(("model", "path", "body", "status", "said"), REFUSED.values(), ids=REFUSED.keys())
async def test_refuses(in_process: Any, model: Any, path: str, body: Any, status: int, said: str) -> None:
    answer = await in_process(model()).ask("POST", path, body)
    assert (answer.status, re.search(said, answer.json["error"]) is not None) == (status, True), answer.json


async def test_openapi_shows_only_what_the_model_can_answer(in_process: Any) -> None:
    shown = (await in_process(Encoder()).ask("GET", "/openapi.json")).json["paths"]
    assert {"/v1/embeddings", "/rerank"} <= shown.keys()
    assert (
        not {"/v1/embeddings", "/rerank"} & (await in_process(Echo()).ask("GET", "/openapi.json")).json["paths"].keys()
    )


async def test_a_view_by_row_for_people(in_process: Any) -> None:
    answer = await in_process(Encoder()).ask(
        "POST", INFER, {"inputs": [text("ab", "c")], "outputs": [{"name": "json"}, {"name": "tokens"}]}
    )
    tokens, view = answer.json["outputs"]
    assert (tokens["name"], tokens["data"]) == ("tokens", [2, 1])
    assert (view["name"], view["datatype"], view["shape"]) == ("json", "BYTES", [2])
    assert [json.loads(row) for row in view["data"]] == [
        {"embedding": [1, 1, 0], "tokens": 2},
        {"embedding": [0, 0, 1], "tokens": 1},
    ]


async def test_a_view_of_what_has_no_rows(in_process: Any) -> None:
    answer = await in_process(Echo()).ask("POST", INFER, ask(1, 2, outputs=[{"name": "json"}]))
    (view,) = answer.json["outputs"]
    assert [json.loads(row) for row in view["data"]] == [{"y": [2, 4], "rows": 1, "note": "a"}]


def text(*values: str) -> dict[str, Any]:
    return {"name": "text", "datatype": "BYTES", "shape": [len(values)], "data": list(values)}


async def test_columns_of_pandas_are_taken_and_echoed(in_process: Any) -> None:
    column = {**text("a", "b"), "shape": [2, 1]}
    numbers = {"name": "x", "datatype": "FP64", "shape": [2, 1], "data": [1, 2]}

    class Columns(Encoder):
        signature = Signature((TEXT, TensorSpec("x", "FP64", ("N",))), Encoder.signature.outputs)

    server = in_process(Columns())
    body = {"inputs": [column, numbers], "parameters": {"content_type": "pd"}}
    answer = await server.ask("POST", INFER, body)
    assert (answer.status, answer.json["parameters"]["content_type"]) == (200, "pd")
    assert (await server.ask("POST", INFER, {"inputs": [column, numbers]})).json["field"] == "inputs[1].shape"


SPACES = {
    "the same": (Encoder, "abc", 200, None),
    "another": (Encoder, "xyz", 409, "wrong_space"),
    "none": (Ranker, "abc", 409, "wrong_space"),
}


@pytest.mark.parametrize(("model", "space", "status", "code"), SPACES.values(), ids=SPACES.keys())
async def test_expected_space(in_process: Any, model: Any, space: str, status: int, code: str | None) -> None:
    body = {"inputs": [text("a")], "parameters": {"expect_space": space}}
    answer = await in_process(model()).ask("POST", INFER, body)
    assert (answer.status, answer.json.get("code")) == (status, code)
    if status == 200:
        assert answer.json["parameters"]["embedding_space"] == "abc"


async def test_a_text_as_it_is(in_process: Any) -> None:
    raw = {"Inference-Header-Content-Length": "0"}
    answer = await in_process(Encoder()).ask("POST", INFER, "aabü".encode(), raw)
    assert answer.json["outputs"][0]["data"] == [2, 1, 0]
    assert (await in_process(Encoder()).ask("POST", INFER, b"\xff", raw)).status == 400
