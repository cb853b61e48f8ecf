"""Counts of outputs by bin: what the judge compares between versions, and with the day of publishing.

Counters, so that any window is a difference. Counting an answer costs some microseconds and happens where answers
are given, so that warm-up and failed requests are in no bin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from turnout_predictors.artifacts.reference import Array, Reference

_LABELS = ("model", "version", "revision", "output", "bin")


class Drift(Collector):
    """A collector of `turnout_predictor_output_total` and `turnout_predictor_reference`."""

    def __init__(self, identity: tuple[str, str, str], references: Iterable[Reference]) -> None:
        self._identity = identity
        self._references = {reference.output: reference for reference in references}
        self._counts = {name: np.zeros(each.bins, np.int64) for name, each in self._references.items()}

    def count(self, outputs: Mapping[str, Array]) -> None:
        """Take in one answer."""
        for name, reference in self._references.items():
            rows = outputs.get(name)
            if rows is not None:
                self._counts[name] += reference.count(rows)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        answered = CounterMetricFamily(
            "turnout_predictor_output", "Rows answered, by bin of an output.", labels=_LABELS
        )
        published = GaugeMetricFamily("turnout_predictor_reference", "Rows at publish, by bin.", labels=_LABELS)
        for name, reference in self._references.items():
            for at in range(reference.bins):
                labels = (*self._identity, name, str(at))
                answered.add_metric(labels, float(self._counts[name][at]))
                published.add_metric(labels, float(reference.counts[at]))
        yield answered
        yield published
