"""Models written for kserve, unchanged: tensors, steps, exceptions, and which thread runs what."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput, ModelNotReady

from turnout_predictors.errors import StartError
from turnout_predictors.runtimes import Start
from turnout_predictors.runtimes.foreign import load_foreign

INFER = "/v2/models/m/infer"
BODY = {
    "id": "abc",
    "parameters": {"mood": "good"},
    "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [1.5, 2.5]},
        {"name": "t", "datatype": "BYTES", "shape": [2], "data": ["ä", "b"]},
    ],
}


class Recording(Model):  # type: ignore[misc]
    """Doubles x and echoes t; remembers what it saw."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.seen: dict[str, Any] = {}

    def predict(self, payload: InferRequest, headers: Any = None) -> InferResponse:
        x, t = payload.inputs
        self.seen = {
            "id": payload.id,
            "parameters": payload.parameters,
            "texts": t.data,
            "thread": threading.current_thread().name,
            "request id": headers.get("x-request-id"),
            "wanted": [output.name for output in payload.request_outputs or []],
        }
        doubled = InferOutput("y", [2, 1], "FP32")
        doubled.set_data_from_numpy(x.as_numpy() * 2, binary_data=False)
        return InferResponse(payload.id, self.name, [doubled, InferOutput("t", [2], "BYTES", data=t.data)])


def start_of(**more: Any) -> Start:
    given = {"settings": {}, "entrypoint": "x:Y", "threads": 1, **more}
    return Start("m", "1", None, **given)


@pytest.fixture
def serve(in_process: Any) -> Any:
    return lambda kind: in_process(load_foreign(kind, start_of()))


async def test_a_request_reaches_the_model_as_kserves_own_type(in_process: Any) -> None:
    model = load_foreign(Recording, start_of())
    answer = await in_process(model).ask("POST", INFER, BODY, {"X-Request-Id": "r"})
    assert answer.status == 200
    assert answer.json["id"] == "abc"
    assert answer.json["outputs"] == [
        {"name": "y", "shape": [2, 1], "datatype": "FP32", "data": [3.0, 5.0]},
        {"name": "t", "shape": [2], "datatype": "BYTES", "data": ["ä", "b"]},
    ]
    assert model._model.seen == {
        "id": "abc",
        "parameters": {"mood": "good"},
        "texts": ["ä", "b"],
        "thread": "model",
        "request id": "r",
        "wanted": [],
    }


async def test_a_wanted_output_is_the_only_one(serve: Any) -> None:
    answer = await serve(Recording).ask("POST", INFER, {**BODY, "outputs": [{"name": "t"}]})
    assert [output["name"] for output in answer.json["outputs"]] == ["t"]


async def test_an_unknown_output_is_named(serve: Any) -> None:
    answer = await serve(Recording).ask("POST", INFER, {**BODY, "outputs": [{"name": "z"}]})
    assert (answer.status, answer.json["error"]) == (400, "unknown output 'z'; the model gives y, t")


class Stepping(Recording):
    """Coroutines before and after, a plain method between."""

    async def preprocess(self, payload: Any, headers: Any = None) -> Any:
        await asyncio.sleep(0)
        self.order = [threading.current_thread().name]
        return payload

    async def postprocess(self, result: Any, headers: Any = None, response_headers: Any = None) -> Any:
        self.order += [self.seen["thread"], threading.current_thread().name]
        return result


async def test_plain_steps_run_on_the_model_thread_and_coroutines_on_the_loop(in_process: Any) -> None:
    model = load_foreign(Stepping, start_of())
    assert (await in_process(model).ask("POST", INFER, BODY)).status == 200
    loop_thread = threading.current_thread().name
    assert model._model.order == [loop_thread, "model", loop_thread]


class Declared(Recording):
    def get_input_types(self) -> Any:
        return [
            {"name": "x", "datatype": "FP32", "shape": [-1, 1]},
            {"name": "t", "datatype": "BYTES", "shape": [-1]},
        ]

    def get_output_types(self) -> Any:
        return [
            {"name": "y", "datatype": "FP32", "shape": [-1, 1]},
            {"name": "t", "datatype": "BYTES", "shape": [-1]},
        ]


async def test_declared_types_are_metadata_and_are_checked(serve: Any) -> None:
    server = serve(Declared)
    described = (await server.ask("GET", "/v2/models/m")).json
    assert described["inputs"][0] == {"name": "x", "datatype": "FP32", "shape": [-1, 1]}
    assert (await server.ask("POST", INFER, BODY)).status == 200
    wrong = {"inputs": [{**BODY["inputs"][0], "datatype": "FP64"}, BODY["inputs"][1]]}  # type: ignore[index]
    assert (await server.ask("POST", INFER, wrong)).json["field"] == "inputs[0].datatype"


def failing(fault: BaseException) -> type[Model]:
    class Failing(Model):  # type: ignore[misc]
        def predict(self, payload: Any, headers: Any = None) -> Any:
            raise fault

    return Failing


class Bare(Model):  # type: ignore[misc]
    """Does not even define predict."""


class OfV1(Model):  # type: ignore[misc]
    def predict(self, payload: Any, headers: Any = None) -> Any:
        return {"predictions": [1]}


FAULTS = {
    "InvalidInput": (failing(InvalidInput("x is too large")), 400, "invalid_input", "x is too large"),
    "ModelNotReady": (failing(ModelNotReady("m")), 503, "not_ready", "Model with name m is not ready."),
    "NotImplementedError": (failing(NotImplementedError()), 501, "unsupported", "does not implement predict"),
    "no predict at all": (Bare, 501, "unsupported", "Could not find PredictorConfig."),
    "any other exception": (failing(ValueError("secret")), 500, "model_error", "the model raised ValueError"),
    "an answer of V1": (OfV1, 500, "model_error", "returned dict; V2 needs kserve's InferResponse"),
}


@pytest.mark.parametrize(("kind", "status", "code", "said"), FAULTS.values(), ids=FAULTS.keys())
async def test_answers_when(serve: Any, kind: type[Model], status: int, code: str, said: str) -> None:
    server = serve(kind)
    answer = await server.ask("POST", INFER, BODY)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert said in answer.json["error"]
    assert "secret" not in answer.json["error"]
    assert (await server.ask("GET", "/v2/health/live")).status == 200


class Slow(Model):  # type: ignore[misc]
    async def predict(self, payload: Any, headers: Any = None) -> Any:
        await asyncio.sleep(60)


async def test_a_deadline_cancels_what_waits(serve: Any) -> None:
    answer = await serve(Slow).ask("POST", INFER, BODY, {"X-Request-Deadline-Ms": "50"})
    assert (answer.status, answer.json["code"]) == (504, "deadline")


async def test_a_model_that_cancels_itself_is_an_error_of_the_model(serve: Any) -> None:
    class Quitting(Model):  # type: ignore[misc]
        async def predict(self, payload: Any, headers: Any = None) -> Any:
            raise asyncio.CancelledError

    answer = await serve(Quitting).ask("POST", INFER, BODY)
    assert (answer.status, answer.json["error"]) == (500, "the model cancelled its own work")


async def test_response_headers_are_offered_to_models_that_ask(serve: Any) -> None:
    class Heading(Recording):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.required_response_headers = True

        def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
            assert response_headers == {}
            return super().predict(payload, headers)

        async def postprocess(self, result: Any, headers: Any = None, response_headers: Any = None) -> Any:
            return result

    assert (await serve(Heading).ask("POST", INFER, BODY)).status == 200


def test_a_load_that_says_no_cannot_start() -> None:
    class Refusing(Model):  # type: ignore[misc]
        def load(self) -> bool:
            return False

    with pytest.raises(StartError, match=r"load\(\) returned False"):
        load_foreign(Refusing, start_of())


async def test_every_datatype_passes_through(serve: Any) -> None:
    class Echo(Model):  # type: ignore[misc]
        def predict(self, payload: Any, headers: Any = None) -> Any:
            outputs = []
            for tensor in payload.inputs:
                output = InferOutput(tensor.name, tensor.shape, tensor.datatype)
                output.set_data_from_numpy(tensor.as_numpy(), binary_data=tensor.datatype == "FP16")
                outputs.append(output)
            return InferResponse(payload.id, self.name, outputs)

    numbers = ["UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"]
    tensors = [{"name": name, "datatype": name, "shape": [2], "data": [1, 2]} for name in numbers]
    tensors.append({"name": "BOOL", "datatype": "BOOL", "shape": [2], "data": [True, False]})
    answer = await serve(Echo).ask("POST", INFER, {"inputs": tensors})
    assert answer.status == 200, answer.json
    for sent, back in zip(tensors, answer.json["outputs"], strict=True):
        assert (back["name"], back["datatype"], back["data"]) == (sent["name"], sent["name"], sent["data"])


def test_settings_for_a_plain_model_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from turnout_predictors.runtimes import custom

    monkeypatch.setattr(custom, "resolve", lambda entrypoint: Recording)
    with pytest.raises(StartError, match="takes no settings"):
        custom.load(start_of(settings={"a": 1}))
