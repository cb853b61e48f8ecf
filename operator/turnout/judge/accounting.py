"""One poll into the memory: what counts, for which metric, and what is discarded. No verdicts here.

A poll is never used for one side alone, but while stable is no control. An interval in which the weight changed, or in
which the candidate had none, is discarded for good: mixing two splits is Simpson's paradox.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import log
from operator import add
from typing import NamedTuple, TypedDict
from zlib import crc32

from turnout.api.analysis import Assumption, CustomMetric
from turnout.judge import answers
from turnout.judge.custom import out_since
from turnout.judge.dispersion import Split, Spread
from turnout.judge.drift import banked, log_factor
from turnout.judge.ends import by_pods, fresh
from turnout.judge.harm import NO_ENDS, Sides, bettors, pod_bursts, side_factors
from turnout.judge.health import Watch, bound, watched
from turnout.judge.increments import Reading, Sighting, differences, kept, read, sighted, tally, together
from turnout.judge.latency import cuts, first_window, histogram_of, name_of, next_window, slower_than
from turnout.judge.memory import (
    DRIFT_GIVEN_UP,
    LATENCY_GIVEN_UP,
    MILLI,
    MOST_LOG,
    Logs,
    Memory,
    Total,
    added,
    milliseconds,
)
from turnout.judge.passing import SLOW_PART, under_limit, under_stable
from turnout.judge.protocol import Poll
from turnout.judge.terms import NO_EDGE, Stream, Terms

ERROR_PASS, LATENCY_PASS, LIMIT_PASS = range(3)


def new_memory(terms: Terms, anew: int) -> Memory:
    return Memory(
        fingerprint=terms.fingerprint,
        anew=anew,
        wealths=tuple((0,) * bettors(terms.assume) for _ in terms.streams),
        totals=((0, 0, 0, 0),) * len(terms.streams),
    )


def entered(memory: Memory, step_index: int) -> Memory:
    """Pass evidence starts anew in each step, since harm can depend on load."""
    if memory.step == step_index:
        return memory
    return memory._replace(step=step_index, step_began=memory.at, step_requests=(0, 0), passes=((), (), ()))


class Changes(TypedDict, total=False):
    """Fields of the memory that a poll changes; collected, then replaced once."""

    at: int
    began: int
    asked: int
    weight: int
    present: int
    complete: bool
    step_began: int
    step_requests: tuple[int, ...]
    wealths: tuple[Logs, ...]
    totals: tuple[Total, ...]
    passes: tuple[Logs, ...]
    spreads: tuple[Spread, Spread]
    split: Split
    bounds: int
    cuts: tuple[int, ...]
    histogram: tuple[int, ...]
    window: tuple[int, ...]
    drift: int
    banked: int
    epoch: int
    outputs: tuple[tuple[int, ...], ...]
    answers: tuple[tuple[int, ...], ...]
    out_since: tuple[int, ...]
    watch: Watch
    ends: tuple[int, ...]
    readings: Mapping[str, Reading]


class Interval(NamedTuple):
    """What both sides did since the last accepted poll: each pod, and all together with the processes that ended.

    `ends`: how many pods each side has, and how many of those ended.
    """

    pods: tuple[Sequence[Reading], Sequence[Reading]]
    canary: Reading
    stable: Reading
    ends: Sides

    def sums(self, edge: int) -> Sides:
        """Of a kind of bad event, see `tally`."""
        return tally(self.canary, edge), tally(self.stable, edge)

    def pod_factors(self, stream: Stream) -> Sequence[float]:
        """Logs of what each bettor's wealth is multiplied by where pods are told apart."""
        edge, (ours, theirs) = stream.edge, self.pods
        canary, stable = [tally(pod, edge) for pod in ours], [tally(pod, edge) for pod in theirs]
        return pod_bursts(stream.tolerate, canary, stable, self.ends if edge == NO_EDGE else NO_ENDS)


def absorbed(
    terms: Terms, memory: Memory, poll: Poll, bounds: Sequence[CustomMetric], stable_unhealthy: bool
) -> Memory:
    """The memory with a usable poll in it."""
    at, along = milliseconds(poll.at), name_of(poll.edges)
    canary, stable = sighted("c", poll.canary), sighted("s", poll.stable)
    readings = {key: read(pod, memory.cuts) for key, pod in (*canary, *stable)}
    ended = fresh(poll, memory.ends, memory.began or at)
    ends = (*memory.ends, *ended[0], *ended[1])
    present = _present((*readings,), len(ends))
    changes: Changes = {
        "at": at,
        "began": memory.began or at,
        "step_began": memory.step_began or at,
        "weight": poll.weight,
        "present": present,
        "bounds": along,
        "ends": ends,
    }
    if _counts(memory, poll, along):
        interval = _interval(memory, canary, stable, readings, by_pods(poll, ended) if any(ended) else NO_ENDS)
        changes |= _requests(memory, interval)
        if not stable_unhealthy:
            changes |= _harm(terms, memory, interval)
            if present == memory.present:
                changes |= _drift(terms, memory, poll)
        changes |= _passes(terms, memory, interval)
        changes |= _control(terms, memory, interval)
    if memory.at and poll.weight != memory.weight and any(map(any, memory.answers)):
        changes |= _next_epoch(memory)
    latency = _latency(terms, memory, poll, along, same_pods=present == memory.present)
    changes |= latency
    changes |= _readings(terms, memory, poll, latency["cuts"], (*canary, *stable), readings)
    silent = changes.get("step_requests") == memory.step_requests
    changes["asked"] = memory.asked if silent and memory.asked else at
    changes["out_since"] = out_since(bounds, poll.custom, memory.out_since, at)
    return memory._replace(**changes)


@lru_cache(maxsize=512)
def _present(pods: tuple[str, ...], ended: int) -> int:
    """One number for who is there; another where a pod comes, goes or ends."""
    return crc32("|".join([*sorted(pods), str(ended)]).encode())


def _counts(memory: Memory, poll: Poll, along: int) -> bool:
    """There is an interval, and one split held throughout. `along`: the name of the poll's bounds."""
    since = poll.weight_since
    held = poll.weight == memory.weight and since is not None and milliseconds(since) <= memory.at
    same_buckets = not memory.cuts or memory.bounds == along
    return bool(memory.at and poll.weight and held and same_buckets)


def _interval(
    memory: Memory, canary: Sequence[Sighting], stable: Sequence[Sighting], now: Mapping[str, Reading], ends: Sides
) -> Interval:
    ours = differences(canary, now, memory.readings, memory.began, memory.complete)
    theirs = differences(stable, now, memory.readings, memory.began, memory.complete)
    (_, ended), (_, control_ended) = ends
    return Interval((ours, theirs), together(ours, ended), together(theirs, control_ended), ends)


def _requests(memory: Memory, interval: Interval) -> Changes:
    canary, stable = memory.step_requests
    return {"step_requests": (canary + interval.canary[0], stable + interval.stable[0])}


def _harm(terms: Terms, memory: Memory, interval: Interval) -> Changes:
    wealths: list[Logs] = []
    totals: list[Total] = []
    by_pod = terms.assume is Assumption.POD_BURSTS
    for stream, logs, (n_c, x_c, n_s, x_s) in zip(terms.streams, memory.wealths, memory.totals, strict=True):
        (served, bad), (control, control_bad) = ours, theirs = interval.sums(stream.edge)
        totals.append((n_c + served, x_c + bad, n_s + control, x_s + control_bad))
        factors = interval.pod_factors(stream) if by_pod else side_factors(terms.assume, stream.tolerate, ours, theirs)
        wealths.append(added(logs, factors))
    return {"wealths": tuple(wealths), "totals": tuple(totals)}


def _control(terms: Terms, memory: Memory, interval: Interval) -> Changes:
    if terms.error_limit is None:
        return {}
    stable = tally(interval.stable, NO_EDGE)
    return {"watch": watched(memory.watch, bound(terms.error_limit), *stable, log(1 / terms.alpha))}


def _passes(terms: Terms, memory: Memory, interval: Interval) -> Changes:
    errors, latency, limit = memory.passes
    spreads, split = memory.spreads, memory.split
    if terms.error_limit is not None:
        canary, stable = interval.sums(NO_EDGE)
        errors = added(errors, under_limit(terms.error_limit, *canary))
        spreads = (spreads[0].plus(*canary), spreads[1].plus(*stable))
    if terms.latency_ratio is not None and memory.cuts:
        canary, stable = interval.sums(terms.pass_edge)
        usual = slower_than(memory.window, memory.cuts[terms.pass_edge])
        latency = added(latency, under_stable(terms.latency_ratio, terms.slow_part, usual, canary, stable))
        split = split.plus(canary, stable)
    if terms.latency_limit is not None and memory.cuts:
        canary = tally(interval.canary, len(memory.cuts) - 1)
        limit = added(limit, under_limit(SLOW_PART, *canary))
    return {"passes": (errors, latency, limit), "spreads": spreads, "split": split}


def _drift(terms: Terms, memory: Memory, poll: Poll) -> Changes:
    """Each side's answers in the same intervals; a bet on their difference where their bins mean the same.

    Where callers ask other things with time, sums over two splits differ though the sides do not: Simpson's paradox. So
    a change of the weight begins an epoch, which knows no former answers.
    """
    if terms.drift_output is None or memory.gave_up & DRIFT_GIVEN_UP:
        return {}
    canary, stable = (
        answers.rise(answers.counted(terms.drift_output, pods), before)
        for pods, before in zip((poll.canary, poll.stable), memory.outputs, strict=True)
    )
    if not canary or not stable:
        return {}
    ours, theirs = (
        known if len(known) == len(new) else (0,) * len(new)
        for known, new in zip(memory.answers, (canary, stable), strict=True)
    )
    evidence = memory.drift
    if len(canary) == len(stable) and answers.have_same_bins(terms.drift_output, poll):
        evidence += int(log_factor(ours, theirs, canary, stable) * MILLI // 1)
    return {"drift": evidence, "answers": (tuple(map(add, ours, canary)), tuple(map(add, theirs, stable)))}


def _next_epoch(memory: Memory) -> Changes:
    kept = int(banked(memory.banked / MILLI, memory.drift / MILLI, memory.epoch) * MILLI // 1)
    return {"banked": max(-MOST_LOG, kept), "drift": 0, "epoch": memory.epoch + 1, "answers": ((), ())}


def _latency(terms: Terms, memory: Memory, poll: Poll, along: int, *, same_pods: bool) -> Changes:
    """Where the edges lie in the next interval, and what they are found by."""
    judged = terms.latency_ratio is not None and not memory.gave_up & LATENCY_GIVEN_UP
    histogram = memory.histogram if memory.bounds == along else ()
    if judged and poll.stable:
        histogram = histogram_of(poll.stable)
    if not memory.window or memory.bounds != along:
        window = first_window(histogram)
    else:
        window = next_window(memory.window, memory.histogram, histogram) if same_pods else memory.window
    edges = cuts(terms, window, poll.edges) if not memory.gave_up & LATENCY_GIVEN_UP else ()
    return {"cuts": edges, "histogram": histogram, "window": window}


def _readings(
    terms: Terms,
    memory: Memory,
    poll: Poll,
    edges: Sequence[int],
    seen: Sequence[Sighting],
    now: Mapping[str, Reading],
) -> Changes:
    """What the next poll is compared with: `now`, or at new edges."""
    fresh_ones = now if edges == memory.cuts else {key: read(pod, edges) for key, pod in seen}
    readings, complete = kept(fresh_ones, memory.readings)
    outputs = memory.outputs
    if terms.drift_output is not None and not memory.gave_up & DRIFT_GIVEN_UP:
        outputs = tuple(answers.counted(terms.drift_output, pods) for pods in (poll.canary, poll.stable))
    return {"complete": memory.complete and complete, "outputs": outputs, "readings": readings}
