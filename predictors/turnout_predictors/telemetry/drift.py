"""Counts of outputs by bin: what the judge compares between versions, and with the day of publishing.

Counters, so that any window is a difference. Answers are taken in where they are given, so that warm-up and failed
requests are in no bin, and counted many at a time: one by one it would cost more than a small request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from threading import Lock

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from turnout_predictors.artifacts.reference import Array, Reference

Aside = Callable[[Callable[[], None]], None]
log = logging.getLogger(__name__)
KEPT = 256  # answers
KEPT_ELEMENTS = 1 << 14  # more than that are counted aside
_LABELS = ("model", "version", "revision", "output", "bins", "bin")
"""`bins`: the name of all of them; counts of two versions can be compared where it is equal."""


class Drift(Collector):
    """A collector of `turnout_predictor_output_total` and `turnout_predictor_reference`.

    `aside` runs what would keep the event loop from others: counting many elements.
    """

    def __init__(
        self, identity: tuple[str, str, str], references: Iterable[Reference], aside: Aside | None = None
    ) -> None:
        self._identity = identity
        self._aside = aside or _at_once
        self._lock = Lock()
        self._references = {reference.output: reference for reference in references}
        self._counts = {name: np.zeros(each.bins, np.int64) for name, each in self._references.items()}
        self._kept: dict[str, list[Array]] = {name: [] for name in self._references}
        self._elements = 0
        self._has_failed = False

    def count(self, outputs: Mapping[str, Array]) -> None:
        """Take in one answer."""
        for name, kept in self._kept.items():
            rows = outputs.get(name)
            if rows is not None and rows.ndim:
                kept.append(rows)
                self._elements += rows.size
                if self._elements >= KEPT_ELEMENTS:
                    self._aside(partial(self._add, name, self._taken(name)))
                elif len(kept) >= KEPT:
                    self._add(name, self._taken(name))

    def _taken(self, name: str) -> list[Array]:
        kept, self._kept[name] = self._kept[name], []
        self._elements = sum(rows.size for others in self._kept.values() for rows in others)
        return kept

    def _add(self, name: str, kept: list[Array]) -> None:
        """Rows of one form are counted in one step; those of another count nowhere, but must not stop the others."""
        forms: dict[tuple[int, ...], list[Array]] = {}
        for rows in kept:
            forms.setdefault(rows.shape[1:], []).append(rows)
        for alike in forms.values():
            try:
                counted = self._references[name].count(np.concatenate(alike))
                with self._lock:
                    self._counts[name] += counted
            except Exception:  # answers matter more than their statistics, which are told of once
                if not self._has_failed:
                    log.exception("output %r fits no bins; drift misses what cannot be counted", name)
                self._has_failed = True

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        answered = CounterMetricFamily(
            "turnout_predictor_output", "Rows answered, by bin of an output.", labels=_LABELS
        )
        published = GaugeMetricFamily("turnout_predictor_reference", "Rows at publish, by bin.", labels=_LABELS)
        for name, reference in self._references.items():
            self._add(name, self._taken(name))
            for at in range(reference.bins):
                labels = (*self._identity, name, reference.name, str(at))
                answered.add_metric(labels, float(self._counts[name][at]))
                published.add_metric(labels, float(reference.counts[at]))
        yield answered
        yield published


def _at_once(task: Callable[[], None]) -> None:
    task()
