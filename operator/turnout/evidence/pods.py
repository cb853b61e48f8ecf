"""Evidence from the pods themselves: the counters of both sides, read at once, with no Prometheus in between.

All pods are asked at the same moment, so that a spike which hits both sides is seen on both in the same poll. One
pod that does not answer spoils the whole poll: numbers of half a side would look like a change of traffic. What a pod
says is its author's: it is bounded before it is read, and read in a thread, so that no pod holds up other models.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import aiohttp

from turnout.evidence.counting import Counts, common_edges
from turnout.evidence.exposition import UnreadableError, read
from turnout.judge.protocol import End, Poll

TIMEOUT = 5.0  # seconds; the shortest interval
LARGEST = 2**20  # bytes of one exposition; a predictor's has some 60 KiB


@dataclass(frozen=True, slots=True)
class Target:
    """One ready pod. `url`: where its metrics are; `started_at`: of its process, so that a restart is another one;
    `replaced`: whether this process came in the place of one that had ended.
    """

    pod: str
    revision: str
    url: str
    started_at: datetime
    replaced: bool = False


async def poll(
    session: aiohttp.ClientSession, at: datetime, canary: Iterable[Target], stable: Iterable[Target]
) -> Poll:
    """Both sides' counters for the grid's moment `at`; why there are none is part of the answer, never raised."""
    ours, theirs = tuple(canary), tuple(stable)
    answers = await asyncio.gather(*(_ask(session, target) for target in (*ours, *theirs)))
    counts = [answer for answer in answers if isinstance(answer, Counts)]
    if len(counts) < len(answers):
        return Poll(at=at, trouble="; ".join(answer for answer in answers if isinstance(answer, str)))
    try:
        edges = common_edges(counts)
    except ValueError as fault:
        return Poll(at=at, trouble=str(fault))
    read_out = [
        each.of_pod(target.pod, target.started_at, edges) for target, each in zip((*ours, *theirs), counts, strict=True)
    ]
    return Poll(
        at=at,
        canary=tuple(read_out[: len(ours)]),
        stable=tuple(read_out[len(ours) :]),
        edges=edges,
        canary_ends=ends(ours, at),
        stable_ends=ends(theirs, at),
    )


def ends(pods: Iterable[Target], until: datetime) -> tuple[End, ...]:
    """Of each pod the last end of a process; what came after that moment comes with a later poll."""
    return tuple(End(pod.pod, pod.started_at) for pod in pods if pod.replaced and pod.started_at <= until)


async def _ask(session: aiohttp.ClientSession, target: Target) -> Counts | str:
    """The counts of one pod, or the sentence on why there are none."""
    try:
        async with asyncio.timeout(TIMEOUT), session.get(target.url) as response:
            body = await response.content.read(LARGEST + 1)
            while len(body) <= LARGEST and (more := await response.content.read(LARGEST)):
                body += more
            if response.status != 200:
                raise UnreadableError(f"its /metrics answered HTTP {response.status}")
        if len(body) > LARGEST:
            raise UnreadableError(f"its /metrics has more than {LARGEST >> 20} MiB")
        return await asyncio.to_thread(read, body.decode(errors="replace"), target.revision)
    except UnreadableError as fault:
        return f"pod {target.pod}: {fault}"
    except (aiohttp.ClientError, OSError, TimeoutError) as fault:
        return f"pod {target.pod}: {target.url}: {str(fault) or 'no answer in time'}"
