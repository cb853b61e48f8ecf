"""The small parts: imports, thread plan, metrics, termination message, declarations, signatures."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import turnout_predictors
from turnout_predictors import FP32, Tensors, Text, dims, threads
from turnout_predictors.batching import ModelThread
from turnout_predictors.errors import STATUS_OF_CODE, StartError
from turnout_predictors.signature import TensorSpec, signature_from_json
from turnout_predictors.telemetry import termination
from turnout_predictors.telemetry.metrics import EDGES_SECONDS, Metrics

ROOT = Path(__file__).resolve().parents[2]


def clean(code: str) -> str:
    """What `code` prints in an interpreter that knows only this package."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "predictors")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout.strip()


IMPORTS = {
    "the package": ("turnout_predictors", "numpy pydantic uvicorn kserve sklearn torch orjson"),
    "the server process": ("turnout_predictors.process", "uvicorn kserve sklearn torch skops pydantic fastapi pandas"),
    "the command line": ("turnout_predictors.__main__", "numpy kserve sklearn torch"),
}


@pytest.mark.parametrize(("module", "absent"), IMPORTS.values(), ids=IMPORTS.keys())
def test_importing_brings_no_library_of_a_model(module: str, absent: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {absent.split()!r} if name in sys.modules])"
    assert clean(code) == ""


def test_importing_the_package_opens_no_file_but_its_own_code() -> None:
    code = """
import sys
opened = []
def audit(event, arguments):
    if event in ("socket.connect", "subprocess.Popen", "os.listdir", "threading.Thread") or (
        event == "open" and not str(arguments[0]).endswith((".py", ".pyc"))
    ):
        opened.append((event, arguments))
import importlib, typing
sys.addaudithook(audit)
import turnout_predictors
print([event for event in opened if "turnout_predictors" not in str(event)])
"""
    assert clean(code) == "[]"


def test_the_public_surface() -> None:
    assert set(turnout_predictors.__all__) == {
        *(
            [
                "Predictor",
                "Tensors",
                "Settings",
                "InvalidInput",
                "publish",
                "Published",
                "Example",
                "Signature",
                "compute",
                "load",
                "post",
                "dims",
                "Text",
            ]
        ),
        *(
            [
                "BOOL",
                "BYTES",
                "FP16",
                "FP32",
                "FP64",
                "INT8",
                "INT16",
                "INT32",
                "INT64",
                "UINT8",
                "UINT16",
                "UINT32",
                "UINT64",
            ]
        ),
    }
    for name in turnout_predictors.__all__:
        assert getattr(turnout_predictors, name) is not None
    with pytest.raises(AttributeError, match="has no 'Manager'; it has Predictor"):
        turnout_predictors.Manager  # noqa: B018


CGROUPS = {
    "v2 with a quota": ({"cpu.max": "150000 100000"}, 1.5),
    "v2 without": ({"cpu.max": "max 100000"}, None),
    "v1 with a quota": ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
    "v1 without": ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    "v1 seen from inside": ({"cpu.cfs_quota_us": "300000", "cpu.cfs_period_us": "100000"}, 3.0),
    "none": ({}, None),
}


@pytest.mark.parametrize(("files", "cores"), CGROUPS.values(), ids=CGROUPS.keys())
def test_cores_granted_by_the_cgroup(tmp_path: Path, files: dict[str, str], cores: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert threads.quota_cores(tmp_path) == cores
    affinity = len(os.sched_getaffinity(0))
    assert threads.plan(tmp_path) == max(1, int(min(affinity, cores or affinity)))


def test_the_plan_reaches_the_libraries_but_not_over_the_users_head() -> None:
    environment = {"MKL_NUM_THREADS": "7"}
    threads.apply(3, environment)
    assert environment == {
        "MKL_NUM_THREADS": "7",
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
        "TOKENIZERS_PARALLELISM": "false",
    }


def test_the_edges_span_1_ms_to_60_s_in_ratios_of_at_most_one_and_a_quarter() -> None:
    assert (EDGES_SECONDS[0], EDGES_SECONDS[-1]) == (0.001, 60.0)
    ratios = [after / before for before, after in itertools.pairwise(EDGES_SECONDS)]
    assert max(ratios) <= 1.25 + 1e-9
    assert min(ratios) > 1


def test_the_edges_of_earlier_builds_are_among_them() -> None:
    """So that a candidate of this build is compared with a stable version of theirs along all edges that it has."""
    decades = [round(step * 10.0**power, 6) for power in (-3, -2, -1, 0) for step in (1.0, 1.5, 2.2, 3.3, 4.7, 6.8)]
    assert EDGES_SECONDS[::2] == (*decades, 10.0, 15.0, 22.0, 33.0, 47.0, 60.0)


def test_every_series_carries_model_version_and_revision() -> None:
    metrics = Metrics("m", "7", "r")
    metrics.answered("warm", "first", 200, 0.002)
    metrics.phase("load", 1.0)
    metrics.threads("numeric", 2)
    metrics.limits = {"max_rows": 7.0}
    metrics.info(digest="d", space="", runtime="custom", backend="b", package="p")
    families = list(text_string_to_metric_families(metrics.exposition().decode()))
    assert {family.name for family in families} == {
        f"turnout_predictor_{name}"
        for name in (
            *("requests", "request_seconds", "queue_seconds", "forward_seconds", "batch_rows", "batch_padding_ratio"),
            *("cache", "payload_log", "limit", "beyond_limit"),
            *("rows", "tokens", "dropped", "inflight", "queue_rows", "start_seconds", "threads", "info"),
        )
    }
    for family in families:
        for sample in family.samples:
            assert {"model": "m", "version": "7", "revision": "r"}.items() <= sample.labels.items()


OUTCOMES = {200: "ok", 400: "client", 429: "client", 500: "error", 503: "error", 504: "error"}


@pytest.mark.parametrize(("code", "outcome"), OUTCOMES.items())
def test_outcomes_follow_codes(code: int, outcome: str) -> None:
    metrics = Metrics("m", "7", "r")
    metrics.answered("warm", "first", code, 0.002)
    labels = {"model": "m", "version": "7", "revision": "r", "protocol": "http", "start": "warm", "attempt": "first"}
    count = metrics.registry.get_sample_value("turnout_predictor_request_seconds_count", {**labels, "outcome": outcome})
    assert count == 1.0


@pytest.mark.parametrize("text", ["short", "x" * 10_000, "ü" * 10_000, '"' * 10_000, "\x00" * 10_000])
def test_a_termination_message_is_json_within_4096_bytes(text: str) -> None:
    raw = termination.message(StartError("LoadFailed", text))
    assert len(raw) <= 4096
    message = json.loads(raw)
    assert message["reason"] == "LoadFailed"
    assert text.startswith(message["message"].rstrip("…"))


def test_a_termination_log_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TURNOUT_TERMINATION_LOG", str(tmp_path / "no" / "log"))
    termination.leave(StartError("LoadFailed", "why"))
    assert "cannot write the termination message" in caplog.text


def test_every_code_has_a_status_of_the_table() -> None:
    assert set(STATUS_OF_CODE.values()) == {400, 404, 405, 409, 413, 415, 429, 500, 501, 503, 504}


class Inputs(Tensors):
    text: Text = dims("N")
    score: FP32 | None = dims("N", 3, missing=True)


def test_declarations_become_specs_in_their_order() -> None:
    assert Inputs.specs() == (
        TensorSpec("text", "BYTES", ("N",), text=True),
        TensorSpec("score", "FP32", ("N", 3), optional=True, missing=True),
    )


def test_an_instance_holds_its_arrays_and_none_for_what_is_absent() -> None:
    text = np.array(["a"], dtype=object)
    batch = Inputs(text=text)
    assert batch.score is None
    assert list(batch.arrays()) == ["text"]
    with pytest.raises(TypeError, match="no tensor named other"):
        Inputs(other=text)


def test_a_derived_declaration_adds_to_its_base() -> None:
    class More(Inputs):
        extra: FP32 = dims()

    assert [spec.name for spec in More.specs()] == ["text", "score", "extra"]


def test_a_signature_survives_its_json() -> None:
    document = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, -1, 3, "T"], "missing": True}],
        "outputs": [{"name": "y", "datatype": "BYTES", "shape": [], "text": True}],
    }
    signature = signature_from_json(document)
    assert signature.inputs[0].metadata()["shape"] == [-1, -1, 3, -1]
    assert signature_from_json(json.loads(json.dumps(signature.to_json()))) == signature


async def test_the_model_thread_runs_calls_one_at_a_time_in_order() -> None:
    thread = ModelThread(asyncio.get_running_loop())
    seen: list[Any] = []
    pending = [thread.submit(lambda index=index: seen.append(index)) for index in range(100)]  # type: ignore[misc]
    thread.start()
    await asyncio.gather(*pending)
    assert seen == list(range(100))
    thread.stop()


async def test_a_cancelled_call_is_never_made() -> None:
    thread = ModelThread(asyncio.get_running_loop())
    seen: list[int] = []
    first, second = (thread.submit(lambda index=index: seen.append(index)) for index in (1, 2))  # type: ignore[misc]
    first.cancel()
    thread.start()
    await second
    assert seen == [2]
    assert thread.busy_seconds() == 0.0 or thread.busy_seconds() < 1
    thread.stop()
