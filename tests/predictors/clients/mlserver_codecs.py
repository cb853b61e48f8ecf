"""MLServer's types and codecs against `mirror`. Run by its own Python: HTTP_ADDRESS GRPC_ADDRESS."""

import json
import sys
import urllib.request
from importlib.metadata import version

import numpy as np
import pandas as pd
from cases import case, run
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataServerResponse,
    RepositoryIndexResponse,
)


def ask(web, path, body=None):
    asked = urllib.request.Request(f"http://{web}{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return answer.read()


def infer(web, request):
    raw = ask(web, "/v2/models/mirror/infer", request.model_dump_json(exclude_none=True).encode())
    return InferenceResponse.model_validate_json(raw)


@case("its types read server, model and index")
def _(web, _rpc):
    assert MetadataServerResponse.model_validate_json(ask(web, "/v2")).name == "turnout-predictor"
    assert len(MetadataModelResponse.model_validate_json(ask(web, "/v2/models/mirror")).inputs) == 13
    index = json.loads(ask(web, "/v2/repository/index", b"{}"))
    assert RepositoryIndexResponse.model_validate(index).root[0].name == "mirror"


@case("NumpyCodec both ways")
def _(web, _rpc):
    for dtype, name in ((np.float32, "FP32"), (np.int64, "INT64"), (np.uint8, "UINT8"), (np.float64, "FP64")):
        array = np.arange(600).astype(dtype).reshape(200, 3)
        answer = infer(web, InferenceRequest(inputs=[NumpyCodec.encode_input(name, array)]))
        np.testing.assert_array_equal(NumpyRequestCodec.decode_response(answer), array)


@case("StringCodec both ways, five thousand texts")
def _(web, _rpc):
    texts = [f"grüße {at}" for at in range(5000)]
    answer = infer(web, InferenceRequest(inputs=[StringCodec.encode_input("BYTES", texts)]))
    assert StringCodec.decode_output(answer.outputs[0]) == texts


@case("PandasCodec both ways")
def _(web, _rpc):
    frame = pd.DataFrame({"FP64": [1.5, 2.5], "INT64": [3, 4], "BYTES": ["a", "b"]})
    answer = infer(web, PandasCodec.encode_request(frame))
    assert answer.parameters.content_type == "pd", answer.parameters
    found = PandasCodec.decode_response(answer)
    assert found["FP64"].tolist() == [1.5, 2.5]
    assert [value.decode() if isinstance(value, bytes) else value for value in found["BYTES"]] == ["a", "b"]


if __name__ == "__main__":
    run(version("mlserver"), *sys.argv[1:3])
