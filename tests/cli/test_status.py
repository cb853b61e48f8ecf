"""`turnout status`: which world it reads, what it chooses of it, and what it says when there is none."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.cli.apiserver import kubeconfig
from tests.cli.conftest import write
from tests.cli.data import VERSION
from turnout.cli.local_world import holder, local_tree
from turnout.platform.local.folder import Folder

Turnout = Callable[..., tuple[int, str, str]]


def test_it_reads_the_engine_of_this_folder_and_says_so(turnout: Turnout, engine: Path) -> None:
    code, out, err = turnout("status")
    assert (code, err) == (0, "")
    assert "└─ v1  ● Live        Stable    ██████████     100%     –    1/1       12      3" in out
    assert "callers: 12 requests · 1 failed" in out
    assert "✗ digits-2.yaml:3: spec: odd" in out
    assert f"local engine in .turnout: running as process {os.getpid()} since" in out
    assert "\x1b" not in out  # stdout is no terminal here


def test_an_engine_that_has_ended_is_shown_as_it_was_left(turnout: Turnout, engine: Path) -> None:
    (engine / "lock").write_text("")
    code, out, _ = turnout("status")
    assert code == 0
    assert "v1  ● Live" in out
    assert "stopped, this is how it was left" in out


def test_a_lock_of_a_process_that_is_gone_counts_as_ended(engine: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (engine / "lock").write_text(json.dumps({"pid": gone.pid, "since": "2026"}))
    assert holder(engine) is None


def test_another_folder_can_be_named(turnout: Turnout, engine: Path, tmp_path: Path) -> None:
    engine.rename(tmp_path / "elsewhere")
    assert "local engine in elsewhere" in turnout("status", "--state", "elsewhere")[1]


def test_json_is_for_programs(turnout: Turnout, engine: Path) -> None:
    answer = json.loads(turnout("status", "-o", "json")[1])
    assert answer["models"][0]["versions"][0]["traffic"] == {
        "requests": 12,
        "repeated": 2,
        "errors": 3,
        "unrepeated": 0,
    }


def test_ascii_on_request(turnout: Turnout, engine: Path) -> None:
    assert turnout("status", "--ascii")[1].isascii()


@pytest.mark.parametrize("arguments", [("digits",), ("-n", "default"), ("digits", "-n", "default")])
def test_one_model_or_namespace_can_be_chosen(turnout: Turnout, engine: Path, arguments: tuple[str, ...]) -> None:
    assert "v1  ● Live" in turnout("status", *arguments)[1]


def test_a_model_that_is_not_there_is_an_error_that_names_those_that_are(turnout: Turnout, engine: Path) -> None:
    code, _, err = turnout("status", "tone")
    assert code == 1
    assert err.startswith("turnout: no model tone in local engine")
    assert "there: digits" in err
    assert "no model digit in local engine" in (near := turnout("status", "digit")[2])
    assert "did you mean digits?" in near
    assert "digits-1 is a version of the model digits: name the model" in turnout("status", "digits-1")[2]


def test_an_engine_that_has_just_begun_has_nothing(turnout: Turnout, tmp_path: Path) -> None:
    (tmp_path / ".turnout" / "state").mkdir(parents=True)
    code, out, _ = turnout("status")
    assert code == 0
    assert "no ModelVersions here" in out


def test_half_a_file_is_read_as_nothing_yet(engine: Path) -> None:
    (engine / "state" / "traffic.json").write_text('{"default/')
    assert local_tree(engine).models[0].versions[0].traffic is None


def test_the_folder_of_another_release_is_a_sentence(turnout: Turnout, engine: Path) -> None:
    (engine / "state" / "versions" / "default.digits-1.json").write_text('{"object": {"kind": "Other"}}')
    code, _, err = turnout("status")
    assert code == 1
    assert "was written by another release" in err
    assert "Traceback" not in err


def test_the_folder_of_an_earlier_layout_is_a_sentence_not_an_empty_tree(turnout: Turnout, engine: Path) -> None:
    (engine / "state" / "versions.json").write_text("{}")
    code, _, err = turnout("status")
    assert (code, err) == (
        1, "turnout: .turnout was written by an earlier release: start turnout up there once, it takes all over\n"
    )  # fmt: skip


def test_an_engine_that_can_remember_nothing_new_says_so_here(turnout: Turnout, tmp_path: Path) -> None:
    folder = Folder(tmp_path / ".turnout")
    folder.hold()
    folder.note(OSError(errno.ENOSPC, "No space left on device"))
    out = " ".join(turnout("status")[1].split())
    assert "cannot be written: No space left on device; make room; until then nothing new is remembered" in out
    folder.trouble = ""
    assert "cannot be written" not in turnout("status")[1]
    folder.release()


def test_what_a_command_has_said_over_a_file_is_shown(turnout: Turnout, engine: Path) -> None:
    record = json.loads((engine / "state" / "versions" / "default.digits-1.json").read_text())
    overlay = {"control": {"paused": True}, "desired": "Standby", "fileControl": {}, "fileDesired": "Live"}
    write(engine, "versions/default.digits-1", {**record, "overlay": overlay})
    out = turnout("status")[1]
    assert "control.paused: true by command (its file says false)" in out
    assert "desired: Standby by command (its file says Live)" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "nobody to ask: no local engine has this folder"),
        (("--state", "nope"), "nope is no folder of a local engine; start one: turnout up FILE…"),
        (("--cluster",), "the kubeconfig cannot be used"),
        (("--kubeconfig", "nope"), "nope cannot be used"),
    ],
)
def test_where_there_is_no_world_it_says_what_to_do(
    turnout: Turnout, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, err = turnout("status", *arguments)
    assert (code, out) == (1, "")
    assert sentence in err


class Cluster(ThreadingHTTPServer):
    """An API server that knows one path."""

    def __init__(self, code: int, body: object) -> None:
        self.answer = code, json.dumps(body).encode()
        self.paths: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(BaseHTTPRequestHandler):
    server: Cluster

    def do_GET(self) -> None:
        code, body = self.server.answer
        self.server.paths.append(self.path)
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


ODD = {"metadata": {"name": "odd"}}


@pytest.mark.parametrize(
    ("code", "body", "exit_code", "words"),
    [
        (200, {"items": [VERSION]}, 0, "cluster north, namespace support"),
        (200, {"items": []}, 0, "no ModelVersions here"),
        (404, {}, 1, "cluster north, namespace support does not know ModelVersions; install them: turnout crd"),
        (403, {}, 1, "does not let you list modelversions.turnout.dev"),
        (500, {}, 1, "answered 500"),
        (
            200,
            {"items": [{"metadata": {"name": "odd"}}, VERSION]},
            0,
            "ModelVersion odd cannot be read by this release",
        ),
        (200, {"items": [{"metadata": {"name": "odd"}}, VERSION]}, 0, "v1  ● Live"),
    ],
)
def test_a_cluster_answers(
    turnout: Turnout, tmp_path: Path, code: int, body: object, exit_code: int, words: str
) -> None:
    with Cluster(code, body) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        file = kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_address[1]}")
        found, out, err = turnout("status", "--kubeconfig", str(file))
        assert server.paths[0].startswith("/apis/turnout.dev/v1alpha1/namespaces/support/modelversions")
        turnout("status", "--kubeconfig", str(file), "-A")
        assert server.paths[-1].startswith("/apis/turnout.dev/v1alpha1/modelversions")
        server.shutdown()
    assert found == exit_code
    assert words in out + err


def test_a_cluster_that_does_not_answer_is_a_sentence(turnout: Turnout, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:9")
    code, _, err = turnout("status", "--kubeconfig", str(file))
    assert code == 1
    assert "cluster north, namespace support does not answer" in err


def test_a_context_that_does_not_exist_is_a_sentence(turnout: Turnout, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:9")
    code, _, err = turnout("status", "--kubeconfig", str(file), "--context", "moon")
    assert code == 1
    assert "no context moon" in err


def test_watch_prints_what_has_changed_and_ends_by_ctrl_c(
    turnout: Turnout, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(["nothing", "change", "end"])

    def sleep(_: float) -> None:
        step = next(looks)
        if step == "change":
            (engine / "lock").write_text("")
        if step == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    code, out, _ = turnout("status", "--watch")
    assert code == 130
    assert out.count("v1  ● Live") == 2
    assert "running as process" in out
    assert "stopped" in out
