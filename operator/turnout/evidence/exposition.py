"""From a predictor's `/metrics` to counts. Pure, and not fast: no event loop should wait for it."""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from turnout.evidence.counting import (
    FIRST,
    MOST_SERIES,
    OK,
    OUTPUTS,
    REFERENCE,
    REQUESTS,
    SECONDS,
    TOO_MANY,
    WARM,
    Counts,
    Tally,
)


class UnreadableError(ValueError):
    """What answered is no exposition of a Turnout predictor; the sentence is for the status."""


def read(text: str, revision: str) -> Counts:
    """The counts of one revision; of one that has answered nothing yet, zeros. Raises `UnreadableError`."""
    tally = Tally()
    try:
        for sample in _samples(text, revision):
            tally.take(sample.name, sample.labels, sample.value)
        return tally.counts()
    except (ValueError, OverflowError, KeyError, IndexError) as fault:
        raise UnreadableError(f"its /metrics cannot be read: {fault}") from fault


def _samples(text: str, revision: str) -> Iterator[Sample]:
    """The wanted series alone go through the library's parser, which is thorough and not fast."""
    ours = f'revision="{revision}"'
    lines = [line for line in text.splitlines() if ours in line and _may_be_evidence(line)]
    if not lines and "turnout_predictor_" not in text:
        raise ValueError("there is no series of a Turnout predictor")
    if len(lines) > MOST_SERIES:
        raise ValueError(TOO_MANY)
    for family in text_string_to_metric_families("\n".join([*lines, ""])):
        yield from family.samples


def _may_be_evidence(line: str) -> bool:
    if line.startswith(SECONDS + "{"):
        return f'outcome="{OK}"' in line and _is_first_and_warm(line)
    if line.startswith(REQUESTS + "{"):
        return _is_first_and_warm(line)
    return line.startswith((OUTPUTS + "{", REFERENCE + "{"))


def _is_first_and_warm(line: str) -> bool:
    return f'start="{WARM}"' in line and f'attempt="{FIRST}"' in line
