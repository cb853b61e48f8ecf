"""V2 over gRPC: equal tensors for equal tensors, the same refusals as HTTP, health, and kserve's own client."""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.predictors.conftest import free_port
from tests.predictors.echo import Echo, ask
from tests.predictors.test_binary import contract
from turnout_predictors.batching import Work
from turnout_predictors.datatypes import DATATYPES
from turnout_predictors.errors import InvalidInput
from turnout_predictors.rpc.server import open_port
from turnout_predictors.rpc.stubs import SERVICE, messages
from turnout_predictors.rpc.translate import read, write
from turnout_predictors.server.binary_data import encode_binary
from turnout_predictors.server.inference import Limits
from turnout_predictors.server.settings import DEFAULTS

PB = messages()
NUMERIC = sorted(name for name, datatype in DATATYPES.items() if datatype.kind != "bytes")
CONTENTS = {
    "BOOL": "bool_contents",
    "UINT64": "uint64_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
}


class Caller:
    """One channel to a server in this process."""

    def __init__(self, port: int, server: Any) -> None:
        self.server = server
        self.address = f"127.0.0.1:{port}"
        self.channel = grpc.aio.insecure_channel(self.address)

    async def call(self, name: str, message: Any, **more: Any) -> Any:
        method = self.channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=type(message).SerializeToString,
            response_deserializer=getattr(PB, f"{name}Response").FromString,
        )
        return await method(message, **{"timeout": 20, **more})


@pytest.fixture
async def calling(in_process: Any) -> AsyncIterator[Any]:
    open_servers: list[Any] = []
    callers: list[Caller] = []

    async def make(model: Any = None, tls: Any = None, bounds: Any = DEFAULTS) -> Caller:
        server = in_process(model, server=bounds)
        port = free_port()
        limits = Limits(5.0, server=bounds)
        told = (server.lifecycle, server.metrics, limits, tls)
        open_servers.append(await open_port(f"127.0.0.1:{port}", "m", "7", *told))
        callers.append(Caller(port, server))
        return callers[-1]

    yield make
    for caller in callers:
        await caller.channel.close()
    for server in open_servers:
        await server.stop(None)


def infer(*rows: float, **more: Any) -> Any:
    message = PB.ModelInferRequest(model_name="m", **more)
    tensor = message.inputs.add(name="x", datatype="FP32", shape=[len(rows) // 2, 2])
    tensor.contents.fp32_contents.extend(rows)
    return message


async def test_answers_contents_with_contents_and_raw_with_raw(calling: Any) -> None:
    caller = await calling(Echo())
    answer = await caller.call("ModelInfer", infer(1, 2, id="a"))
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "7", "a")
    y, rows, note = answer.outputs
    assert (list(y.shape), list(y.contents.fp32_contents)) == ([1, 2], [2, 4])
    assert (list(rows.contents.int64_contents), list(note.contents.bytes_contents)) == ([1], [b"a"])
    raw = infer(1, 2)
    raw.inputs[0].ClearField("contents")
    raw.raw_input_contents.append(np.array([1, 2], "<f4").tobytes())
    answer = await caller.call("ModelInfer", raw)
    assert list(answer.raw_output_contents) == [
        np.array([2, 4], "<f4").tobytes(),
        struct.pack("<q", 1),
        b"\x01\0\0\0a",
    ]
    text = caller.server.metrics.exposition().decode()
    assert 'requests_total{attempt="first",code="200",model="m",protocol="grpc"' in text


async def test_a_wanted_output_is_the_only_one_and_labels_come_for_who_asks(calling: Any) -> None:
    message = infer(1, 2)
    message.outputs.add(name="y")
    message.parameters["labels"].bool_param = True
    answer = await (await calling(Echo())).call("ModelInfer", message)
    assert [output.name for output in answer.outputs] == ["y"]
    assert json.loads(answer.parameters["labels.y"].string_param) == ["left", "right"]


async def test_settings_travel_as_text_or_as_the_double_that_kserves_messages_lack(calling: Any) -> None:
    caller = await calling(Echo())
    message = infer(1, 2)
    message.parameters["settings"].string_param = '{"scale": 3}'
    assert list((await caller.call("ModelInfer", message)).outputs[0].contents.fp32_contents) == [3, 6]
    message = infer(1, 2)
    message.parameters["settings.scale"].ParseFromString(b"\x21" + struct.pack("<d", 0.5))
    assert list((await caller.call("ModelInfer", message)).outputs[0].contents.fp32_contents) == [0.5, 1]


async def test_tells(calling: Any) -> None:
    caller = await calling(Echo())
    assert (await caller.call("ServerLive", PB.ServerLiveRequest())).live
    assert (await caller.call("ServerReady", PB.ServerReadyRequest())).ready
    assert (await caller.call("ModelReady", PB.ModelReadyRequest(name="m", version="7"))).ready
    assert (await caller.call("ServerMetadata", PB.ServerMetadataRequest())).name == "turnout-predictor"
    described = await caller.call("ModelMetadata", PB.ModelMetadataRequest(name="m"))
    assert (described.inputs[0].name, list(described.inputs[0].shape)) == ("x", [-1, 2])


async def test_while_loading_nothing_is_ready_and_a_call_waits_within_its_deadline(calling: Any) -> None:
    caller = await calling(None)
    assert not (await caller.call("ServerReady", PB.ServerReadyRequest())).ready
    assert not (await caller.call("ModelReady", PB.ModelReadyRequest(name="m"))).ready
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await caller.call("ModelMetadata", PB.ModelMetadataRequest(name="m"))
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await caller.call("ModelInfer", infer(1, 2), timeout=0.3)
    assert refused.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def changed(**fields: Any) -> Any:
    message = infer(1, 2)
    for name, value in fields.items():
        setattr(message.inputs[0] if name in ("name", "datatype") else message, name, value)
    return message


def mixed() -> Any:
    message = infer(1, 2)
    message.raw_input_contents.append(bytes(8))
    return message


def other_contents(field: str, *values: Any) -> Any:
    message = infer()
    message.inputs[0].shape[:] = [1, 2]
    getattr(message.inputs[0].contents, field).extend(values)
    return message


REFUSED = {
    "another model": (changed(model_name="x"), "NOT_FOUND", "unknown_model"),
    "another version": (changed(model_version="8"), "NOT_FOUND", "unknown_version"),
    "an unknown input": (changed(name="z"), "INVALID_ARGUMENT", "invalid_input"),
    "another datatype": (changed(datatype="FP64"), "INVALID_ARGUMENT", "invalid_input"),
    "contents beside raw": (mixed(), "INVALID_ARGUMENT", "invalid_input"),
    "the wrong contents": (other_contents("fp64_contents", 1, 2), "INVALID_ARGUMENT", "invalid_input"),
    "too few values": (other_contents("fp32_contents", 1), "INVALID_ARGUMENT", "invalid_input"),
    "no inputs": (PB.ModelInferRequest(model_name="m"), "INVALID_ARGUMENT", "invalid_input"),
}


@pytest.mark.parametrize(("message", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_refuses(calling: Any, message: Any, status: str, code: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (await calling(Echo())).call("ModelInfer", message)
    assert refused.value.code().name == status
    assert dict(refused.value.trailing_metadata())["code"] == code


async def test_a_field_beyond_ascii_is_percent_encoded_and_no_fault_of_the_server(calling: Any) -> None:
    message = infer(1, 2)
    message.parameters["größe\n%"].string_param = ""
    message.parameters["größe\n%"].ClearField("string_param")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (await calling(Echo())).call("ModelInfer", message)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert dict(refused.value.trailing_metadata())["field"] == "parameters.gr%C3%B6%C3%9Fe%0A%25"
    assert "größe" in (refused.value.details() or "")


async def test_models_come_and_go_with_their_process(calling: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (await calling(Echo())).call("RepositoryModelLoad", PB.RepositoryModelLoadRequest(model_name="m"))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_model_that_raises_is_internal_and_keeps_its_secret(calling: Any) -> None:
    def act(_: Work) -> None:
        raise ValueError("secret")

    with pytest.raises(grpc.aio.AioRpcError, match="ValueError") as refused:
        await (await calling(Echo(act))).call("ModelInfer", infer(1, 2))
    assert refused.value.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in (refused.value.details() or "")


HEALTH = {
    "the server": (b"", b"\x08\x01"),
    "the service": (b"\x0a" + bytes([len(SERVICE)]) + SERVICE.encode(), b"\x08\x01"),
}


@pytest.mark.parametrize(("asked", "expected"), HEALTH.values(), ids=HEALTH.keys())
async def test_health_of(calling: Any, asked: bytes, expected: bytes) -> None:
    caller = await calling(Echo())
    assert await caller.channel.unary_unary("/grpc.health.v1.Health/Check")(asked, timeout=9) == expected
    caller.server.lifecycle.drain()
    assert await caller.channel.unary_unary("/grpc.health.v1.Health/Check")(asked, timeout=9) == b"\x08\x02"


async def test_health_is_watched_and_of_others_not_found(calling: Any) -> None:
    caller = await calling(Echo())
    async for status in caller.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=9):
        assert status == b"\x08\x01"
        break
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await caller.channel.unary_unary("/grpc.health.v1.Health/Check")(b"\x0a\x01z", timeout=9)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_watch_of_health_ends_with_the_drain(calling: Any) -> None:
    caller = await calling(Echo())
    watch = caller.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=9)
    assert await watch.read() == b"\x08\x01"
    caller.server.lifecycle.drain()
    assert [await watch.read(), await watch.read()] == [b"\x08\x02", grpc.aio.EOF]


async def until(holds: Callable[[], bool]) -> None:
    """Of what crosses a socket no event tells."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came true")


async def test_who_hangs_up_takes_the_work_along(calling: Any) -> None:
    caller = await calling(None)
    pending = asyncio.ensure_future(caller.call("ModelInfer", infer(1, 2)))
    await until(lambda: caller.server.metrics.inflight == 1)
    pending.cancel()
    await until(lambda: caller.server.metrics.inflight == 0)


@given(data=st.data(), name=st.sampled_from(NUMERIC), raw=st.booleans())
def test_any_tensor_is_the_one_that_was_sent(data: Any, name: str, raw: bool) -> None:
    datatype = DATATYPES[name]
    raw = raw or name not in CONTENTS
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    elements = arrays.from_dtype(datatype.dtype, allow_nan=False, allow_infinity=False)
    array = data.draw(arrays.arrays(datatype.dtype, shape, elements=elements))
    if name == "BF16" and array.size:
        array = (array.view(np.uint32) & 0xFFFF0000).view(np.float32).reshape(shape)
    message = PB.ModelInferRequest(model_name="m")
    tensor = message.inputs.add(name="x", datatype=name, shape=shape)
    if raw:
        message.raw_input_contents.append(bytes(encode_binary(array, datatype)))
    else:
        getattr(tensor.contents, CONTENTS[name]).extend(array.reshape(-1).tolist())
    request, was_raw = read(message, contract(name, len(shape)))
    np.testing.assert_array_equal(request.inputs["x"], array)
    assert (request.inputs["x"].dtype, was_raw) == (array.dtype, raw)
    answer = write(PB, PB.ModelInferResponse(), {"y": array}, {"y": name}, raw=raw)
    if raw:
        assert list(answer.raw_output_contents) == list(message.raw_input_contents)
    else:
        assert answer.outputs[0].contents == tensor.contents


@pytest.mark.parametrize(("value", "name"), [(300, "UINT8"), (-129, "INT8"), (70000, "INT16")])
def test_what_exceeds_its_type_is_refused(value: int, name: str) -> None:
    message = PB.ModelInferRequest(model_name="m")
    tensor = message.inputs.add(name="x", datatype=name, shape=[1])
    getattr(tensor.contents, CONTENTS[name]).append(value)
    with pytest.raises(InvalidInput, match="does not fit") as refused:
        read(message, contract(name, 1))
    assert refused.value.field == "inputs[0].contents[0]"


KSERVE = """
    import asyncio, sys
    import numpy as np
    from kserve import InferenceGRPCClient, InferInput, InferRequest

    async def main(address):
        client = InferenceGRPCClient(address)
        assert await client.is_server_live() and await client.is_server_ready()
        assert await client.is_model_ready("digits")
        for binary in (False, True):
            tensor = InferInput("features", [2, 64], "FP64")
            tensor.set_data_from_numpy(np.zeros((2, 64)), binary_data=binary)
            answer = await client.infer(InferRequest("digits", [tensor], "1"))
            assert {output.name for output in answer.outputs} == {"predict", "predict_proba"}
            assert answer.outputs[1].as_numpy().shape == (2, 10), answer.outputs[1]
        await client.close()

    asyncio.run(main(sys.argv.pop()))
"""


@pytest.mark.slow
@pytest.mark.timeout(400)  # kserve is imported twice, which a shared machine may stretch
def test_kserves_own_client_is_served_by_a_real_process_and_drained(start: Any, published: Any, tmp_path: Path) -> None:
    port = free_port()
    process = start(
        "--model_name=digits",
        "--runtime=sklearn",
        f"--artifact_uri={published.uri}",
        f"--artifact_digest={published.digest}",
        f"--grpc_port={port}",
    ).ready()
    script = tmp_path / "client.py"
    script.write_text(textwrap.dedent(KSERVE))
    done = subprocess.run(
        [sys.executable, str(script), f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    process.process.terminate()
    assert process.ended() == 0


async def test_http_and_grpc_give_the_same_answer(calling: Any) -> None:
    caller = await calling(Echo())
    over_http = (await caller.server.ask("POST", "/v2/models/m/infer", ask(1.5, -2))).json["outputs"]
    over_grpc = (await caller.call("ModelInfer", infer(1.5, -2))).outputs
    assert [(each["name"], each["datatype"], each["shape"]) for each in over_http] == [
        (each.name, each.datatype, list(each.shape)) for each in over_grpc
    ]
    assert over_http[0]["data"] == list(over_grpc[0].contents.fp32_contents)
