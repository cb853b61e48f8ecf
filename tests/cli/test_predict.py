"""`turnout predict`: what a person has in hand becomes a request, its answer is readable, faults are sentences."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import write
from tests.cli.data import VERSION, version
from turnout.cli.calling import Address
from turnout.cli.calling import _there as connected
from turnout.cli.command import UserError
from turnout.cli.tensors import form_of, request_of
from turnout.view.answer import MOST_ROWS, render_answer

Turnout = Callable[..., tuple[int, str, str]]
TEXT = {"name": "text", "datatype": "BYTES", "shape": [-1]}
VECTOR = {"name": "features", "datatype": "FP64", "shape": [-1, 2]}
AGE = {"name": "age", "datatype": "INT64", "shape": [-1]}
RICH = {"name": "rich", "datatype": "BOOL", "shape": [-1, 1]}
NOTE = {"name": "note", "datatype": "BYTES", "shape": [-1]}


def tensor(declared: dict[str, Any], shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {**declared, "shape": shape, "data": data}


AGES = tensor(AGE, [2], [3, 4])
TAKEN = {
    "a V2 request": ('{"inputs": [], "id": "a"}', "json", [TEXT], {"inputs": [], "id": "a"}, ()),
    "lines": ("a b\n\nc\n", "text", [TEXT, AGE], {"inputs": [tensor(TEXT, [2], ["a b", "c"])]}, ()),
    "an array of texts": ('["a"]', "json", [TEXT], {"inputs": [tensor(TEXT, [1], ["a"])]}, ()),
    "an array of rows": (
        "[[1, 2], [3, 4]]",
        "json",
        [VECTOR],
        {"inputs": [tensor(VECTOR, [2, 2], [[1, 2], [3, 4]])]},
        (),
    ),
    "objects": ('[{"age": 3, "x": 1}, {"age": 4}]', "json", [AGE], {"inputs": [AGES]}, ("x",)),
    "one object": ('{"age": 3}', "json", [AGE], {"inputs": [tensor(AGE, [1], [3])]}, ()),
    "a table by its heads": (
        "note,age,rich\n,3,yes\nb,4,0\n",
        "table",
        [AGE, RICH, NOTE],
        {"inputs": [AGES, tensor(RICH, [2, 1], [True, False]), tensor(NOTE, [2], ["", "b"])]},
        (),
    ),
    "a table with semicolons": ("age;x\n3;1\n4;2\n", "table", [AGE], {"inputs": [AGES]}, ("x",)),
    "numbers without heads": (
        "1,2\n3,4\n",
        "table",
        [VECTOR],
        {"inputs": [tensor(VECTOR, [2, 2], [[1, 2], [3, 4]])]},
        (),
    ),
    "numbers under heads": ("a\tb\n1\t2.5\n", "table", [VECTOR], {"inputs": [tensor(VECTOR, [1, 2], [[1, 2.5]])]}, ()),
    "a missing number": ("age,x\n,1\n", "table", [AGE], {"inputs": [tensor(AGE, [1], [None])]}, ("x",)),
}


@pytest.mark.parametrize(("content", "form", "inputs", "expected", "unused"), TAKEN.values(), ids=TAKEN.keys())
def test_takes(content: str, form: Any, inputs: Any, expected: Any, unused: Any) -> None:
    assert request_of(content, form, inputs) == (expected, unused)


REFUSED = {
    "no JSON": ("{", "json", [TEXT], "not JSON"),
    "no text": ("\n \n", "text", [TEXT], "every line is empty"),
    "text for numbers": ("a", "text", [VECTOR], r"takes features \(FP64 \[-1, 2\]\)"),
    "an empty table": ("\n", "table", [TEXT], "the table is empty"),
    "heads alone": ("age\n", "table", [AGE], "the columns are none"),
    "other columns": ("x,y\n1,2\n", "table", [AGE, NOTE], "the columns are x, y; the model takes age"),
    "a ragged table": ("age,x\n1,2\n3\n", "table", [AGE], "row 2 of the table has another number"),
    "a word for a number": ("age\nold\n", "table", [AGE], "row 1, column age: 'old' is no INT64"),
    "a fraction for an integer": ("age\n1\n1.5\n", "table", [AGE], "row 2, column age: '1.5' is no INT64"),
    "a word for a truth": ("rich\nperhaps\n", "table", [RICH], "'perhaps' is no BOOL"),
    "rows without names": ("[[1]]", "json", [AGE, NOTE], "rows without names need a model with one input"),
}


@pytest.mark.parametrize(("content", "form", "inputs", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(content: str, form: Any, inputs: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        request_of(content, form, inputs)


def test_the_form_follows_from_the_name_or_the_first_character() -> None:
    assert [form_of(name, "") for name in ("a.JSON", "a.csv", "a.tsv", "mail.eml")] == [
        "json",
        "table",
        "table",
        "text",
    ]
    assert [form_of("-", content) for content in (" [1]", "{", "hello")] == ["json", "json", "text"]


def test_an_answer_is_a_line_for_each_row() -> None:
    outputs = [
        {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["a\nb", "x" * 99]},
        {"name": "score", "shape": [2, 2], "datatype": "FP32", "data": [0.123456, 1, None, 2]},
        {"name": "known", "shape": [2], "datatype": "BOOL", "data": [True, False]},
        {"name": "total", "shape": [], "datatype": "INT64", "data": [7]},
    ]
    shown = render_answer({"model_name": "m", "model_version": "3", "outputs": outputs}, 12.3)
    assert shown.splitlines() == [
        f"ROW   LABEL{' ' * 55}   SCORE         KNOWN",
        f"1     a b{' ' * 57}   [0.1235, 1]   true",
        f"2     {'x' * 59}…   [–, 2]        false",
        "total: [7]",
        "",
        "m version 3, 12 ms",
    ]


def test_long_answers_are_cut_and_say_so() -> None:
    rows = MOST_ROWS + 5
    output = {"name": "y", "shape": [rows, 9], "datatype": "FP32", "data": [1.0] * (9 * rows)}
    lines = render_answer({"outputs": [output]}, 0).splitlines()
    assert lines[1] == "1     [1, 1, 1, 1, 1, 1, … 9 in all]"
    assert lines[MOST_ROWS + 1] == "… and 5 rows more; --output json has them all"


class Model:
    """A server that knows one model, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answer: tuple[int, bytes] = (200, b"")
        asked = self.asked
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(200, json.dumps({"name": "digits", "inputs": [TEXT]}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append((self.path, self.headers["Host"], body))
                status, raw = model.answer
                count = {"name": "rows", "shape": [1], "datatype": "INT64", "data": [len(body["inputs"][0]["data"])]}
                plain = {"model_name": "digits", "model_version": "2", "outputs": [count]}
                self._say(status, raw or json.dumps(plain).encode())

            def _say(self, status: int, raw: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"


@pytest.fixture
def model() -> Iterator[Model]:
    found = Model()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def test_a_process_is_called_by_its_address(turnout: Turnout, model: Model, tmp_path: Path) -> None:
    (tmp_path / "mails.txt").write_text("one\ntwo\n")
    code, out, err = turnout(
        "predict", "digits", "mails.txt", "--url", model.url, "--set", "top=3", "--set", "mood=good"
    )
    assert (code, err) == (0, "")
    assert out.startswith("ROW   ROWS\n1     2\n\ndigits version 2, ")
    ((path, host, body),) = model.asked
    assert (path, host, body["inputs"][0]["data"]) == ("/v2/models/digits/infer", model.host, ["one", "two"])
    assert json.loads(body["parameters"]["settings"]) == {"top": 3, "mood": "good"}


def test_texts_of_the_shell_and_an_answer_for_programs(turnout: Turnout, model: Model) -> None:
    code, out, _ = turnout("predict", "digits", "--text", "a", "--text", "b", "--url", model.url, "-o", "json")
    assert (code, json.loads(out)["outputs"][0]["data"]) == (0, [2])


def test_the_local_engine_knows_the_address_and_every_localhost_is_here(
    turnout: Turnout, model: Model, engine: Path
) -> None:
    port = model.host.rpartition(":")[2]
    status = {
        **VERSION["status"],
        "url": f"http://digits.default.localhost:{port}",
        "versionUrl": f"http://digits-1-predictor.default.localhost:{port}",
    }
    write(engine, "versions/default.digits-1", {"object": {**VERSION, "status": status}, "file": "digits-1.yaml"})
    assert turnout("predict", "digits", "--text", "a")[0] == 0
    assert turnout("predict", "digits", "--text", "a", "--version", "1")[0] == 0
    assert [host for _, host, _ in model.asked] == [
        f"digits.default.localhost:{port}",
        f"digits-1-predictor.default.localhost:{port}",
    ]


def test_a_cluster_is_called_through_its_gateway(turnout: Turnout, model: Model, cluster: Any) -> None:
    cluster(version(1, "Live", status={"url": "http://digits.support.example.com"}))
    assert turnout("predict", "digits", "--text", "a", "--via", model.host)[0] == 0
    assert model.asked[0][1] == "digits.support.example.com"


def test_a_version_without_an_address_says_so(turnout: Turnout, cluster: Any) -> None:
    cluster(version(1, "Pending"))
    code, _, err = turnout("predict", "digits", "--text", "a")
    assert (code, "digits has no address" in err) == (1, True)


REFUSING = {
    "the model refuses": (
        (400, b'{"error": "too sad", "field": "inputs[0]"}'),
        [],
        "digits answered 400: too sad (at inputs[0])",
    ),
    "somebody else answers": ((200, b"<html>"), [], "not as a model does"),
    "a setting without a value": ((200, b""), ["--set", "top"], "must be NAME=VALUE"),
}


@pytest.mark.parametrize(("answer", "more", "said"), REFUSING.values(), ids=REFUSING.keys())
def test_says_when(turnout: Turnout, model: Model, answer: Any, more: Any, said: str) -> None:
    model.answer = answer
    code, out, err = turnout("predict", "digits", "--text", "a", "--url", model.url, *more)
    assert (code, out) == (1, "")
    assert said in err


UNREACHABLE = {
    "no address": ("localhost", "must be such as http://host:8080"),
    "nobody there": ("http://127.0.0.1:9", "--via HOST:PORT"),
}


@pytest.mark.parametrize(("url", "said"), UNREACHABLE.values(), ids=UNREACHABLE.keys())
def test_an_address_that_leads_nowhere(turnout: Turnout, url: str, said: str) -> None:
    code, _, err = turnout("predict", "digits", "--text", "a", "--url", url)
    assert (code, said in err) == (1, True), err


THERE = {
    "a name": (("http://host:8080", ""), ("host", 8080)),
    "a name without a port": (("https://host", ""), ("host", None)),
    "IPv6": (("http://[::1]:8080", ""), ("::1", 8080)),
    "IPv6 without a port": (("http://[::1]", ""), ("::1", None)),
    "by way of IPv6": (("http://m.example", "[::1]:80"), ("::1", 80)),
    "by way of a name": (("http://m.example:81", "gateway"), ("gateway", 81)),
    "every localhost": (("http://m.localhost:8", ""), ("127.0.0.1", 8)),
}


@pytest.mark.parametrize(("named", "there"), THERE.values(), ids=THERE.keys())
def test_connects_to(named: tuple[str, str], there: Any) -> None:
    assert connected(Address(named[0], "m", named[1])) == there


def test_an_address_that_is_none() -> None:
    with pytest.raises(UserError, match="'host:many' is no address"):
        connected(Address("http://m", "m", "host:many"))


def test_the_file_may_stand_behind_options(turnout: Turnout, model: Model, tmp_path: Path) -> None:
    (tmp_path / "mails.txt").write_text("one\n")
    assert turnout("predict", "digits", "--url", model.url, "mails.txt")[0] == 0
    code, _, err = turnout("predict", "digits", "mails.txt", "--url", model.url, "--odd")
    assert (code, "mails.txt --odd: one FILE is read" in err) == (1, True)


def test_a_file_that_is_not_there(turnout: Turnout) -> None:
    code, _, err = turnout("predict", "digits", "gone.csv", "--url", "http://127.0.0.1:9")
    assert (code, "gone.csv cannot be read" in err) == (1, True)


def test_who_does_not_answer_in_time(turnout: Turnout) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code, _, err = turnout("predict", "digits", "--text", "a", "--url", url, "--timeout", "200ms")
    assert (code, "did not answer within 0.2 s" in err) == (1, True), err
