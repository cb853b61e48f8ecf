"""From cumulative counters per pod to what happened since the last accepted poll, the same interval on both sides.

Raw counters are differenced here, never extrapolated. A poll that cannot be used for both sides is used for neither:
it is dropped, and the next one spans the gap.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from operator import sub
from zlib import crc32

from turnout.judge.protocol import PodCounters
from turnout.judge.terms import NO_EDGE

LARGEST = 10**13
"""No pod has answered more; where logarithms of factorials still tell one request from the next."""
KEPT_PODS = 24
"""Pods whose counters are remembered one by one, both sides together; beyond, the memory would outgrow its 2 KiB."""

LONG_AGO = datetime.fromtimestamp(0, UTC)
"""A group of pods is never new: it is made of pods that were there."""

Reading = tuple[int, ...]
"""Requests, bad events, successes, then successes slower than each latency edge: cumulative, or of an interval."""
Readings = Mapping[str, Reading]
Sighting = tuple[str, PodCounters]
TOGETHER = "|"
"""Between the pods of a group; no pod's name has it."""
BASIC = 3
"""Numbers of a reading before the slow counts."""
NOTHING: Reading = (0,) * BASIC


def is_usable(pods: Sequence[PodCounters], edges: Sequence[float], needs_latency: bool) -> bool:
    """Counters that can be counters; a side without any is stale."""
    return bool(pods) and all(_is_counting(pod, len(edges) + 1, needs_latency) for pod in pods)


def _is_counting(pod: PodCounters, buckets: int, needs_latency: bool) -> bool:
    latency = pod.latency
    counts = [pod.requests, pod.errors, *latency]
    if pod.outputs:
        counts += chain(*pod.outputs.values())
    total = sum(counts)
    if type(total) is not int or min(counts) < 0 or (total > LARGEST and max(counts) > LARGEST):
        return False  # a NaN is a float, and so is a sum with one
    return pod.errors <= pod.requests and (len(latency) == buckets or (not latency and not needs_latency))


def sighted(side: str, pods: Iterable[PodCounters]) -> list[Sighting]:
    """Each pod with its short name in the memory; another start is another pod."""
    return [(_short(side, pod.pod, _epoch(pod.started_at)), pod) for pod in pods]


@lru_cache(maxsize=4096)
def _short(side: str, pod: str, started: int) -> str:
    """Remembered, since the same pods are read at every poll."""
    return f"{side}{crc32(f'{pod}@{started}'.encode()):x}"


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def read(pod: PodCounters, cuts: Sequence[int]) -> Reading:
    """`cuts`: for each latency edge its index among the buckets' bounds."""
    latency = pod.latency
    slow = [sum(latency[cut + 1 :]) for cut in cuts]
    return (pod.requests, pod.errors, sum(latency), *slow)


def differences(
    seen: Sequence[Sighting], now_read: Readings, before: Readings, began: int, complete: bool
) -> list[Reading]:
    """Each pod's increment. A pod not seen before counts in full if it was born in the attempt and none was forgotten.

    A pod that is gone has no increment; what it did after its last reading is lost. `began`: milliseconds.
    """
    found = []
    for key, pod in seen:
        now, last = now_read[key], before.get(key)
        if last is None and complete and pod.started_at >= LONG_AGO + timedelta(milliseconds=began):
            last = (0,) * len(now)
        if last is None or (TOGETHER in pod.pod and min(map(sub, now, last)) < 0):
            continue  # of a group nobody knows which pod began anew
        found.append(_increment(now, last))
    return found


def _increment(now: Reading, last: Reading) -> Reading:
    """A value that fell is a reset: all of the pod counts in full. One that was out of sight has no old slow counts."""
    rise = tuple(map(sub, now, last))
    if min(rise) < 0:
        rise = now[: len(rise)]
    if len(rise) < len(now):
        rise = (*rise[:2], *(0,) * (len(now) - 2))
    return rise if rise[1] <= rise[0] else (rise[0], rise[0], *rise[2:])


def together(pods: Sequence[Reading], ended: int) -> Reading:
    """All pods of a side. `ended`: so many of their processes; an end is a request that ended badly."""
    if len(pods) == 1 and not ended:
        return pods[0]
    requests, errors, *rest = map(sum, zip(*pods, strict=True)) if pods else NOTHING
    return (requests + ended, errors + ended, *rest)


def tally(counted: Reading, edge: int) -> tuple[int, int]:
    """Of a kind of bad event: of how many, and how many. `edge`: see `Stream`."""
    if edge == NO_EDGE:
        return counted[0], counted[1]
    return (counted[2], counted[BASIC + edge]) if BASIC + edge < len(counted) else (0, 0)


def kept(fresh: Readings, before: Readings) -> tuple[dict[str, Reading], bool]:
    """What is remembered: all that was read, and as many of the pods that are out of sight as there is room for.

    Edges move while a pod is away, so only its first numbers are kept. The second value is False where one was
    forgotten: it might come back and be taken for new.
    """
    absent = {key: reading[:BASIC] for key, reading in before.items() if key not in fresh}
    everything = {**fresh, **absent}
    if len(everything) <= KEPT_PODS:
        return everything, True
    return dict(list(everything.items())[:KEPT_PODS]), False


def grouped(pods: Sequence[PodCounters], most: int) -> tuple[PodCounters, ...]:
    """As they are, up to `most`; of more, sums over so many groups, so that the memory stays small.

    A group is known by its members: when they change, it is another one, and its interval is lost.
    """
    if len(pods) <= most:
        return tuple(pods)
    ordered = sorted(pods, key=lambda pod: crc32(f"{pod.pod}@{_epoch(pod.started_at)}".encode()))
    return tuple(_group(ordered[start::most]) for start in range(most))


def _group(pods: Sequence[PodCounters]) -> PodCounters:
    same_buckets = len({len(pod.latency) for pod in pods}) == 1
    answering = [pod for pod in pods if pod.has_answered] or pods[:1]
    outputs = answering[0].outputs
    same_outputs = all(pod.outputs.keys() == outputs.keys() for pod in answering)
    return PodCounters(
        pod=TOGETHER.join(f"{pod.pod}@{_epoch(pod.started_at)}" for pod in pods),
        started_at=LONG_AGO,
        requests=sum(pod.requests for pod in pods),
        errors=sum(pod.errors for pod in pods),
        latency=tuple(map(sum, zip(*(pod.latency for pod in pods), strict=True))) if same_buckets else (),
        outputs={name: tuple(map(sum, zip(*(p.outputs[name] for p in answering), strict=False))) for name in outputs}
        if same_outputs
        else {},
        reference=answering[0].reference,
        bins={
            name: known
            for name, known in answering[0].bins.items()
            if all(pod.bins.get(name) == known for pod in answering)
        },
    )


def members(pods: Iterable[PodCounters]) -> int:
    """How many pods there are, those of a group one by one."""
    return sum([pod.pod.count(TOGETHER) + 1 for pod in pods])
