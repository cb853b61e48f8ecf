"""One budget alpha for the whole attempt: the weighted mean of all metrics' evidence, under any dependence of them."""

from collections.abc import Sequence
from math import exp, inf, log

from turnout.judge.harm import log_mean
from turnout.judge.terms import Stream, Terms

SUSPICION = log(10.0)
"""Evidence of harm from which on a step without proof is not let through by policy."""

Evidence = Sequence[float]
"""The log of the evidence of each stream, in the order of the terms."""


def combined(terms: Terms, evidence: Evidence, drift: float | None) -> float:
    """The log of the mean evidence of harm, with the same weights all the time.

    Where drift may roll back it has a weight of 1. `drift`: its evidence; None while it is not to decide, and then it
    counts as 0, which is less than it is, so that the mean stays below a fair game.
    """
    weights, total = terms.weights, sum(terms.weights) + terms.drift_rolls_back
    if drift is not None and terms.drift_rolls_back:
        weights, evidence = (*weights, 1.0), [*evidence, drift]
    if not evidence:
        return -inf if total else 0.0
    most = max(evidence)
    return most + log(sum([part * exp(each - most) for part, each in zip(weights, evidence, strict=True)]) / total)


def of_metric(terms: Terms, evidence: Evidence, metric: str) -> float:
    """The log of one metric's evidence: the mean over its streams."""
    return log_mean([value for stream, value in zip(terms.streams, evidence, strict=True) if stream.metric == metric])


def culprit(terms: Terms, evidence: Evidence) -> tuple[Stream | None, float]:
    """The stream that carries most of the evidence, and the log of what it carries."""
    parts = [(log(stream.weight) + value, stream) for stream, value in zip(terms.streams, evidence, strict=True)]
    if not parts:
        return None, 0.0
    most, stream = max(parts, key=lambda part: part[0])
    return stream, most
