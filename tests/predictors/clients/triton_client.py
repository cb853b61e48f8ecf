"""tritonclient, all four of it, against `mirror`. Run by its own Python: HTTP_ADDRESS GRPC_ADDRESS."""

import asyncio
import sys
from importlib.metadata import version

import numpy as np
import tritonclient.grpc as rpc
import tritonclient.grpc.aio as rpc_aio
import tritonclient.http as http
import tritonclient.http.aio as http_aio
from cases import case, run
from tritonclient.utils import InferenceServerException

DTYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
SHAPES = ((1, 1), (2, 3), (0, 3), (500, 7))


def arrays():
    for name, dtype in DTYPES.items():
        for shape in SHAPES:
            count = int(np.prod(shape))
            yield name, (np.arange(count) % 2 if name == "BOOL" else np.arange(count) % 11).astype(dtype).reshape(shape)
    texts = ["", "a", "grüße", "x" * 300, "\0nul", '"quoted"']
    yield "BYTES", np.array([text.encode() for text in texts], dtype=object).reshape(2, 3)


def same(sent, found):
    assert found is not None
    assert found.shape == sent.shape, (found.shape, sent.shape)
    if sent.dtype == object:
        plain = [value if isinstance(value, bytes) else value.encode() for value in found.reshape(-1)]
        assert plain == list(sent.reshape(-1)), plain
    else:
        assert found.dtype == sent.dtype, (found.dtype, sent.dtype)
        np.testing.assert_array_equal(found, sent)


def over_http(client, name, array, *, binary_in, binary_out, **more):
    tensor = http.InferInput(name, array.shape, name)
    tensor.set_data_from_numpy(array, binary_data=binary_in)
    wanted = [http.InferRequestedOutput(name, binary_data=binary_out)]
    answer = client.infer("mirror", [tensor], outputs=wanted, request_id="7", **more)
    assert answer.get_response()["id"] == "7"
    same(array, answer.as_numpy(name))


for binary_in in (True, False):
    for binary_out in (True, False):

        @case(
            f"http: every datatype and shape, {'binary' if binary_in else 'JSON'} in, "
            f"{'binary' if binary_out else 'JSON'} out"
        )
        def _(web, _rpc, binary_in=binary_in, binary_out=binary_out):
            with http.InferenceServerClient(web) as client:
                for name, array in arrays():
                    if name != "FP16" or (binary_in and binary_out):  # its JSON has no FP16
                        over_http(client, name, array, binary_in=binary_in, binary_out=binary_out)


for algorithm in ("gzip", "deflate"):

    @case(f"http: {algorithm} both ways")
    def _(web, _rpc, algorithm=algorithm):
        with http.InferenceServerClient(web) as client:
            for name, array in arrays():
                packed = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
                over_http(client, name, array, binary_in=True, binary_out=True, **packed)


@case("http: health, metadata, index")
def _(web, _rpc):
    with http.InferenceServerClient(web) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("mirror")
        assert client.is_model_ready("mirror", "3")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        assert len(client.get_model_metadata("mirror")["inputs"]) == 13
        assert client.get_model_repository_index()[0]["name"] == "mirror"


@case("http: async_infer, eight at once")
def _(web, _rpc):
    with http.InferenceServerClient(web, concurrency=8) as client:
        array = np.ones((2, 3), np.float32)
        tensor = http.InferInput("FP32", array.shape, "FP32")
        tensor.set_data_from_numpy(array)
        for asked in [client.async_infer("mirror", [tensor]) for _ in range(8)]:
            same(array, asked.get_result().as_numpy("FP32"))


@case("http.aio: every datatype")
def _(web, _rpc):
    async def main():
        async with http_aio.InferenceServerClient(web) as client:
            assert await client.is_model_ready("mirror")
            for name, array in arrays():
                tensor = http_aio.InferInput(name, array.shape, name)
                tensor.set_data_from_numpy(array)
                same(array, (await client.infer("mirror", [tensor])).as_numpy(name))

    asyncio.run(main())


def refused(infer, *, status):
    found = None
    try:
        infer()
    except InferenceServerException as fault:
        found = fault
    assert found is not None, "it was not refused"
    assert str(found.status()) in status, (found.status(), found.message())
    assert found.message()


@case("http: a refusal is the client's own exception, with our sentence")
def _(web, _rpc):
    with http.InferenceServerClient(web) as client:
        tensor = http.InferInput("INT8", (1, 1), "INT8")
        for value, status in ((12, ("400",)), (13, ("500",))):
            tensor.set_data_from_numpy(np.array([[value]], np.int8))
            refused(lambda: client.infer("mirror", [tensor]), status=status)
        refused(lambda: client.infer("other", [tensor]), status=("404",))
        refused(lambda: client.infer("mirror", [tensor], model_version="9"), status=("404",))


@case("grpc: every datatype and shape")
def _(_web, port):
    with rpc.InferenceServerClient(port) as client:
        for name, array in arrays():
            tensor = rpc.InferInput(name, array.shape, name)
            tensor.set_data_from_numpy(array)
            answer = client.infer("mirror", [tensor], outputs=[rpc.InferRequestedOutput(name)], request_id="7")
            assert answer.get_response().id == "7"
            same(array, answer.as_numpy(name))


@case("grpc: compression, parameters, a deadline")
def _(_web, port):
    with rpc.InferenceServerClient(port) as client:
        array = np.ones((50, 7), np.float32)
        tensor = rpc.InferInput("FP32", array.shape, "FP32")
        tensor.set_data_from_numpy(array)
        more = {"compression_algorithm": "gzip", "client_timeout": 20, "parameters": {"settings": '{"factor": 3}'}}
        same(array * 3, client.infer("mirror", [tensor], **more).as_numpy("FP32"))


@case("grpc: health, metadata")
def _(_web, port):
    with rpc.InferenceServerClient(port) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("mirror", "3")
        assert client.get_server_metadata().name == "turnout-predictor"
        assert len(client.get_model_metadata("mirror").inputs) == 13


@case("grpc: a refusal is the client's own exception")
def _(_web, port):
    with rpc.InferenceServerClient(port) as client:
        tensor = rpc.InferInput("INT8", (1, 1), "INT8")
        for value, status in ((12, ("StatusCode.INVALID_ARGUMENT",)), (13, ("StatusCode.INTERNAL",))):
            tensor.set_data_from_numpy(np.array([[value]], np.int8))
            refused(lambda: client.infer("mirror", [tensor]), status=status)
        refused(lambda: client.infer("other", [tensor]), status=("StatusCode.NOT_FOUND",))


@case("grpc.aio: every datatype")
def _(_web, port):
    async def main():
        async with rpc_aio.InferenceServerClient(port) as client:
            for name, array in arrays():
                tensor = rpc_aio.InferInput(name, array.shape, name)
                tensor.set_data_from_numpy(array)
                same(array, (await client.infer("mirror", [tensor])).as_numpy(name))

    asyncio.run(main())


if __name__ == "__main__":
    run(version("tritonclient"), *sys.argv[1:3])
