"""MLServer's types and codecs against `mirror`. Run by its own Python: HTTP_ADDRESS GRPC_ADDRESS."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from importlib.metadata import version
from pathlib import Path

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


@case("`mlserver infer`, three hundred requests of a file, merged and split again, one of them refused")
def _(web, _rpc):
    tensor = {"name": "INT8", "datatype": "INT8", "shape": [1, 2]}
    rows = [[at % 11, 0] for at in range(300)] + [[12, 0]]
    requests = [{"id": str(at), "inputs": [{**tensor, "data": row}]} for at, row in enumerate(rows)]
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "asked"), Path(folder, "answered")
        asked.write_text("".join(json.dumps(request) + "\n" for request in requests))
        program = Path(sys.executable).with_name("mlserver")
        files = ["-i", asked, "-o", answered]
        command = [program, "infer", "-u", web, "-m", "mirror", *files, "-w", "4", "-s", "50", "-r", "1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr[-3000:]
        answers = [json.loads(line) for line in answered.read_text().splitlines()]
    found = {answer["parameters"]["batch_index"]: answer for answer in answers}
    assert sorted(found) == list(range(301)), sorted(found)
    assert [found[at]["outputs"][0]["data"] for at in range(300)] == rows[:300]
    assert "12 is refused" in found[300]["error"]["msg"], found[300]


if __name__ == "__main__":
    run(version("mlserver"), *sys.argv[1:3])
