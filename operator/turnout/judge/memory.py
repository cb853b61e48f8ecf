"""What the judge remembers between polls, and its written form in `status.analysis.memory`: at most 2 KiB of text.

Whole numbers as JSON, its version first, and a checksum. What cannot be read back whole is not guessed at: the judge
starts anew, and the promise of the attempt becomes a multiple of alpha. What does not fit is given up in an order that
costs time or sight, never validity, and is said: pods one by one, then drift, then latency.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from math import floor
from typing import Any, NamedTuple
from zlib import crc32

from pydantic_core import to_json

from turnout.judge.dispersion import Split, Spread
from turnout.judge.health import Watch
from turnout.judge.increments import BASIC, KEPT_PODS, Reading

FORMAT = 3
FROM_TEXT = json.JSONDecoder().raw_decode
LONGEST = 2048
MILLI = 1000
"""Logs of wealth are kept in thousandths, rounded down: never in favour of a verdict."""

MOST_LOG = 10**8
"""Wealth beyond e to the hundred thousandth, or less than one over that, is not told apart."""
GROUPS = (KEPT_PODS // 2, 6, 3, 2, 1)
"""Into how many groups a side's pods are summed up as the room gets less."""

DRIFT_GIVEN_UP, LATENCY_GIVEN_UP = 1, 2
KEY, ROOM_TO_GROW = 14, 100
"""Characters: of a pod's name and what separates it; and what counters may gain in digits before pods are regrouped."""

MOST_BUCKETS = 10_000
"""No process has as many series."""

Logs = tuple[int, ...]
Total = tuple[int, int, int, int]
"""Requests and bad events of the candidate, then of stable."""


class Memory(NamedTuple):
    """Times in milliseconds since the epoch; 0 is never. Per stream where it is a tuple of tuples.

    `at`: the poll up to which all is counted. `began`: the first of the attempt. `asked`: the last with a request.
    `anew`: how often a memory was lost. `present`: a sum over the pods of the last poll. `complete`: no pod was ever
    forgotten. `groups`: pods of a side that are known one by one; of more, so many sums. `gave_up`: metrics that had to
    leave, as bits. `bounds`: the name of those that `cuts` and `histogram` are along. `ends`: of processes, by a short
    name. `outputs`: last reading of each side; `answers`: counted so far. `out_since`: per bound of one's own, since
    when it is broken. `drift`: log of the evidence since the weight last changed, for the `epoch`th time; `banked`: of
    what came before.
    """

    fingerprint: int = 0
    at: int = 0
    began: int = 0
    anew: int = 0
    asked: int = 0
    weight: int = 0
    present: int = 0
    complete: bool = True
    groups: int = GROUPS[0]
    gave_up: int = 0
    step: int = 0
    step_began: int = 0
    step_requests: tuple[int, ...] = (0, 0)
    wealths: tuple[Logs, ...] = ()
    totals: tuple[Total, ...] = ()
    passes: tuple[Logs, ...] = ((), (), ())
    spreads: tuple[Spread, Spread] = (Spread(), Spread())
    split: Split = Split()
    bounds: int = 0
    cuts: tuple[int, ...] = ()
    histogram: tuple[int, ...] = ()
    window: tuple[int, ...] = ()
    drift: int = 0
    banked: int = -MOST_LOG
    epoch: int = 1
    outputs: tuple[tuple[int, ...], ...] = ((), ())
    answers: tuple[tuple[int, ...], ...] = ((), ())
    out_since: tuple[int, ...] = ()
    watch: Watch = ()  # over stable's own errors
    ends: tuple[int, ...] = ()
    readings: Mapping[str, Reading] = {}


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * MILLI)


def added(logs: Logs, factors: Sequence[float]) -> Logs:
    """Wealth after one more bet; what starts with nothing starts at 1."""
    if not factors:
        return logs
    before = logs or (0,) * len(factors)
    grown = [one + floor(more * MILLI) for one, more in zip(before, factors, strict=True)]
    if max(grown) > MOST_LOG or min(grown) < -MOST_LOG:
        grown = [max(-MOST_LOG, min(MOST_LOG, each)) for each in grown]
    return tuple(grown)


def write(memory: Memory) -> str:
    return written(memory)[0]


def written(memory: Memory) -> tuple[str, Memory]:
    """As text, and what that text says: what is too long loses its pods for an interval, then metrics for good."""
    text, shorter = _text(memory), memory
    if len(text) > LONGEST:
        for shorter in _ever_shorter(memory):
            text = _text(shorter)
            if len(text) <= LONGEST:
                break
    return text, shorter


def _text(memory: Memory) -> str:
    body = to_json(_sections(memory))
    return f"{body.decode()};{crc32(body):x}"


def _ever_shorter(memory: Memory) -> Iterator[Memory]:
    whole = BASIC + len(memory.cuts)
    seen = {key: reading for key, reading in memory.readings.items() if len(reading) == whole}
    yield memory._replace(readings=seen, complete=False)
    for given_up in (0, DRIFT_GIVEN_UP, DRIFT_GIVEN_UP | LATENCY_GIVEN_UP):
        less = memory._replace(readings={}, complete=False, gave_up=memory.gave_up | given_up)
        if given_up & DRIFT_GIVEN_UP:
            less = less._replace(outputs=((), ()), answers=((), ()))
        if given_up & LATENCY_GIVEN_UP:
            less = less._replace(cuts=(), histogram=(), window=())
        room = LONGEST - len(_text(less)) - ROOM_TO_GROW
        longest = max((len(to_json(reading)) for reading in seen.values()), default=0) + KEY
        for groups in GROUPS:
            if groups <= memory.groups and 2 * groups * longest <= room:
                yield less._replace(groups=groups)
                break
    yield less._replace(groups=1)


def _sections(memory: Memory) -> list[object]:
    return [
        FORMAT,
        (memory.fingerprint, memory.at, memory.began, memory.anew, memory.asked, memory.weight, memory.present),
        (memory.step, memory.step_began, *memory.step_requests),
        (int(memory.complete), memory.groups, memory.gave_up, memory.drift, memory.banked, memory.epoch),
        memory.wealths,
        memory.totals,
        memory.passes,
        *memory.spreads,
        memory.split,
        ((memory.bounds,), memory.cuts, _trimmed(memory.histogram), _trimmed(memory.window)),
        memory.outputs,
        memory.answers,
        memory.out_since,
        memory.watch,
        memory.ends,
        memory.readings,
    ]


def parse(text: str) -> Memory | None:
    """None where it is not what `write` wrote."""
    body, _, checksum = text.rpartition(";")
    try:
        if not body or int(checksum, 16) != crc32(body.encode()):
            return None
        return _parsed(FROM_TEXT(body)[0])
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _parsed(sections: Sequence[Any]) -> Memory | None:
    if sections[0] != FORMAT:
        return None
    head, step, kept, wealths, totals, passes, canary, stable, split, *last = sections[1:]
    edges, outputs, answers, out, watch, ends, pods = last
    nested = chain(wealths, totals, passes, edges, outputs, answers, pods.values())
    if {*map(type, chain(head, step, kept, canary, stable, split, out, ends, *nested))} != {int}:
        return None
    fingerprint, at, began, anew, asked, weight, present = head
    complete, groups, gave_up, drift, banked, epoch = kept
    (bounds,), cuts, histogram, window = _rows(edges)
    return Memory(
        fingerprint=fingerprint,
        at=at,
        began=began,
        anew=anew,
        asked=asked,
        weight=weight,
        present=present,
        complete=bool(complete),
        groups=groups,
        gave_up=gave_up,
        step=step[0],
        step_began=step[1],
        step_requests=tuple(step[2:]),
        wealths=_rows(wealths),
        totals=tuple((n_c, x_c, n_s, x_s) for n_c, x_c, n_s, x_s in totals),
        passes=_rows(passes),
        spreads=(Spread(*canary), Spread(*stable)),
        split=Split(*split),
        bounds=bounds,
        cuts=cuts,
        histogram=_untrimmed(histogram),
        window=_untrimmed(window),
        drift=drift,
        banked=banked,
        epoch=epoch,
        outputs=_rows(outputs),
        answers=_rows(answers),
        out_since=tuple(out),
        watch=tuple(watch),
        ends=tuple(ends),
        readings={key: tuple(numbers) for key, numbers in pods.items()},
    )


def _trimmed(counts: tuple[int, ...]) -> list[int]:
    """Latency fills few of many buckets: how many there are, the first that is filled, the counts up to the last."""
    if not any(counts):
        return [len(counts), 0] if counts else []
    first, beyond = 0, len(counts)
    while not counts[first]:
        first += 1
    while not counts[beyond - 1]:
        beyond -= 1
    return [len(counts), first, *counts[first:beyond]]


def _untrimmed(row: tuple[int, ...]) -> tuple[int, ...]:
    if not row:
        return ()
    buckets, first, *counts = row
    if not 0 <= first <= buckets - len(counts) <= MOST_BUCKETS:
        raise ValueError("more buckets than a histogram has")
    return (*(0,) * first, *counts, *(0,) * (buckets - first - len(counts)))


def _rows(section: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, section))
