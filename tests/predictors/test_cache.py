"""Where the cache of artifacts is, and what is told while one comes in."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from turnout_predictors.artifacts import cache as caching
from turnout_predictors.artifacts.cache import Cache
from turnout_predictors.artifacts.pull import Progress
from turnout_predictors.errors import StartError


def test_the_cache_is_where_the_environment_says() -> None:
    assert Cache.here({"HOME": "/home/me"}) == Cache(Path("/home/me/.cache/turnout/artifacts"), 20 * caching.GIB)
    given = {"XDG_CACHE_HOME": "/x", "TURNOUT_ARTIFACT_CACHE_GIB": "0.5"}
    assert Cache.here(given) == Cache(Path("/x/turnout/artifacts"), caching.GIB // 2)
    with pytest.raises(StartError, match="'much' is no number of GiB"):
        Cache.here({"TURNOUT_ARTIFACT_CACHE_GIB": "much"})


def test_progress_is_told_every_few_seconds(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    progress = Progress("s3://m/1", 100 << 20, clock=lambda: now[0])
    with caplog.at_level(logging.INFO):
        for _ in range(11):
            now[0] += 1
            progress.came(5 << 20)
        progress.ended()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "pulling s3://m/1: 25 % of 100.0 MiB, 5.0 MiB/s",
        "pulling s3://m/1: 50 % of 100.0 MiB, 5.0 MiB/s",
        "pulled s3://m/1 in 11.0 s: 55 % of 100.0 MiB, 5.0 MiB/s",
    ]
