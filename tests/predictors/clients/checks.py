"""What a V2 server of one model `mirror`, version 3, must do, asked with nothing but sockets and kserve's stubs.

Each check raises where the server does otherwise. `mirror.py` says what the model does.
"""

import gzip
import http.client
import json
import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

INFER = "/v2/models/mirror/infer"
CHECKS: dict[str, Callable[[str, str], None]] = {}
SECONDS = 30.0


def check(name: str) -> Callable[[Callable[[str, str], None]], Callable[[str, str], None]]:
    """Of two addresses: HTTP's and gRPC's."""

    def add(tried: Callable[[str, str], None]) -> Callable[[str, str], None]:
        CHECKS[name] = tried
        return tried

    return add


class Caller:
    """One connection: an answer that does not come over it is no answer."""

    def __init__(self, address: str) -> None:
        self.connection = http.client.HTTPConnection(address, timeout=SECONDS)

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, method: str, path: str, raw: bytes | None = None, **headers: str) -> tuple[int, Any]:
        given = {"Content-Type": "application/json"} if raw is not None else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, raw, {name: value for name, value in given.items() if value})
        answer = self.connection.getresponse()
        body = answer.read()
        is_json = (answer.getheader("content-type") or "").startswith("application/json")
        return answer.status, json.loads(body) if is_json and body else body


def ask(web: str, document: Any, path: str = INFER, **headers: str) -> tuple[int, Any]:
    with Caller(web) as caller:
        return caller.send("POST", path, json.dumps(document).encode(), **headers)


def get(web: str, path: str, method: str = "GET") -> tuple[int, Any]:
    with Caller(web) as caller:
        return caller.send(method, path)


def tensor(datatype: str, shape: Any, data: Any, **more: Any) -> dict[str, Any]:
    return {"name": datatype.upper(), "datatype": datatype, "shape": shape, "data": data, **more}


def body(*tensors: Any, **more: Any) -> dict[str, Any]:
    return {"id": "7", "inputs": list(tensors), **more}


FINE = body(tensor("FP32", [1, 2], [1.5, 2.5]))


def is_(found: object, expected: object) -> None:
    assert found == expected, f"{str(found)[:300]} instead of {str(expected)[:300]}"


def told(answer: tuple[int, Any], status: int) -> None:
    """An error is an object that says `error` and its `code`."""
    is_(answer[0], status)
    assert {"error", "code"} <= answer[1].keys(), answer[1]


@check("a request is answered, the id as it was")
def _(web: str, _: str) -> None:
    status, answer = ask(web, FINE)
    is_((status, answer["id"], answer["outputs"][0]["data"]), (200, "7", [1.5, 2.5]))


@check("nested data is the flat data")
def _(web: str, _: str) -> None:
    is_(ask(web, body(tensor("INT64", [2, 2], [[1, 2], [3, 4]])))[1]["outputs"][0]["data"], [1, 2, 3, 4])


@check("a request needs no id, and none is invented")
def _(web: str, _: str) -> None:
    status, answer = ask(web, {"inputs": FINE["inputs"]})
    is_((status, answer.get("id")), (200, None))


@check("a request needs no Content-Type")
def _(web: str, _: str) -> None:
    is_(ask(web, FINE, Content_Type="")[0], 200)


@check("an answer has no null keys")
def _(web: str, _: str) -> None:
    _status, answer = ask(web, FINE)
    is_([key for key, value in (*answer.items(), *answer["outputs"][0].items()) if value is None], [])


@check("the version in the path is served, and in the answer")
def _(web: str, _: str) -> None:
    status, answer = ask(web, FINE, "/v2/models/mirror/versions/3/infer")
    is_((status, answer.get("model_version")), (200, "3"))


@check("another version is 404")
def _(web: str, _: str) -> None:
    told(ask(web, FINE, "/v2/models/mirror/versions/9/infer"), 404)


@check("another model, another route, another method: errors have one shape")
def _(web: str, _: str) -> None:
    told(ask(web, FINE, "/v2/models/other/infer"), 404)
    told(get(web, "/v2/other"), 404)
    told(get(web, INFER), 405)


@check("HEAD, and /v2/ as /v2")
def _(web: str, _: str) -> None:
    is_((get(web, "/v2/health/ready", "HEAD")[0], get(web, "/v2/")[0]), (200, 200))


@check("what is no JSON is 400, with an error's shape")
def _(web: str, _: str) -> None:
    with Caller(web) as caller:
        told(caller.send("POST", INFER, b'{"inputs": ['), 400)


@check("a request without inputs is 400, with an error's shape")
def _(web: str, _: str) -> None:
    told(ask(web, {"id": "7"}), 400)


@check("a tensor without a shape is 400, with an error's shape")
def _(web: str, _: str) -> None:
    told(ask(web, body({"name": "FP32", "datatype": "FP32", "data": [1]})), 400)


REFUSED = {
    "inputs: []": body(),
    "an input twice": body(FINE["inputs"][0], FINE["inputs"][0]),
    "an unknown input": body({**FINE["inputs"][0], "name": "other"}),
    "a size that is a string": body(tensor("FP32", ["1", 2], [1, 2])),
    "a negative size": body(tensor("FP32", [-1, 2], [1, 2])),
    "fewer values than the shape has": body(tensor("FP32", [2, 2], [1, 2, 3])),
    "more values than the shape has": body(tensor("FP32", [1, 2], [1, 2, 3])),
    "sizes whose product overflows": body(tensor("FP32", [2**62, 2**62], [1])),
    "a datatype in lower case": body(tensor("fp32", [1, 2], [1, 2])),
    "1.7 as an integer": body(tensor("INT32", [1, 1], [1.7])),
    "300 as UINT8": body(tensor("UINT8", [1, 1], [300])),
    '"false" as a boolean': body(tensor("BOOL", [1, 1], ["false"])),
    "a number as a text": body(tensor("BYTES", [1, 1], [1])),
    "true as a number": body(tensor("FP32", [1, 1], [True])),
    "an unknown output": {**FINE, "outputs": [{"name": "other"}]},
    "a parameter that is an object": {**FINE, "parameters": {"x": {}}},
    "an id that is a number": {**FINE, "id": 7},
    "the model's own no": body(tensor("INT8", [1, 1], [12])),
}

for name, document in REFUSED.items():

    @check(f"{name} is 400")
    def _(web: str, _: str, document: Any = document) -> None:
        is_(ask(web, document)[0], 400)


@check("UINT64 is exact to its last digit")
def _(web: str, _: str) -> None:
    is_(ask(web, body(tensor("UINT64", [1, 1], [2**64 - 1])))[1]["outputs"][0]["data"], [2**64 - 1])


@check("one of two outputs, if it is the only one wanted")
def _(web: str, _: str) -> None:
    both = body(*FINE["inputs"], tensor("INT64", [1, 2], [1, 2]), outputs=[{"name": "INT64"}])
    is_([output["name"] for output in ask(web, both)[1]["outputs"]], ["INT64"])


@check("a body in gzip")
def _(web: str, _: str) -> None:
    with Caller(web) as caller:
        is_(caller.send("POST", INFER, gzip.compress(json.dumps(FINE).encode()), Content_Encoding="gzip")[0], 200)


def framed(web: str, size: str, raw: bytes) -> tuple[int, Any]:
    with Caller(web) as caller:
        more = {"Inference_Header_Content_Length": size, "Content_Type": "application/octet-stream"}
        return caller.send("POST", INFER, raw, **more)


HEAD = json.dumps(
    {
        "id": "7",
        "inputs": [{"name": "FP32", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}],
        "parameters": {"binary_data_output": True},
    }
).encode()
TAIL = struct.pack("<2f", 1.5, 2.5)


@check("binary in, binary out")
def _(web: str, _: str) -> None:
    status, raw = framed(web, str(len(HEAD)), HEAD + TAIL)
    is_((status, raw[-8:]), (200, TAIL))


for name, (size, raw) in {
    "no number": ("x", HEAD + TAIL),
    "negative": ("-1", HEAD + TAIL),
    "longer than the body": ("999", HEAD + TAIL),
    "that of half the JSON": (str(len(HEAD) // 2), HEAD + TAIL),
}.items():

    @check(f"a length of the JSON that is {name} is 400")
    def _(web: str, _: str, size: str = size, raw: bytes = raw) -> None:
        is_(framed(web, size, raw)[0], 400)


@check("a byte too few, a byte too many of a binary tensor is 400")
def _(web: str, _: str) -> None:
    is_([framed(web, str(len(HEAD)), HEAD + tail)[0] for tail in (TAIL[:-1], TAIL + b"x")], [400, 400])


@check("a model that raises is 500, and the connection survives")
def _(web: str, _: str) -> None:
    with Caller(web) as caller:
        raw = json.dumps(body(tensor("INT8", [1, 1], [13]))).encode()
        is_(caller.send("POST", INFER, raw)[0], 500)
        socket = caller.connection.sock
        is_((caller.send("POST", INFER, json.dumps(FINE).encode())[0], caller.connection.sock is socket), (200, True))


@check("a model's exception keeps its text to itself")
def _(web: str, _: str) -> None:
    _status, answer = ask(web, body(tensor("INT8", [1, 1], [13])))
    assert "of the model's own" not in json.dumps(answer), answer


# -- gRPC --------------------------------------------------------------------------------------------------------------


def call(rpc: str, message: Any, name: str = "ModelInfer") -> Any:
    """The answer, or the status's name with the text."""
    with grpc.insecure_channel(rpc) as channel:
        try:
            return getattr(GRPCInferenceServiceStub(channel), name)(message, timeout=SECONDS)
        except grpc.RpcError as fault:
            return SimpleNamespace(status=fault.code().name, text=fault.details())


def infer(
    datatype: str = "FP32", shape: Any = (1, 2), raw: Any = (), model: str = "mirror", version: str = "", **data: Any
) -> Any:
    message = pb.ModelInferRequest(model_name=model, model_version=version, id="7", raw_input_contents=raw)
    given = message.inputs.add(name=datatype, datatype=datatype, shape=shape)
    for field, values in data.items():
        getattr(given.contents, field).extend(values)
    return message


CONTENTS = {"fp32_contents": (1.5, 2.5)}


@check("gRPC: contents in, contents out")
def _(_: str, rpc: str) -> None:
    is_(list(call(rpc, infer(**CONTENTS)).outputs[0].contents.fp32_contents), [1.5, 2.5])


@check("gRPC: raw in, raw out")
def _(_: str, rpc: str) -> None:
    is_(list(call(rpc, infer(raw=[TAIL])).raw_output_contents), [TAIL])


@check("gRPC: the version is in the answer")
def _(_: str, rpc: str) -> None:
    is_(call(rpc, infer(**CONTENTS)).model_version, "3")


STATUSES = {
    "another model": (infer(model="other", **CONTENTS), "NOT_FOUND"),
    "another version": (infer(version="9", **CONTENTS), "NOT_FOUND"),
    "a shape of more values": (infer(shape=(2, 2), **CONTENTS), "INVALID_ARGUMENT"),
    "the wrong contents": (infer(fp64_contents=(1, 2)), "INVALID_ARGUMENT"),
    "300 as UINT8": (infer("UINT8", (1, 1), uint_contents=(300,)), "INVALID_ARGUMENT"),
    "raw bytes of another size": (infer(raw=[TAIL + b"x"]), "INVALID_ARGUMENT"),
    "raw bytes for another number of inputs": (infer(raw=[TAIL, TAIL]), "INVALID_ARGUMENT"),
    "an unknown datatype": (infer("FP31", **CONTENTS), "INVALID_ARGUMENT"),
    "the model's own no": (infer("INT8", (1, 1), int_contents=(12,)), "INVALID_ARGUMENT"),
    "a model that raises": (infer("INT8", (1, 1), int_contents=(13,)), "INTERNAL"),
}

for name, (message, status) in STATUSES.items():

    @check(f"gRPC: {name} is {status}")
    def _(_: str, rpc: str, message: Any = message, status: str = status) -> None:
        answer = call(rpc, message)
        is_(getattr(answer, "status", "an answer"), status)


@check("gRPC: grpc.health.v1 and reflection")
def _(_: str, rpc: str) -> None:
    with grpc.insecure_channel(rpc) as channel:
        is_(channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=SECONDS), b"\x08\x01")
        asked = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        assert b"inference.GRPCInferenceService" in next(asked(iter([b"\x3a\x01*"]), timeout=SECONDS))
