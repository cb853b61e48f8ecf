"""Who leads: never two at once, whatever happens to the record, the API server, the clocks and the processes."""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from turnout.controller.election import Election, Timing
from turnout.platform.lease import Lease
from turnout.platform.protocol import Conflict, Unavailable

TIMING = Timing()


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Record:
    """The Lease at an API server; `latency` before and after each request is its to decide."""

    lease: Lease | None = None
    down: bool = False
    idle: bool = True  # no model exists yet
    latency: Callable[[], float] = lambda: 0.01
    writes: list[tuple[float, str, int]] = field(default_factory=list)
    _versions: Iterator[int] = field(default_factory=itertools.count)

    async def read(self) -> Lease | None:
        await self._travel()
        found = self.lease
        await self._travel()
        return found

    async def write(self, lease: Lease, onto: Lease | None) -> Lease:
        await self._travel()
        if (onto.version if onto else None) != (self.lease.version if self.lease else None):
            raise Conflict("the object has been modified")
        self.lease = taken = replace(lease, renewed=str(now()), version=str(next(self._versions)))
        self.writes.append((now(), taken.holder, taken.epoch))
        await self._travel()
        return taken

    async def _travel(self) -> None:
        await asyncio.sleep(self.latency())
        if self.down:
            raise Unavailable("no answer")


class Candidate:
    """A process: it leads again and again, and writes all the time while it may. `frozen`: SIGSTOP."""

    def __init__(self, record: Record, name: str, drift: float = 1.0, offset: float = 0.0) -> None:
        self.record = record
        self.election = Election(record, name, TIMING, lambda: offset + now() * drift)
        self.written: list[float] = []
        self.work = asyncio.create_task(self._run(), name=name)

    async def _run(self) -> None:
        while True:
            await self.election.acquire(lambda: self.record.idle)
            writing = asyncio.create_task(self._write())
            await self.election.hold()
            writing.cancel()

    async def _write(self) -> None:
        while True:
            if self.election.seconds_left() > 0:
                self.written.append(now())
            await asyncio.sleep(0.05)

    async def die(self) -> None:
        self.work.cancel()
        with suppress(asyncio.CancelledError):
            await self.work


async def until(true: Callable[[], bool], seconds: float = 60.0) -> float:
    """When it became true."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 – a candidate tells nobody, and time is virtual here
            await asyncio.sleep(0.01)
    return now()


def assert_one_at_a_time(*candidates: Candidate) -> None:
    """Sorted by time, the writers' turns never interleave."""
    written = sorted((moment, candidate.election.identity) for candidate in candidates for moment in candidate.written)
    turns = [who for who, _ in itertools.groupby(who for _, who in written)]
    epochs = [
        epoch for _, epoch in sorted({(at, epoch) for at, holder, epoch in candidates[0].record.writes if holder})
    ]
    assert epochs == sorted(epochs)
    starts = [(at, holder) for at, holder, epoch in taken(candidates[0].record)]
    for at, who in written:
        begun = [holder for start, holder in starts if start <= at]
        assert begun[-1] == who, f"{who} wrote at {at:.2f}, when {begun[-1]} had taken the lease"
    assert turns


def taken(record: Record) -> list[tuple[float, str, int]]:
    """The writes that began an epoch."""
    firsts: dict[int, tuple[float, str, int]] = {}
    for write in record.writes:
        if write[1]:
            firsts.setdefault(write[2], write)
    return list(firsts.values())


async def test_the_first_takes_it_at_once_and_renews_and_the_second_only_looks() -> None:
    record = Record()
    first = Candidate(record, "a")
    await until(lambda: first.election.leads, 1)
    second = Candidate(record, "b")
    await asyncio.sleep(600)
    assert {holder for _, holder, _ in record.writes} == {"a"}
    assert first.election.leads
    assert not second.election.leads
    assert second.election.leader == "a"
    assert 250 < len(record.writes) < 310, "one renewal every two seconds"


@pytest.mark.parametrize("moment", [0.0, 0.5, 1.0, 1.5, 1.99])  # of the two seconds between renewals
async def test_after_a_kill_the_other_leads_within_twelve_seconds(moment: float) -> None:
    record = Record()
    first = Candidate(record, "a")
    await until(lambda: first.election.leads)
    second = Candidate(record, "b")
    await asyncio.sleep(20 + moment)
    await first.die()
    began = now()
    assert await until(lambda: second.election.leads) - began < 9.5
    assert_one_at_a_time(first, second)


async def test_after_a_clean_stop_the_other_leads_at_its_next_look() -> None:
    record = Record()
    first = Candidate(record, "a")
    await until(lambda: first.election.leads)
    second = Candidate(record, "b")
    await asyncio.sleep(5)
    await first.die()
    await first.election.release()
    began = now()
    assert await until(lambda: second.election.leads) - began < 1.1


async def test_a_pod_that_was_killed_takes_its_own_lease_back_at_once_in_a_new_epoch() -> None:
    record = Record()
    first = Candidate(record, "pod")
    await until(lambda: first.election.leads)
    await first.die()
    again = Candidate(record, "pod")
    await until(lambda: again.election.leads, 1)
    assert again.election.epoch == 2


async def test_an_annotation_on_the_lease_harms_nobody() -> None:
    record = Record()
    leader = Candidate(record, "a")
    await until(lambda: leader.election.leads)
    assert record.lease
    for number in range(5):
        record.lease = replace(record.lease, version=f"touched-{number}")
        await asyncio.sleep(7)
        assert leader.election.leads


async def test_touching_the_lease_of_a_dead_one_is_no_sign_of_life() -> None:
    record = Record(Lease("dead", 8, 4, renewed="yesterday", version="v"))
    candidate = Candidate(record, "a")
    for number in range(7):
        await asyncio.sleep(1)
        assert record.lease
        record.lease = replace(record.lease, version=f"touched-{number}")
    await until(lambda: candidate.election.leads, 4)
    assert candidate.election.epoch == 5


async def test_a_lease_that_is_deleted_is_made_again_by_its_leader_and_not_taken_by_another() -> None:
    record = Record()
    leader = Candidate(record, "a")
    await until(lambda: leader.election.leads)
    other = Candidate(record, "b")
    for _ in range(20):
        await asyncio.sleep(3)
        record.lease = None
    await asyncio.sleep(3)
    assert leader.election.leads
    assert {holder for _, holder, _ in record.writes} == {"a"}
    assert not other.written


async def test_a_deleted_lease_is_not_taken_by_one_who_has_never_seen_it() -> None:
    record = Record()
    leader = Candidate(record, "a")
    await until(lambda: leader.election.leads)
    record.idle = False
    for number in range(5):
        await asyncio.sleep(3.3)
        record.lease = None
        fresh = Candidate(record, f"fresh-{number}")
        await asyncio.sleep(3)
        assert not fresh.written
        await fresh.die()
    assert {holder for _, holder, _ in record.writes} == {"a"}


async def test_a_lease_that_is_deleted_after_its_holders_death_is_taken_within_twelve_seconds() -> None:
    record = Record()
    leader = Candidate(record, "a")
    await until(lambda: leader.election.leads)
    record.idle = False
    await leader.die()
    record.lease = None
    began = now()
    fresh = Candidate(record, "fresh")
    assert TIMING.write < await until(lambda: fresh.election.leads) - began < 12


async def test_without_a_model_nobody_waits_for_a_holder_that_never_was() -> None:
    first = Candidate(Record(), "a")
    assert await until(lambda: first.election.leads) < 1
    late = Candidate(Record(idle=False), "b")
    began = now()
    assert await until(lambda: late.election.leads) - began > TIMING.lease


@pytest.mark.parametrize("seed", range(20))
async def test_never_two_at_once_though_somebody_deletes_the_lease_again_and_again(seed: int) -> None:
    dice = random.Random(seed)
    record = Record(latency=lambda: dice.choice((0.005, 0.05, 0.3, 1.0)) * dice.random(), idle=False)
    everyone = [Candidate(record, name) for name in "ab"]
    living = list(everyone)
    for number in range(40):
        await asyncio.sleep(dice.uniform(0, 10))
        match dice.choice(("delete", "delete", "down", "up", "replace")):
            case "delete":
                record.lease = None
            case "down":
                record.down = True
            case "up":
                record.down = False
            case "replace":
                await living.pop(0).die()
                living.append(Candidate(record, f"new-{number}"))
                everyone.append(living[-1])
    record.down, record.latency = False, lambda: 0.01
    await until(lambda: any(candidate.election.leads for candidate in living), 30)
    written = sorted((at, candidate.election.identity) for candidate in everyone for at in candidate.written)
    handovers = [(before, after) for before, after in itertools.pairwise(written) if before[1] != after[1]]
    for (last, former), (first, latter) in handovers:  # two who lead at once write in turns, every 0.05 s
        assert first - last > 1, f"{latter} wrote {first - last:.2f} s after {former}, at {first:.2f}"


async def test_one_who_is_robbed_stops_at_its_next_renewal() -> None:
    record = Record()
    leader = Candidate(record, "a")
    await until(lambda: leader.election.leads)
    assert record.lease
    record.lease = replace(record.lease, holder="by hand", epoch=9, version="x")
    began = now()
    assert await until(lambda: not leader.election.leads) - began < 2.1


async def test_without_an_api_server_the_leader_stops_before_its_lease_could_be_taken() -> None:
    record = Record()
    first = Candidate(record, "a")
    await until(lambda: first.election.leads)
    second = Candidate(record, "b")
    await asyncio.sleep(10)
    began, record.down = now(), True
    assert await until(lambda: not first.election.leads) - began <= TIMING.begin
    await asyncio.sleep(60)
    record.down = False
    await until(lambda: first.election.leads or second.election.leads, 12)
    await asyncio.sleep(30)
    assert_one_at_a_time(first, second)


async def test_a_write_that_begins_last_ends_before_another_may_lead() -> None:
    record = Record()
    leader = Candidate(record, "a")
    await until(lambda: leader.election.leads)
    leader.work.cancel()
    ends = {now() + leader.election.seconds_left() async for _ in every(0.1, 10.0) if leader.election.leads}
    assert max(ends) - record.writes[-1][0] <= TIMING.write < TIMING.lease


async def every(step: float, seconds: float):  # type: ignore[no-untyped-def]
    for number in range(int(seconds / step)):
        yield number
        await asyncio.sleep(step)


async def test_a_process_that_stood_still_writes_nothing_when_it_wakes() -> None:
    """Its clock goes on while it does not: the first thing that it asks is how long it may write."""
    record, stopped = Record(), 0.0
    election = Election(record, "a", TIMING, lambda: now() + stopped)
    await election.acquire()
    assert election.seconds_left() > 0
    stopped = 30.0  # SIGSTOP … SIGCONT: no task has run meanwhile
    assert election.seconds_left() == 0
    before = len(record.writes)
    await election.hold()
    assert len(record.writes) == before, "not even a renewal"
    assert not election.leads


@pytest.mark.parametrize("seed", range(40))
async def test_never_two_at_once_over_random_histories(seed: int) -> None:
    """Three candidates whose clocks differ and drift, a server that is slow and down, kills at any time."""
    dice = random.Random(seed)
    record = Record(latency=lambda: dice.choice((0.005, 0.05, 0.3, 1.0, 3.0)) * dice.random())
    living = {
        name: Candidate(record, name, drift=dice.uniform(0.98, 1.02), offset=dice.uniform(-1e6, 1e6)) for name in "abc"
    }
    everyone = list(living.values())
    for number in range(60):
        await asyncio.sleep(dice.uniform(0, 12))
        match dice.choice(("nothing", "down", "up", "kill", "touch")):
            case "down":
                record.down = True
            case "up":
                record.down = False
            case "kill":
                name = dice.choice("abc")
                await living[name].die()
                living[name] = Candidate(record, f"{name}{number}")
                everyone.append(living[name])
            case "touch" if record.lease:
                record.lease = replace(record.lease, version=f"touched-{number}")
    record.down, record.latency = False, lambda: 0.01
    await until(lambda: any(candidate.election.leads for candidate in living.values()), 30)
    assert_one_at_a_time(*everyone)


async def test_a_lease_that_cannot_be_released_runs_out(caplog: pytest.LogCaptureFixture) -> None:
    record = Record()
    election = Election(record, "a", TIMING, now)
    await election.acquire()
    record.down = True
    await election.release()
    assert not election.leads
    assert "runs out by itself: no answer" in caplog.text
    await election.release()  # who does not lead has nothing to release


async def test_a_renewal_that_was_broken_off_does_not_hinder_the_release() -> None:
    record = Record()
    election = Election(record, "a", TIMING, now)
    await election.acquire()
    assert record.lease
    await record.write(replace(record.lease), record.lease)
    await election.release()
    assert record.lease.holder == ""
