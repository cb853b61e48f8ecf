"""The warm-up: a version proves at its own address, before any traffic, that it answers as published.

Both engines use it. It reads the V2 metadata (the contract that may not change between versions), replays
the artifact's own examples and compares the outputs. It never retries a wrong answer, and it judges nothing
but what an example says: speed and error rates are the judge's.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from math import isclose
from typing import cast

import aiohttp

from turnout.api.reasons import Reason
from turnout.rollout.plan import ProbeRequest
from turnout.rollout.snapshot import Probe, Problem

PAUSE_SECONDS = 0.2  # between tries while nobody answers yet
DEFAULT_TOLERANCE = 1e-5
TELL_EVERY = 5  # answers between two reports of progress
BODY_SHOWN = 200  # characters of a failed answer that are quoted

Json = dict[str, object]


class WrongError(Exception):
    """What was answered is not what was promised; the sentence is for the status."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.problem = Problem(reason, sentence, permanent=True)


class NotYetError(Exception):
    """Nobody answers yet, or the version says itself that it is not ready."""


@dataclass(frozen=True, slots=True)
class Example:
    """One published example: the request as it is sent, and the outputs it must bring."""

    name: str
    request: Json
    outputs: tuple[Json, ...]
    tolerance: float


async def probe(
    session: aiohttp.ClientSession,
    base_url: str,
    request: ProbeRequest,
    *,
    protocol: str = "http",
    headers: dict[str, str] | None = None,
    tell: Callable[[Probe], None] = lambda _: None,
) -> Probe:
    """Probe the version that answers at `base_url`, for at most `request.timeout`; its faults are results.

    `headers` reach the version through a shared address (Host); `tell` hears of progress.
    """
    warmup = _Warmup(_Address(session, base_url.rstrip("/"), headers or {}), request, protocol, tell)
    try:
        async with asyncio.timeout(request.timeout.total_seconds()):
            await warmup.run()
    except TimeoutError:
        return warmup.result(done=True, problem=warmup.too_late())
    except WrongError as wrong:
        return warmup.result(done=True, problem=wrong.problem)
    return warmup.result(done=True)


@dataclass
class _Address:
    """The version's own address; turns what is merely not up yet into `NotYetError`."""

    session: aiohttp.ClientSession
    base: str
    headers: dict[str, str]

    async def ask(self, method: str, path: str, body: Json | None = None) -> tuple[int, object]:
        url = f"{self.base}{path}"
        try:
            async with self.session.request(method, url, json=body, headers=self.headers) as response:
                text = await response.text()
                status = response.status
                unrouted = status == 404 and _is_the_proxys_own(response)
        except (aiohttp.ClientError, OSError, TimeoutError, UnicodeDecodeError) as fault:
            raise NotYetError(f"{method} {url}: {str(fault) or type(fault).__name__}") from fault
        if unrouted or status in {502, 503, 504}:
            raise NotYetError(f"{method} {url}: HTTP {status}")
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text[:BODY_SHOWN]


def _is_the_proxys_own(response: aiohttp.ClientResponse) -> bool:
    """Envoy's word for an address that it does not know yet; what comes from behind it carries a service time."""
    return "envoy" in response.headers.get("server", "") and "x-envoy-upstream-service-time" not in response.headers


@dataclass
class _Warmup:
    address: _Address
    request: ProbeRequest
    protocol: str
    tell: Callable[[Probe], None]
    answered: int = 0
    contract: str = ""
    last_fault: str = ""

    async def run(self) -> None:
        model = f"/v2/models/{self.request.model}"
        status, metadata = await self._patiently("GET", model)
        if status != 200 or not isinstance(metadata, dict):
            raise WrongError(
                Reason.WrongAnswer,
                f"{self.request.version}: GET {model} answered HTTP {status}, no V2 metadata",
            )
        self.contract = contract_of(metadata, self.protocol)
        status, published = await self._patiently("GET", f"{model}/examples")
        examples = read_examples(published) if status == 200 else ()
        if not examples or not self.request.requests:
            return
        rounds = max(self.request.requests, len(examples))  # each example at least once
        for example in islice((each for again in repeat(examples) for each in again), rounds):
            await self._replay(model, example)
            self.answered += 1
            if self.answered % TELL_EVERY == 0:
                self.tell(self.result(done=False))

    async def _replay(self, model: str, example: Example) -> None:
        status, answer = await self._patiently("POST", f"{model}/infer", example.request)
        if status != 200 or not isinstance(answer, dict):
            said = json.dumps(answer)[:BODY_SHOWN]
            raise WrongError(Reason.WrongAnswer, f"Example {example.name} was answered with HTTP {status}: {said}")
        difference = first_difference(example, answer)
        if difference:
            raise WrongError(
                Reason.WrongAnswer,
                f"Example {example.name}: {difference}; publish the model and its examples again",
            )

    async def _patiently(self, method: str, path: str, body: Json | None = None) -> tuple[int, object]:
        while True:
            try:
                return await self.address.ask(method, path, body)
            except NotYetError as fault:
                self.last_fault = str(fault)
                await asyncio.sleep(PAUSE_SECONDS)

    def result(self, *, done: bool, problem: Problem | None = None) -> Probe:
        return Probe(self.request.revision_uid, done, self.answered, self.contract, problem)

    def too_late(self) -> Problem:
        wish = self.request
        last = f"; last: {self.last_fault}" if self.last_fault else ""
        return Problem(
            Reason.WarmupTimeout,
            f"{wish.version} answered {self.answered} of {wish.requests} warm-up requests "
            f"in {wish.timeout.total_seconds():g} s{last}",
        )


def contract_of(metadata: Json, protocol: str) -> str:
    """What callers depend on, as canonical JSON: equal contracts are equal texts.

    Tensors go by name in V2, so their order is none of the contract.
    """
    properties = metadata.get("properties")
    space = metadata.get("embedding_space") or (
        properties.get("embedding_space") if isinstance(properties, dict) else None
    )
    facts = {
        "inputs": _tensors(metadata.get("inputs")),
        "outputs": _tensors(metadata.get("outputs")),
        "protocol": protocol,
        "embedding_space": space or "",
    }
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def _tensors(raw: object) -> list[Json]:
    known = [_pick(tensor, "name", "datatype", "shape") for tensor in _objects(raw)]
    return sorted(known, key=lambda tensor: str(tensor.get("name")))


def _pick(tensor: Json, *fields: str) -> Json:
    return {field: tensor.get(field) for field in fields}


def _objects(raw: object) -> list[Json]:
    return [cast("Json", item) for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []


def read_examples(published: object) -> tuple[Example, ...]:
    """The examples of `/v2/models/<model>/examples`; `WrongError` where one cannot be compared."""
    listed = _objects(published.get("examples")) if isinstance(published, dict) else []
    return tuple(_read_example(raw, at) for at, raw in enumerate(listed))


def _read_example(raw: Json, at: int) -> Example:
    name = str(raw.get("name") or at)
    request, response = raw.get("request"), raw.get("response")
    if not isinstance(request, dict) or not isinstance(response, dict) or not _objects(response.get("outputs")):
        raise WrongError(Reason.WrongAnswer, f"Example {name} has no request or no outputs; publish the artifact again")
    tolerance = raw.get("tolerance")
    allowed = float(tolerance) if isinstance(tolerance, int | float) else DEFAULT_TOLERANCE
    return Example(name, request, tuple(_objects(response.get("outputs"))), allowed)


def first_difference(example: Example, answer: Json) -> str:
    """A sentence on the first output that is not as published; empty if all are."""
    given = {str(output.get("name")): output for output in _objects(answer.get("outputs"))}
    for expected in example.outputs:
        name = str(expected.get("name"))
        if name not in given:
            return f"output {name} is missing"
        difference = _tensor_difference(expected, given[name], example.tolerance)
        if difference:
            return f"output {name} {difference}"
    return ""


def _tensor_difference(expected: Json, given: Json, tolerance: float) -> str:
    for field in ("datatype", "shape"):
        if field in expected and expected[field] != given.get(field):
            return f"has {field} {given.get(field)}, the artifact says {expected[field]}"
    wanted, got = _flat(expected.get("data")), _flat(given.get("data"))
    if len(wanted) != len(got):
        return f"has {len(got)} values, the artifact says {len(wanted)}"
    for at, (want, have) in enumerate(zip(wanted, got, strict=True)):
        if not _alike(want, have, tolerance):
            return f"[{at}] is {have!r}, the artifact says {want!r} (tolerance {tolerance:g})"
    return ""


def _flat(data: object) -> Sequence[object]:
    if not isinstance(data, list):
        return [data]
    return [leaf for item in data for leaf in (_flat(item) if isinstance(item, list) else [item])]


def _alike(want: object, have: object, tolerance: float) -> bool:
    if isinstance(want, int | float) and isinstance(have, int | float):  # V2 writes true as 1 if it likes
        return isclose(want, have, rel_tol=tolerance, abs_tol=tolerance)
    return want == have
