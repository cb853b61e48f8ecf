"""Evidence from a Prometheus: the predictors' raw counters at a moment of the grid, differenced by the judge.

One query serves all models of a namespace for one moment. It asks for samples, never for `rate` or `increase`, which
extrapolate; a moment that was missed is asked for at its time. Series must carry the labels `namespace` and `pod`, as a
PodMonitor gives them. What cannot be read, is there twice, or is no number is said, never guessed. Answers are long and
are read in a thread, series by series: one call for all would keep every other thread from its turn as long.
"""

import asyncio
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import aiohttp
from pydantic import BaseModel

from turnout.evidence.counting import (
    FIRST,
    OK,
    OUTPUTS,
    REFERENCE,
    REQUESTS,
    SECONDS,
    WARM,
    Counts,
    Tally,
    common_edges,
)
from turnout.judge.protocol import Poll
from turnout.rollout.plan import PollRequest

TIMEOUT = 10.0  # seconds
LARGEST = 32 * 2**20  # bytes of one answer
SHOWN = 200  # characters of an error that are quoted
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""Prometheus does not say when a process started: a value that fell does."""
SELECTOR = (
    '{{__name__=~"{names}",namespace="{namespace}",'
    'start=~"{warm}|",attempt=~"{first}|",outcome=~"{ok}|"}}[{seconds:.0f}s]'
)
CLIENTS_OWN = ("job", "instance", "endpoint", "container", "service", "prometheus")
"""Labels of the scrape: two series that differ in these alone count the same thing twice."""


Read = TypeVar("Read")


class SourceError(Exception):
    """Why there are no numbers, for the status."""

    def __init__(self, sentence: str, *, ambiguous: bool = False) -> None:
        super().__init__(sentence)
        self.ambiguous = ambiguous


@dataclass(frozen=True, slots=True)
class Entry:
    """One Prometheus of the operator's settings. `token_file`: a bearer token, read anew for each query."""

    name: str
    url: str
    token_file: Path | None = None


class Series(BaseModel):
    """One series of an answer: a range's samples, or an instant's."""

    metric: dict[str, str]
    values: list[tuple[float, str]] = []
    value: tuple[float, str] | None = None


class Data(BaseModel):
    result: list[None]


class Answer(BaseModel):
    """Prometheus' own envelope, without what is in it."""

    status: str
    error: str = ""
    data: Data | None = None


Revisions = Mapping[str, list[Series]]
"""The series of a namespace by the revision that they are of."""
RESULT = re.compile(r'"result"\s*:\s*\[')
"""No text within the answer has it: its quotes would be escaped."""
BETWEEN = re.compile(r"[\s,]*")
DECODER = json.JSONDecoder()


@dataclass
class Prometheus:
    """A source that can look back. Reads of one namespace and moment are shared between its models."""

    entry: Entry
    _shared: dict[tuple[str, datetime, timedelta], asyncio.Task[Revisions]] = field(default_factory=dict)

    async def poll(self, session: aiohttp.ClientSession, namespace: str, request: PollRequest) -> Poll:
        """The first moment of the grid that was not taken in yet; its faults are part of the answer."""
        interval = request.analysis.interval.delta
        at = request.earliest
        try:
            found = await self._counters(session, namespace, at, interval)
            sides = await asyncio.to_thread(_sides, found, request.canary.name, request.stable.name)
            numbers = await self._numbers(session, request, at)
            edges = _edges(sides)
        except SourceError as fault:
            return self._trouble(request, fault)
        canary, stable = (
            tuple(counts.of_pod(pod, ALWAYS, edges) for pod, counts in sorted(side.items())) for side in sides
        )
        return Poll(at=at, canary=canary, stable=stable, edges=edges, custom=numbers)

    async def beside(self, session: aiohttp.ClientSession, request: PollRequest, counted: Poll) -> Poll:
        """What somebody else has counted, with the answers to the custom queries at that moment."""
        try:
            return replace(counted, custom=await self._numbers(session, request, counted.at))
        except SourceError as fault:
            return self._trouble(request, fault)

    def _trouble(self, request: PollRequest, fault: SourceError) -> Poll:
        return Poll(at=request.at, trouble=f"prometheus {self.entry.name}: {fault}", ambiguous=fault.ambiguous)

    async def _numbers(self, session: aiohttp.ClientSession, request: PollRequest, at: datetime) -> dict[str, float]:
        """Of the custom queries, by name; one without an answer has none."""
        metrics = request.analysis.custom
        found = {metric.name: await self._number(session, metric.name, metric.query, at) for metric in metrics}
        return {name: value for name, value in found.items() if value is not None}

    async def _counters(
        self, session: aiohttp.ClientSession, namespace: str, at: datetime, interval: timedelta
    ) -> Revisions:
        key = (namespace, at, interval)
        if key not in self._shared:
            names = "|".join((REQUESTS, SECONDS, OUTPUTS, REFERENCE))
            span = 2 * interval.total_seconds()  # what is older is no answer for this moment
            query = SELECTOR.format(names=names, namespace=namespace, seconds=span, warm=WARM, first=FIRST, ok=OK)
            task = self._shared[key] = asyncio.create_task(self._ask(session, query, at, _by_revision))
            task.add_done_callback(lambda _: self._shared.pop(key, None))
        return await asyncio.shield(self._shared[key])

    async def _number(self, session: aiohttp.ClientSession, name: str, query: str, at: datetime) -> float | None:
        found = await self._ask(session, query, at, _series)
        if len(found) > 1:
            sentence = f"the query of custom metric {name} answers {len(found)} series, one is due; sum or select"
            raise SourceError(sentence, ambiguous=True)
        return _value(found[0].value, f"custom metric {name}") if found and found[0].value else None

    async def _ask(
        self, session: aiohttp.ClientSession, query: str, at: datetime, read: Callable[[int, bytes], Read]
    ) -> Read:
        url = f"{self.entry.url.rstrip('/')}/api/v1/query"
        form = {"query": query, "time": f"{at.timestamp():.3f}"}
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                session.post(url, data=form, headers=self._headers(), allow_redirects=False) as response,
            ):
                body = await _read_up_to(response, LARGEST)
            return await asyncio.to_thread(read, response.status, body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as fault:  # a token of two lines is no header
            raise SourceError(f"{url}: {str(fault) or 'no answer in time'}") from fault

    def _headers(self) -> dict[str, str]:
        if self.entry.token_file is None:
            return {}
        return {"Authorization": f"Bearer {self.entry.token_file.read_text('utf-8', 'replace').strip()}"}


async def _read_up_to(response: aiohttp.ClientResponse, most: int) -> bytes:
    parts = bytearray()
    async for chunk in response.content.iter_chunked(2**16):
        parts += chunk
        if len(parts) > most:
            raise SourceError(f"its answer has more than {most >> 20} MiB")
    return bytes(parts)


def _series(status: int, body: bytes) -> list[Series]:
    try:
        text = body.decode()
        items, after = _items(text, opened.end()) if (opened := RESULT.search(text)) else ([], 0)
        envelope = f"{text[: opened.end()]}{text[after:]}" if opened else text
        answer = Answer.model_validate_json(envelope)
        found = [item for item in items if isinstance(item, Series)]
        if items and not found:  # a scalar is a moment and a value
            found = [Series.model_validate({"metric": {}, "value": items})]
    except (ValueError, RecursionError) as fault:
        said = body[:SHOWN].decode(errors="replace")
        raise SourceError(f"HTTP {status}, and no answer of a Prometheus: {said}") from fault
    if status != 200 or answer.status != "success" or answer.data is None:
        raise SourceError(f"HTTP {status}: {answer.error[:SHOWN] or answer.status}")
    return found


def _items(text: str, at: int) -> tuple[list[Series | object], int]:
    """What stands in an array, from behind its bracket, and where it is closed."""
    items: list[Series | object] = []
    while not text.startswith("]", at := _next(text, at)):
        item, at = DECODER.raw_decode(text, at)
        items.append(Series.model_validate(item) if isinstance(item, dict) else item)
    return items, at


def _next(text: str, at: int) -> int:
    between = BETWEEN.match(text, at)
    return between.end() if between else at


def _by_revision(status: int, body: bytes) -> Revisions:
    found: dict[str, list[Series]] = {}
    for series in _series(status, body):
        found.setdefault(series.metric.get("revision", ""), []).append(series)
    return found


def _sides(found: Revisions, canary: str, stable: str) -> list[dict[str, Counts]]:
    return [_side(found.get(revision, ())) if revision else {} for revision in (canary, stable)]


def _edges(sides: Iterable[Mapping[str, Counts]]) -> tuple[float, ...]:
    try:
        return common_edges(counts for side in sides for counts in side.values())
    except ValueError as fault:
        raise SourceError(str(fault)) from fault


def _side(found: Iterable[Series]) -> dict[str, Counts]:
    """The counts of each pod of a revision, by the pod's name."""
    tallies: dict[str, Tally] = {}
    seen: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    for series in found:
        if not series.values:
            continue
        identity = tuple(sorted(item for item in series.metric.items() if item[0] not in CLIENTS_OWN))
        if identity in seen:
            raise _twice(series.metric, seen[identity])
        seen[identity] = series.metric
        pod = series.metric.get("pod", "")
        if not pod:
            raise SourceError("the predictors' series carry no label pod; scrape them by a PodMonitor")
        _take(tallies.setdefault(pod, Tally()), series)
    return dict(_counted(tallies))


def _take(tally: Tally, series: Series) -> None:
    name = series.metric.get("__name__", "")
    value = _value(series.values[-1], name)
    try:
        tally.take(name, series.metric, value)
    except (KeyError, ValueError) as fault:
        raise SourceError(f"{name}: {fault}") from fault


def _counted(tallies: Mapping[str, Tally]) -> Iterator[tuple[str, Counts]]:
    for pod, tally in tallies.items():
        try:
            yield pod, tally.counts()
        except (KeyError, ValueError) as fault:
            raise SourceError(f"pod {pod}: {fault}") from fault


def _twice(one: Mapping[str, str], other: Mapping[str, str]) -> SourceError:
    differ = ", ".join(sorted(label for label in CLIENTS_OWN if one.get(label) != other.get(label))) or "nothing"
    name = one.get("__name__", "a series")
    return SourceError(f"{name} of pod {one.get('pod')} is there twice, different in {differ}", ambiguous=True)


def _value(sample: tuple[float, str], what: str) -> float:
    try:
        number = float(sample[1])
    except ValueError as fault:
        raise SourceError(f"{what} is {sample[1][:SHOWN]!r}, no number") from fault
    if not math.isfinite(number):
        raise SourceError(f"{what} is {sample[1]}")
    return number
