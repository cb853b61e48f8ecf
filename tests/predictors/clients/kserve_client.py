"""kserve's own clients against `mirror`. Run by its own Python: HTTP_ADDRESS GRPC_ADDRESS."""

import asyncio
import sys
from importlib.metadata import version

addresses, sys.argv = sys.argv[1:3], sys.argv[:1]  # kserve parses the command line when it is imported

import numpy as np  # noqa: E402
from cases import case, run  # noqa: E402
from kserve import (  # noqa: E402
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)

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


def arrays():
    for name, dtype in DTYPES.items():
        yield name, (np.arange(6) % 2).astype(dtype).reshape(2, 3)
    yield "BYTES", np.array([text.encode() for text in ("", "a", "grüße", "b", "c", "d")], dtype=object).reshape(2, 3)


def request(name, array, *, binary):
    tensor = InferInput(name, list(array.shape), name)
    tensor.set_data_from_numpy(array, binary_data=binary)
    parameters = {"binary_data_output": True} if binary else None
    return InferRequest("mirror", [tensor], "7", parameters=parameters)


def same(array, found):
    plain = found.reshape(-1).tolist()
    if array.dtype == object:
        plain = [value.encode() if isinstance(value, str) else value for value in plain]
    assert plain == array.reshape(-1).tolist(), plain
    assert tuple(found.shape) == array.shape


async def over_http(address, binary):
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0, timeout=30))
    try:
        assert await client.is_server_live(f"http://{address}")
        assert await client.is_server_ready(f"http://{address}")
        assert await client.is_model_ready(f"http://{address}", "mirror")
        for name, array in arrays():
            if name == "FP16" and not binary:
                continue  # its JSON has no FP16
            asked = request(name, array, binary=binary)
            answer = await client.infer(f"http://{address}", asked, model_name="mirror")
            assert answer.id == "7"
            same(array, answer.outputs[0].as_numpy())
    finally:
        await client.close()


@case("InferenceRESTClient, JSON: every datatype")
def _(web, _rpc):
    asyncio.run(over_http(web, False))


@case("InferenceRESTClient, binary: every datatype")
def _(web, _rpc):
    asyncio.run(over_http(web, True))


@case("InferenceRESTClient, V1")
def _(web, _rpc):
    async def main():
        client = InferenceRESTClient(RESTConfig(protocol="v1", retries=0, timeout=30))
        answer = await client.infer(f"http://{web}", {"instances": [{"FP64": [1.0, 2.0]}]}, model_name="mirror")
        assert answer == {"predictions": [[1.0, 2.0]]}, answer
        await client.close()

    asyncio.run(main())


async def over_grpc(address, binary):
    client = InferenceGRPCClient(address, timeout=30)
    try:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("mirror")
        for name, array in arrays():
            if name == "FP16" and not binary:
                continue
            answer = await client.infer(request(name, array, binary=binary))
            same(array, answer.outputs[0].as_numpy())
    finally:
        await client.close()


@case("InferenceGRPCClient, contents: every datatype")
def _(_web, port):
    asyncio.run(over_grpc(port, False))


@case("InferenceGRPCClient, raw: every datatype")
def _(_web, port):
    asyncio.run(over_grpc(port, True))


if __name__ == "__main__":
    run(version("kserve"), *addresses)
