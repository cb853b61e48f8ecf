"""A Predictor under kserve's own ModelServer: the same engine answers, over V2, V1 and gRPC."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.predictors.conftest import START_SECONDS, free_port
from turnout_predictors import FP32, Predictor, Tensors, dims

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HERE = Path(__file__).parent

SERVER = """
    import sys
    web, rpc, sys.argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[:1]
    from kserve import ModelServer
    from mirror import Mirror

    model = Mirror("mirror")
    model.load()
    ModelServer(http_port=web, grpc_port=rpc).start([model])
"""


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Of HTTP and gRPC."""
    folder = tmp_path_factory.mktemp("hosted")
    (folder / "serve.py").write_text(textwrap.dedent(SERVER))
    web, rpc = free_port(), free_port()
    path = f"{HERE / 'clients'}:{HERE.parents[1] / 'predictors'}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(folder / "serve.py"), str(web), str(rpc)],
            env={"PYTHONPATH": path},
            stdout=log,
            stderr=log,
        )
    try:
        _until_ready(web, process, folder / "log")
        yield web, rpc
    finally:
        process.kill()
        process.wait()


def _until_ready(web: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if ask(web, "/v2/models/mirror/ready")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(log.read_text()[-3000:])


def ask(web: int, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    raw = None if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(f"http://127.0.0.1:{web}{path}", raw, given)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def v2(datatype: str, *data: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "7",
        "inputs": [{"name": datatype, "shape": [len(data), 1], "datatype": datatype, "data": list(data)}],
        **more,
    }


@pytest.mark.parametrize(
    ("datatype", "data"), [("FP32", [1.5, 2.5]), ("INT64", [1, -2]), ("BOOL", [True, False]), ("BYTES", ["a", "grüße"])]
)
def test_v2(ports: tuple[int, int], datatype: str, data: list[Any]) -> None:
    status, answer = ask(ports[0], "/v2/models/mirror/infer", v2(datatype, *data))
    assert (status, answer["id"]) == (200, "7"), answer
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"], output["data"]) == (datatype, datatype, [2, 1], data)


def test_settings_travel_with_the_request(ports: tuple[int, int]) -> None:
    parameters = {"settings": '{"factor": 3}'}
    _, answer = ask(ports[0], "/v2/models/mirror/infer", v2("FP32", 1, 2, parameters=parameters))
    assert answer["outputs"][0]["data"] == [3, 6]


def test_a_view_of_each_row_and_what_the_answer_was_made_under(ports: tuple[int, int]) -> None:
    body = {**v2("FP32", 1, 2, parameters={"settings": '{"factor": 3}'}), "outputs": [{"name": "json"}]}
    _, answer = ask(ports[0], "/v2/models/mirror/infer", body)
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("json", "BYTES", [2])
    assert [json.loads(row) for row in output["data"]] == [{"FP32": [3.0]}, {"FP32": [6.0]}]
    assert "settings_digest" in answer["parameters"]


def test_a_timeout_that_is_over_is_said(ports: tuple[int, int]) -> None:
    status, answer = ask(ports[0], "/v2/models/mirror/infer", v2("FP32", 1, parameters={"timeout": 1}))
    assert status == 504, answer


@pytest.mark.parametrize(
    ("given", "expected", "said"),
    [("0", 504, "deadline"), ("20000", 200, "outputs"), ("soon", 400, "headers.X-Request-Deadline-Ms")],
)
def test_a_deadline_in_a_header_counts(ports: tuple[int, int], given: str, expected: int, said: str) -> None:
    status, answer = ask(ports[0], "/v2/models/mirror/infer", v2("FP32", 1), X_Request_Deadline_Ms=given)
    assert (status, said in json.dumps(answer)) == (expected, True), answer


def test_v1(ports: tuple[int, int]) -> None:
    answer = ask(ports[0], "/v1/models/mirror:predict", {"instances": [{"FP64": [1, 2]}, {"FP64": [3, 4]}]})
    assert answer == (200, {"predictions": [[1, 2], [3, 4]]})


REFUSED = {
    "the model's own no": (v2("INT8", 12), 400, "12 is refused"),
    "a value out of range": (v2("INT8", 300), 400, "inputs[0].data[0]"),
    "an unknown input": (v2("INT7", 1), 400, "inputs[0]"),
    "an unknown setting": (v2("FP32", 1, parameters={"settings": '{"x": 1}'}), 400, "allowed: factor"),
    "a model that raises": (v2("INT8", 13), 500, "the model raised ValueError"),
}


@pytest.mark.parametrize(("body", "status", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(ports: tuple[int, int], body: Any, status: int, said: str) -> None:
    found, answer = ask(ports[0], "/v2/models/mirror/infer", body)
    assert (found, said in json.dumps(answer)) == (status, True), answer


def tensor(datatype: str, field: str, *values: Any, **parameters: int) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="mirror", id="7")
    given = message.inputs.add(name=datatype, datatype=datatype, shape=[len(values), 1])
    getattr(given.contents, field).extend(values)
    for name, value in parameters.items():
        message.parameters[name].int64_param = value
    return message


def raw(*entries: bytes) -> pb.ModelInferRequest:
    message = tensor("FP32", "fp32_contents", 1)
    message.inputs[0].ClearField("contents")
    message.raw_input_contents.extend(entries)
    return message


TOLD = {
    "the model's own no": (tensor("INT8", "int_contents", 12), {}, "INVALID_ARGUMENT", "INT8: 12 is refused"),
    "a value out of range": (tensor("INT8", "int_contents", 300), {}, "INVALID_ARGUMENT", "inputs[0].data[0]"),
    "the wrong contents": (tensor("FP32", "fp64_contents", 1), {}, "INVALID_ARGUMENT", "inputs[0]"),
    "raw bytes of another size": (raw(bytes(5)), {}, "INVALID_ARGUMENT", "takes 4 bytes, not 5"),
    "too many raw entries": (raw(bytes(4), bytes(4)), {}, "INVALID_ARGUMENT", "does not match"),
    "a model that raises": (tensor("INT8", "int_contents", 13), {}, "INTERNAL", "the model raised ValueError"),
    "a timeout that is over": (
        tensor("FP32", "fp32_contents", 1, timeout=1),
        {},
        "DEADLINE_EXCEEDED",
        "the request's deadline",
    ),
    "a deadline in the metadata": (
        tensor("FP32", "fp32_contents", 1),
        {"x-request-deadline-ms": "0"},
        "DEADLINE_EXCEEDED",
        "the request's deadline",
    ),
    "a deadline that is none": (
        tensor("FP32", "fp32_contents", 1),
        {"x-request-deadline-ms": "soon"},
        "INVALID_ARGUMENT",
        "whole milliseconds",
    ),
}


@pytest.mark.parametrize(("message", "metadata", "status", "said"), TOLD.values(), ids=TOLD.keys())
def test_grpc_tells(
    ports: tuple[int, int], message: pb.ModelInferRequest, metadata: dict[str, str], status: str, said: str
) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{ports[1]}") as channel:
        call = GRPCInferenceServiceStub(channel).ModelInfer
        with pytest.raises(grpc.RpcError) as refused:
            call(message, timeout=30, metadata=tuple(metadata.items()))
    assert refused.value.code().name == status  # type: ignore[attr-defined]
    assert said in refused.value.details()  # type: ignore[attr-defined]


class Waiting(Predictor):
    """Its first forward ends when the test says so."""

    class Inputs(Tensors):
        x: FP32 = dims("N")

    class Outputs(Tensors):
        x: FP32 = dims("N")

    def load(self) -> bool:
        self.begun, self.may_end, self.seen = threading.Event(), threading.Event(), list[list[float]]()
        return True

    def predict(self, batch: Any, settings: Any) -> Any:
        self.seen.append(batch.x.tolist())
        self.begun.set()
        self.may_end.wait(60)
        return self.Outputs(x=batch.x)


async def test_a_call_that_its_server_cancels_takes_its_work_along() -> None:
    """As kserve's gRPC server does with one whose own deadline is past."""
    predictor = Waiting("waiting")
    predictor.load()

    def call(value: float) -> asyncio.Future[Any]:
        given = InferInput("x", [1], "FP32", data=[value])
        return asyncio.ensure_future(predictor(InferRequest("waiting", [given])))

    first = call(1)
    await asyncio.to_thread(predictor.begun.wait, 60)
    cancelled, last = call(2), call(3)
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    predictor.may_end.set()
    await asyncio.gather(first, last)
    assert predictor.seen == [[1], [3]]


@pytest.mark.parametrize("is_raw", [False, True], ids=["contents", "raw"])
async def test_grpc(ports: tuple[int, int], is_raw: bool) -> None:
    client = InferenceGRPCClient(f"127.0.0.1:{ports[1]}", timeout=30)
    arrays = {"FP32": np.array([[1.5], [2]], np.float32), "BYTES": np.array([[b"a"], [b"b"]], dtype=object)}
    for name, array in arrays.items():
        tensor = InferInput(name, [2, 1], name)
        tensor.set_data_from_numpy(array, binary_data=is_raw)
        answers = await asyncio.gather(*(client.infer(InferRequest("mirror", [tensor], "7")) for _ in range(4)))
        for answer in answers:
            found = answer.outputs[0].as_numpy().reshape(-1).tolist()
            plain = [value.encode() if isinstance(value, str) else value for value in found]
            assert plain == array.reshape(-1).tolist()
    await client.close()
