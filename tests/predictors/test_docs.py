"""docs/predictors.md: its Python runs, and its tables say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from turnout_predictors.artifacts.reference import references_of
from turnout_predictors.errors import START_REASONS, STATUS_OF_CODE
from turnout_predictors.server.settings import DEFAULTS
from turnout_predictors.telemetry.drift import Drift
from turnout_predictors.telemetry.metrics import Metrics

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "predictors.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "documented"}
    for block in BLOCKS:
        exec(compile(block, "docs/predictors.md", "exec", dont_inherit=True), namespace)
    assert (tmp_path / "models" / "digits" / "1" / "manifest.json").is_file()
    kind = namespace["Shouting"]
    shouting = kind("m")
    batch = kind.Inputs(text=np.array(["HELLO", "hey"], dtype=object))
    outputs = shouting.predict(batch, kind.Settings())
    assert outputs.arrays()["loudness"].tolist() == [1.0, 0.0]
    assert [spec.name for spec in kind.signature().inputs] == ["text", "weight"]


def test_the_table_of_errors_is_whole() -> None:
    told = {code: int(status) for status, code in re.findall(r"^\| (\d{3}) \| `(\w+)`", TEXT, re.MULTILINE)}
    assert told == STATUS_OF_CODE


def test_the_table_of_reasons_is_whole() -> None:
    section = TEXT.split("## When it cannot start")[1].split("## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == START_REASONS


def test_the_table_of_metrics_is_whole() -> None:
    metrics = Metrics("m", "1", "r")
    metrics.answered("warm", "first", 200, 0.1)
    metrics.phase("load", 1)
    metrics.limits = DEFAULTS.limits()
    metrics.threads("numeric", 1)
    metrics.info(digest="", space="", runtime="", backend="", package="")
    metrics.registry.register(Drift(metrics.identity, references_of({"score": np.arange(100.0)})))
    section = TEXT.split("## Metrics")[1]
    told = {
        name: set(re.findall(r"`(\w+)`", labels)) | {"model", "version", "revision"}
        for names, labels in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|([^|]*)\|", section, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    shown = {}
    for line in metrics.exposition().decode().splitlines():
        found = re.match(r"turnout_predictor_(\w+?)(?:_count|_sum|_bucket)?\{(.*)\}", line)
        if found:
            shown[found[1]] = set(re.findall(r"(\w+)=", found[2])) - {"le"}
    assert told == shown


def test_every_test_that_the_page_of_clients_names_is_there() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "clients.md").read_text()
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", page)
    assert len(named) > 20
    here = Path(__file__).parent
    assert [(file, test) for file, test in named if f"def {test}(" not in (here / file).read_text()] == []


def test_the_table_of_limits_is_whole() -> None:
    section = TEXT.split("## Limits")[1].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == set(DEFAULTS.limits())
