"""atheris breeds bytes for our parsers: TURNOUT_FUZZ_RUNS of them, from requests such as clients send."""

import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from importlib.metadata import version
from pathlib import Path

from cases import case, run
from fuzz_target import CONNECTION, FACADES, FRAMED, PACKED, PLAIN, ROUTE, RPC

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "predictors"))
from turnout_predictors.rpc.stubs import messages

RUNS = int(os.environ.get("TURNOUT_FUZZ_RUNS", "60000"))
TARGET = Path(__file__).with_name("fuzz_target.py")
EVERY, TEXT, ENCODER, ROWS, NOTHING = range(5)  # as `fuzz_target.contracts`
WHOLE = b"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n2\r\n{}\r\n0\r\na: b\r\n\r\n"


def tensor(name: str, datatype: str, shape: list[int], data: object) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def message(name: str, datatype: str, shape: object = (1, 2), raw: object = (), **contents: object) -> bytes:
    """A ModelInferRequest."""
    given = {"name": name, "datatype": datatype, "shape": shape}
    tensors = [{**given, "contents": contents} if contents else given]
    asked = messages().ModelInferRequest(model_name="m", id="7", inputs=tensors, raw_input_contents=raw)
    asked.parameters["settings"].string_param = '{"factor": 2}'
    return asked.SerializeToString()


def seeds() -> list[bytes]:
    """Requests that are answered, one for each way in."""

    def seed(kind: int, contract: int, raw: bytes) -> bytes:
        return bytes([kind, contract]) + raw

    text = tensor("text", "BYTES", [2], ["a", "ü"])
    settings = {"settings": '{"factor": 2}', "timeout": 5, "binary_data_output": True}
    plain = [
        (EVERY, {"id": "7", "inputs": [tensor("FP32", "FP32", [1, 2], [1, 2.5])], "outputs": [{"name": "FP32"}]}),
        (
            EVERY,
            {"inputs": [tensor("UINT64", "UINT64", [1, 1], [[2**64 - 1]]), tensor("BOOL", "BOOL", [1, 1], [True])]},
        ),
        (EVERY, {"inputs": [{**tensor("BYTES", "BYTES", [1, 1], ["eA=="]), "parameters": {"content_type": "base64"}}]}),
        (TEXT, {"inputs": [text, tensor("age", "FP32", [2], [None, 1])], "parameters": settings}),
        (TEXT, {"inputs": [{**text, "shape": [2, 1]}], "parameters": {"content_type": "pd", "labels": True}}),
        (ENCODER, {"inputs": [text], "outputs": [{"name": "json"}], "parameters": {"expect_space": "space-1"}}),
        (NOTHING, {"inputs": [tensor("x", "FP16", [2, 0], [[], []])], "outputs": [{"name": "y"}]}),
    ]
    behind = {"name": "x", "datatype": "FP64", "shape": [1, 2], "parameters": {"binary_data_size": 16}}
    head = json.dumps({"inputs": [behind]}).encode()
    other = [
        (FRAMED, ROWS, struct.pack("<H", len(head)) + head + bytes(16)),
        (FRAMED, ROWS, bytes(2) + bytes(16)),
        (FRAMED, ENCODER, bytes(2) + "ü".encode()),
        (FACADES, ROWS, b'{"instances": [[1, 2], [3, 4]]}'),
        (FACADES, TEXT, b'{"instances": [{"text": "a", "age": null}]}'),
        (FACADES, ENCODER, b'{"input": ["a"], "encoding_format": "base64", "dimensions": 2, "model": "m"}'),
        (FACADES, ENCODER, b'{"query": "a", "documents": ["b", {"text": "c"}], "top_n": 1}'),
        (PACKED, 1, zlib.compress(b"a" * 99)),
        (ROUTE, 1, b"/v2/models/%6d/versions/7/infer?x=1"),
        (ROUTE, 1, b"/v2/repository/models/m/load"),
        (RPC, ROWS, message("x", "FP64", raw=[bytes(16)])),
        (RPC, EVERY, message("FP32", "FP32", fp32_contents=[1, 2])),
        (RPC, TEXT, message("text", "BYTES", [1], bytes_contents=[b"a"])),
        (CONNECTION, 0, b"\x09" + WHOLE + b"GET / HTTP/1.0\r\n\r\n"),
        (CONNECTION, 0, b"\x60" + CHUNKED),
    ]
    found = [seed(PLAIN, contract, json.dumps(document).encode()) for contract, document in plain]
    return found + [seed(*each) for each in other]


@case("parsers of JSON, binary tensors, façades, gzip, paths, gRPC, HTTP: answers and refusals, and no memory kept")
def _(_web, _rpc):
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for at, raw in enumerate(seeds()):
            (corpus / str(at)).write_bytes(raw)
        flags = [f"-runs={RUNS}", "-seed=1", "-max_len=2048", "-len_control=0", "-rss_limit_mb=800", "-timeout=20"]
        python("-u", TARGET, *flags, f"-artifact_prefix={folder}/", corpus)
        assert len(list(corpus.iterdir())) > len(seeds()), "nothing new was found: the parsers are not instrumented"
        python(TARGET, "again", corpus)


def python(*arguments: object) -> None:
    command, environment = [sys.executable, *map(str, arguments)], {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    assert done.returncode == 0, (done.stderr + done.stdout)[-4000:]


if __name__ == "__main__":
    run(version("atheris"), *sys.argv[1:3])
