"""What atheris calls with bytes that it has bred for new paths through our parsers. Run by its Python: flags, a corpus.

Whatever comes, a parser answers, or refuses with a status of the table that is the caller's fault; anything else
ends the run. `again` takes a corpus as it is, without atheris: what a second round keeps in memory is a leak.
"""

import copy
import gc
import json
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "predictors"))
CALLERS = {400, 404, 405, 409, 413, 415, 501}
PLAIN, FRAMED, FACADES, PACKED, ROUTE, RPC, CONNECTION = range(7)
KINDS = 7
VALUES = (
    *(None, True, False, 0, 1, -1, 2, 7, 300, 1.7, 2**31, 2**63, 2**64 - 1, 2**64, 1e39, 1e308, 5e-324, [], {}, [[]]),
    *("", "x", "1", "NaN", "ü", "eA==", "base64", "pd", "json", "text", "BOOL", "INT8", "FP16", "BF16", "BYTES"),
)
NAMES = (
    *("id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data", "binary_data", "binary_data_size"),
    *("binary_data_output", "settings", "settings.factor", "settings.x", "content_type", "expect_space", "labels"),
    *("timeout", "priority", "instances", "input", "dimensions", "encoding_format", "query", "documents", "top_n"),
    *("texts", "model", "return_documents", "raw_scores", "x"),
)
ROUNDS = 4
KEPT_BYTES = 64 << 10


def contracts() -> list[Any]:
    """Every datatype at two ranks, a text beside a number that may be missing, an encoder, and nothing declared."""
    from turnout_predictors.datatypes import DATATYPES
    from turnout_predictors.server.contract import Contract
    from turnout_predictors.settings import Settings, compute
    from turnout_predictors.signature import Signature, TensorSpec

    class Some(Settings):
        factor: float = compute(1.0, ge=0, le=10)
        truncate_dim: int = compute(8, ge=1, le=8)

    def spec(name: str, datatype: str, *shape: str | int, **more: Any) -> TensorSpec:
        return TensorSpec(name, datatype, shape, **more)

    every = tuple(spec(name, name, "N", "K", optional=True) for name in DATATYPES)
    text, age = spec("text", "BYTES", "N", text=True), spec("age", "FP32", "N", missing=True, optional=True)
    made = [
        Signature(every, every),
        Signature((text, age), (spec("y", "FP32", "N"),), {"y": ("a",)}, "space-1"),
        Signature((text,), (spec("embedding", "FP32", "N", 2), spec("tokens", "INT32", "N")), {}, "space-1"),
        Signature((spec("x", "FP64", "N", 2),), (spec("y", "FP64", "N"),)),
    ]
    return [*(Contract.of(each, Some()) for each in made), Contract.of(None, None)]


def check(refused: Any) -> None:
    if refused.status not in CALLERS or not refused.message:
        raise AssertionError(f"{refused.status}: {refused}")


class Wire:
    """A transport, and the application behind the connection, which answers at once."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def opened(self, exchange: Any) -> None:
        pass

    def read(self, exchange: Any) -> None:
        from turnout_predictors.server.exchange import Reply

        fault = exchange.refusal
        exchange.send(exchange, Reply(fault.status if fault else 200, (b"{}",)))

    def lost(self, exchange: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self.statuses.append(int(data[9:12]))

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    resume_reading = abort = pause_reading


class Target:
    """Bytes to one of the parsers: the first byte says which, the second one what the model declares."""

    def __init__(self) -> None:
        from google.protobuf.message import DecodeError

        from turnout_predictors.errors import RequestError
        from turnout_predictors.rpc.stubs import messages
        from turnout_predictors.server.routes import Routes

        self._contracts = contracts()
        self._pb = messages()
        self._routes = Routes.of("m", "7")
        self._refusals, self._unreadable = RequestError, DecodeError
        self._kinds: list[Callable[[bytes, Any], None]] = [
            self.plain,
            self.framed,
            self.facades,
            self.packed,
            self.route,
            self.rpc,
            self.connection,
        ]

    def __call__(self, data: bytes) -> None:
        if len(data) < 2:
            return
        parse, contract = self._kinds[data[0] % KINDS], self._contracts[data[1] % len(self._contracts)]
        try:
            parse(data[2:], contract)
        except self._refusals as refused:
            check(refused)

    def plain(self, body: bytes, contract: Any) -> None:
        from turnout_predictors.server.request import parse

        self._answer(parse(body, contract), contract)

    def framed(self, body: bytes, contract: Any) -> None:
        from turnout_predictors.server.request import parse

        self._answer(parse(body[2:], contract, int.from_bytes(body[:2], "little")), contract)

    def _answer(self, request: Any, contract: Any) -> None:
        """The settings that it asks for, and its own inputs as outputs."""
        from turnout_predictors.server.effective import of_request
        from turnout_predictors.server.inference import timeout_of
        from turnout_predictors.server.response import write

        if contract.signature is not None:
            of_request(request.parameters, contract.base)
        timeout_of(request)
        write({"model_name": "m"}, request, request.inputs, {})

    def facades(self, body: bytes, contract: Any) -> None:
        from turnout_predictors.server import embeddings, rerank, v1

        for read in (v1.read, embeddings.read, rerank.read):
            try:
                read(body, contract, *(("m", ()) if read is not v1.read else ()))
            except self._refusals as refused:
                check(refused)

    def packed(self, body: bytes, contract: Any) -> None:
        from turnout_predictors.server.compression import accepted, decompress

        accepted(body)
        decompress(body, b"gzip" if contract is self._contracts[0] else b"deflate", 1 << 16)

    def route(self, body: bytes, contract: Any) -> None:
        self._routes.resolve("GET" if contract is self._contracts[0] else "POST", body)

    def rpc(self, body: bytes, contract: Any) -> None:
        from turnout_predictors.rpc.translate import read

        try:
            message = self._pb.ModelInferRequest.FromString(body)
        except self._unreadable:  # grpc's own answer
            return
        request, _ = read(message, contract)
        self._answer(request, contract)

    def connection(self, body: bytes, contract: Any) -> None:
        """In two parts, at the place that the first byte says."""
        from turnout_predictors.server.connection import Connection
        from turnout_predictors.server.settings import DEFAULTS

        wire = Wire()
        connection = Connection(wire, set(), lambda: None, DEFAULTS)
        connection.connection_made(wire)  # type: ignore[arg-type]
        cut = body[0] if body else 0
        connection.data_received(body[1 : 1 + cut])
        connection.data_received(body[1 + cut :])
        connection.connection_lost(None)
        assert set(wire.statuses) <= {200, *CALLERS}, wire.statuses


def bred(data: bytes, most: int, seed: int) -> bytes:
    """Most of what is JSON stays JSON: bytes changed at random seldom get past its grammar."""
    import atheris

    chance = random.Random(seed)
    other: bytes = atheris.Mutate(data, most)
    kind = data[0] % KINDS if data else 0
    if kind not in (PLAIN, FRAMED, FACADES) or chance.random() < 0.2:
        return other
    start = 4 if kind == FRAMED else 2
    end = start + int.from_bytes(data[2:4], "little") if kind == FRAMED else len(data)
    try:
        document = json.loads(data[start:end])
    except ValueError:
        return other
    for _ in range(chance.randint(1, 3)):
        changed(document, chance)
    body = json.dumps(document).encode()
    size = len(body).to_bytes(2, "little") if kind == FRAMED and len(body) < 1 << 16 else b""
    found = data[:2] + size + body + data[end:]
    return found if len(found) <= most else other


def changed(document: Any, chance: random.Random) -> None:
    """Another value, name or copy in one place of it."""
    places = list(inside(document))
    if not places:
        return
    within, key = chance.choice(places)
    values = [*VALUES, *(holder[name] for holder, name in places)]
    act = chance.randrange(8)
    if act == 0:
        del within[key]
    elif act == 1 and isinstance(within, dict):
        within[chance.choice(NAMES)] = copy.deepcopy(within.pop(key))
    elif act == 2 and isinstance(within, list):
        within.append(copy.deepcopy(within[key]))
    else:
        within[key] = copy.deepcopy(chance.choice(values))


def inside(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every place that holds a value."""
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield document, key
        yield from inside(document[key])


def again(folder: Path) -> None:
    """AssertionError for memory that grows with what is read."""
    target, corpus = Target(), [file.read_bytes() for file in sorted(folder.iterdir())]
    kept = 0
    for at in range(ROUNDS):
        for data in corpus:
            target(data)
        gc.collect()
        if at == 1:
            tracemalloc.start()
        elif at == 2:
            kept = tracemalloc.get_traced_memory()[0]
    grown = tracemalloc.get_traced_memory()[0] - kept
    assert grown < KEPT_BYTES, f"{grown} bytes are kept of {len(corpus)} inputs"


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["turnout_predictors"]):
        import turnout_predictors.rpc.translate
        import turnout_predictors.server.app  # noqa: F401
    atheris.Setup(sys.argv, Target(), custom_mutator=bred)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1] == "again":
        again(Path(sys.argv[2]))
    else:
        main()
