"""The floor: a raw ASGI application with orjson that does the same V2 work and nothing else.

Arguments: workload, port, and the file of the pickled model.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import orjson
import uvicorn

WORKLOAD, PORT, MODEL = sys.argv[1:]
if WORKLOAD == "W1":
    with open(MODEL, "rb") as file:
        ESTIMATOR = pickle.load(file)


def outputs(array: Any) -> dict[str, Any]:
    if WORKLOAD != "W1":
        return {"y": array}
    return {"predict": ESTIMATOR.predict(array), "predict_proba": ESTIMATOR.predict_proba(array)}


def described(name: str, array: Any) -> dict[str, Any]:
    return {
        "name": name,
        "shape": array.shape,
        "datatype": {"f4": "FP32", "f8": "FP64", "i8": "INT64"}[array.dtype.str[1:]],
    }


def answer(body: bytes, framed: bytes | None) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    size = len(body) if framed is None else int(framed)
    item = orjson.loads(body[:size])["inputs"][0]
    flat = np.frombuffer(body, np.float32, offset=size) if framed is not None else np.array(item["data"], np.float32)
    arrays = outputs(flat.reshape(item["shape"]))
    head: dict[str, Any] = {"model_name": "m", "model_version": "1"}
    if framed is None:
        head["outputs"] = [described(name, array) | {"data": array.reshape(-1)} for name, array in arrays.items()]
        return orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY), [(b"content-type", b"application/json")]
    head["outputs"] = [
        described(name, array) | {"parameters": {"binary_data_size": array.nbytes}} for name, array in arrays.items()
    ]
    text = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-type", b"application/octet-stream"), (b"inference-header-content-length", b"%d" % len(text))]
    return b"".join([text, *(array.tobytes() for array in arrays.values())]), headers


async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message.get("more_body"):
            break
    framed = dict(scope["headers"]).get(b"inference-header-content-length")
    body, headers = answer(b"".join(parts), framed)
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


uvicorn.run(app, port=int(PORT), loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="warning")
