"""The checks of `checks.py`, against our process and against kserve's own ModelServer: HTTP_ADDRESS GRPC_ADDRESS.

Ours passes all. kserve's, with the same model written for it, must fail exactly those that `reviewed` lists.
"""

import json
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

addresses, sys.argv = sys.argv[1:3], sys.argv[:1]  # kserve parses the command line when it is imported
ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from checks import CHECKS  # noqa: E402
from reviewed import STOCK  # noqa: E402

from tests.predictors.conftest import START_SECONDS, free_port  # noqa: E402

SERVER = """
import sys
web, rpc, sys.argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[:1]
from kserve import InferOutput, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput

class Mirror(Model):
    def predict(self, payload, headers=None):
        found = []
        for tensor in payload.inputs:
            array = tensor.as_numpy()
            if tensor.datatype == "INT8" and (array == 13).any():
                raise ValueError("of the model's own")
            if tensor.datatype == "INT8" and (array == 12).any():
                raise InvalidInput("12 is refused")
            output = InferOutput(tensor.name, list(array.shape), tensor.datatype)
            output.set_data_from_numpy(array, binary_data=tensor._raw_data is not None)
            found.append(output)
        return InferResponse(payload.id, self.name, found)

    def get_input_types(self):
        return [{"name": name, "datatype": name, "shape": [-1, -1]} for name in ("FP32", "INT8", "INT64")]

    get_output_types = get_input_types

model = Mirror("mirror")
model.ready = True
ModelServer(http_port=web, grpc_port=rpc, workers=1).start([model])
"""


def faults_of(web: str, rpc: str) -> dict[str, str]:
    """What each check said; nothing where the server does as it must."""
    said = {}
    for name, tried in CHECKS.items():
        said[name] = ""
        try:
            tried(web, rpc)
        except Exception:  # of whatever library
            said[name] = traceback.format_exc(limit=-2)
    return said


def with_kserve(tried: Callable[[str, str], dict[str, str]]) -> dict[str, str]:
    """`tried` with the addresses of kserve's server."""
    web, rpc = free_port(), free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-c", SERVER, str(web), str(rpc)], stdout=log, stderr=log)
        try:
            end = time.monotonic() + START_SECONDS
            while time.monotonic() < end and process.poll() is None:
                with suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{web}/v2/models/mirror/ready", timeout=5).close()
                    return tried(f"127.0.0.1:{web}", f"127.0.0.1:{rpc}")
                time.sleep(0.05)
            log.seek(0)
            raise AssertionError(log.read().decode()[-3000:])
        finally:
            process.kill()
            process.wait()


def tell(ours: dict[str, str], theirs: dict[str, str]) -> None:
    for name, fault in ours.items():
        differs = theirs[name] and name in STOCK
        print(
            json.dumps(
                {"differs": name, "why": STOCK[name]} if differs and not fault else {"case": name, "said": fault}
            )
        )
        if bool(theirs[name]) != (name in STOCK):
            said = theirs[name] or "kserve passes it now: take it from the list"
            print(json.dumps({"case": f"{name}, of kserve", "said": said}))
    for name in STOCK.keys() - ours.keys():
        print(json.dumps({"case": name, "said": "there is no such check: take it from the list"}))


if __name__ == "__main__":
    tell(faults_of(*addresses), with_kserve(faults_of))
    print(json.dumps({"version": version("kserve")}), flush=True)
