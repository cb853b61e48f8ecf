"""The warm-up against real HTTP servers: what passes, what does not, and in which words."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from turnout.api.reasons import Reason
from turnout.platform.probing import contract_of, probe
from turnout.rollout.plan import ProbeRequest
from turnout.rollout.snapshot import Probe

METADATA: dict[str, object] = {
    "name": "digits",
    "versions": ["2"],
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1]}],
}
OUTPUT: dict[str, Any] = {"name": "y", "datatype": "INT64", "shape": [2], "data": [3, 4]}
EXAMPLE: dict[str, Any] = {"name": "first", "request": {"inputs": []}, "response": {"outputs": [OUTPUT]}}


class Version:
    """A predictor as far as a warm-up sees one."""

    def __init__(self, outputs: list[dict[str, Any]], examples: list[dict[str, Any]]) -> None:
        self.outputs = outputs
        self.examples = examples
        self.status = 200
        self.not_ready_for = 0
        self.asked = 0

    async def metadata(self, _: web.Request) -> web.Response:
        if self.not_ready_for:
            self.not_ready_for -= 1
            return web.Response(status=503)
        return web.json_response(METADATA)

    async def published(self, _: web.Request) -> web.Response:
        return web.json_response({"examples": self.examples}) if self.examples else web.Response(status=404)

    async def infer(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"outputs": self.outputs}, status=self.status)


Serve = Callable[[Version], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TestServer] = []

    async def start(version: Version) -> str:
        app = web.Application()
        app.router.add_get("/v2/models/digits", version.metadata)
        app.router.add_get("/v2/models/digits/examples", version.published)
        app.router.add_post("/v2/models/digits/infer", version.infer)
        server = TestServer(app)
        servers.append(server)
        await server.start_server()
        return str(server.make_url("/"))

    yield start
    for server in servers:
        await server.close()


async def warm_up(url: str, requests: int = 3, seconds: float = 5, **options: Any) -> Probe:
    wish = ProbeRequest("digits-2", "digits-2-00001", "uid-1", "digits", requests, timedelta(seconds=seconds))
    async with aiohttp.ClientSession() as session:
        return await probe(session, url, wish, **options)


async def test_a_version_that_answers_as_published_is_warm(serve: Serve) -> None:
    version = Version([OUTPUT], [EXAMPLE])
    told: list[Probe] = []
    result = await warm_up(await serve(version), requests=6, tell=told.append)
    assert (result.done, result.requests, result.problem, result.revision_uid) == (True, 6, None, "uid-1")
    assert version.asked == 6
    assert [progress.requests for progress in told] == [5]
    assert json.loads(result.contract)["inputs"] == METADATA["inputs"]


async def test_each_example_is_asked_at_least_once(serve: Serve) -> None:
    version = Version([OUTPUT], [EXAMPLE, EXAMPLE, EXAMPLE, EXAMPLE])
    assert (await warm_up(await serve(version), requests=1)).requests == 4


async def test_without_examples_the_contract_alone_is_read(serve: Serve) -> None:
    result = await warm_up(await serve(Version([OUTPUT], [])))
    assert (result.done, result.requests, result.problem) == (True, 0, None)
    assert result.contract


async def test_a_version_that_is_not_ready_yet_is_waited_for(serve: Serve) -> None:
    version = Version([OUTPUT], [EXAMPLE])
    version.not_ready_for = 2
    assert (await warm_up(await serve(version))).problem is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({**OUTPUT, "data": [3, 5]}, "output y [1] is 5, the artifact says 4"),
        ({**OUTPUT, "data": [3]}, "output y has 1 values, the artifact says 2"),
        ({**OUTPUT, "shape": [1, 2]}, "output y has shape [1, 2], the artifact says [2]"),
        ({**OUTPUT, "datatype": "FP32"}, "output y has datatype FP32, the artifact says INT64"),
        ({**OUTPUT, "name": "z"}, "output y is missing"),
        ({**OUTPUT, "data": [3, None]}, "output y [1] is None, the artifact says 4"),
    ],
)
async def test_a_wrong_answer_fails_for_good_and_says_where(serve: Serve, given: dict[str, Any], sentence: str) -> None:
    result = await warm_up(await serve(Version([given], [EXAMPLE])))
    assert result.problem is not None
    assert result.problem.reason is Reason.WrongAnswer
    assert result.problem.permanent
    assert f"Example first: {sentence}" in result.problem.message


@pytest.mark.parametrize("status", [400, 500])
async def test_an_example_answered_with_an_error_is_a_wrong_answer(serve: Serve, status: int) -> None:
    version = Version([OUTPUT], [EXAMPLE])
    version.status = status
    result = await warm_up(await serve(version))
    assert result.problem is not None
    assert f"Example first was answered with HTTP {status}" in result.problem.message


@pytest.mark.parametrize(("tolerance", "passes"), [(0.01, True), (1e-6, False)])
async def test_numbers_may_differ_by_the_tolerance(serve: Serve, tolerance: float, passes: bool) -> None:
    expected = {**OUTPUT, "data": [[3.0], [4.001]]}
    example = {**EXAMPLE, "response": {"outputs": [expected]}, "tolerance": tolerance}
    result = await warm_up(await serve(Version([OUTPUT], [example])))
    assert (result.problem is None) is passes


async def test_an_example_without_outputs_is_named(serve: Serve) -> None:
    result = await warm_up(await serve(Version([OUTPUT], [{"name": "bare", "request": {}}])))
    assert result.problem is not None
    assert "Example bare has no request or no outputs" in result.problem.message


async def test_a_version_that_never_answers_ends_with_its_last_fault() -> None:
    result = await warm_up("http://127.0.0.1:1", seconds=0.3)
    assert result.done
    assert result.problem is not None
    assert result.problem.reason is Reason.WarmupTimeout
    assert "digits-2 answered 0 of 3 warm-up requests in 0.3 s; last: GET http://127.0.0.1:1" in result.problem.message


async def test_metadata_that_is_no_v2_is_refused(serve: Serve) -> None:
    url = await serve(Version([OUTPUT], [EXAMPLE]))
    result = await warm_up(url.rstrip("/") + "/elsewhere")
    assert result.problem is not None
    assert "GET /v2/models/digits answered HTTP 404, no V2 metadata" in result.problem.message


def test_the_contract_is_the_same_text_in_any_order_and_without_decoration() -> None:
    tensors = [
        {"name": "b", "datatype": "FP32", "shape": [1]},
        {"name": "a", "datatype": "FP32", "shape": [1]},
    ]
    one = contract_of({"inputs": tensors, "outputs": [], "platform": "x"}, "http")
    other = contract_of({"outputs": [], "inputs": [{**tensors[1], "parameters": {}}, tensors[0]]}, "http")
    assert one == other


@pytest.mark.parametrize(
    "change",
    [
        {"properties": {"embedding_space": "minilm"}},
        {"embedding_space": "minilm"},
        {"outputs": [{"name": "y", "datatype": "INT32", "shape": [-1]}]},
        {"inputs": []},
    ],
)
def test_what_callers_depend_on_changes_the_contract(change: dict[str, Any]) -> None:
    assert contract_of(METADATA | change, "http") != contract_of(METADATA, "http")


def test_the_protocol_is_part_of_the_contract() -> None:
    assert contract_of(METADATA, "grpc") != contract_of(METADATA, "http")
