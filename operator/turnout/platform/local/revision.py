"""One deployment on this machine: the pods of a revision, how many are wanted, and who answers when none is ready.

Idle is not dead. A revision that nobody asks goes to zero and its activator wakes it; one that has lost its pods
refuses at once where its requests are repeated elsewhere, and lets them wait where they are not.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import monotonic

from turnout.gateway.topology import Backend, Endpoint
from turnout.platform.local.activator import Activator, AsleepError
from turnout.platform.local.pods import Replica, Surroundings
from turnout.platform.local.records import DeploymentRecord
from turnout.platform.readiness import Readiness, ReadinessMemory
from turnout.rollout.snapshot import Autoscaling, Deployment, Problem, Revision

DRAINED = 0.3  # seconds; from leaving the endpoints to SIGTERM, far more than Envoy needs to follow
LAST_WORD = 1.0  # seconds; for a process that hangs to answer after all


class LocalRevision:
    """A deployment and its one revision. `changed` hears of everything that a Snapshot or the gateway would tell."""

    def __init__(
        self,
        record: DeploymentRecord,
        around: Surroundings,
        memory: ReadinessMemory,
        idle_window: timedelta,
        changed: Callable[["LocalRevision"], None],
    ) -> None:
        self.record = record
        self.replicas: list[Replica] = []
        self.leaving = False
        self.activator = Activator(self._wake)
        self._around, self._memory, self._idle_window = around, memory, idle_window
        self._tell = changed
        self._asked = monotonic()  # when it was last asked for, or began
        self._lost = False  # it has lost its pods, not sent them to sleep; until it is ready again, whatever it wants
        self._news = asyncio.Event()
        self._departures: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return self.record.version.name

    @property
    def asked_before(self) -> float:
        """Seconds since the last request, or since it began."""
        return monotonic() - self._asked

    def touch(self) -> None:
        """Somebody asks for it."""
        self._asked = monotonic()

    @property
    def wanted(self) -> int:
        if self.leaving:
            return 0
        scaling = self.record.autoscaling
        patience = self._idle_window + scaling.retention
        active = self.asked_before < patience.total_seconds() or self.activator.held > 0 or not self.record.servable
        return min(max(scaling.max_pods, scaling.min_pods), max(scaling.min_pods, int(active)))

    @property
    def staying(self) -> list[Replica]:
        return [replica for replica in self.replicas if not replica.leaving]

    @property
    def ready(self) -> list[Replica]:
        return [replica for replica in self.staying if replica.ready]

    def adjust(self) -> None:
        """Start or end pods until as many stay as are wanted; the ones that are not ready go first."""
        surplus = len(self.staying) - self.wanted
        for _ in range(-surplus):
            self._add()
        for replica in sorted(self.staying, key=lambda each: each.ready)[: max(0, surplus)]:
            self._depart(replica)

    def scale(self, autoscaling: Autoscaling) -> None:
        """Take other knobs; floors hold at once."""
        self.record = self.record.model_copy(update={"autoscaling": autoscaling})
        self.adjust()

    def _add(self) -> None:
        taken = {replica.name for replica in self.replicas}
        name = next(name for n in count(1) if (name := f"{self.name}-{n}") not in taken)
        record = self.record
        folder = Path(record.folder) if Path(record.folder).is_dir() else self._around.folder.path
        self.replicas.append(Replica(name, record.version, record.revision, folder, self._around, self._changed))

    def _depart(self, replica: Replica) -> None:
        replica.leaving = True  # at once: it is not counted, nor sent away, twice
        self._in_background(self._end(replica), f"end-{replica.name}")

    async def _end(self, replica: Replica) -> None:
        await replica.leave(DRAINED)
        self.replicas.remove(replica)  # not if this is cut short: whoever ends the rest ends this one too
        self._changed()

    def free_callers(self) -> None:
        """End the processes that hang: whoever waits in one is answered elsewhere. Only for what has lost its share."""
        for replica in self.staying if self._lost else ():
            if replica.was_ready and not replica.ready:
                self._in_background(replica.start_over(LAST_WORD), f"free-callers-of-{replica.name}")

    def _in_background(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._departures.add(task)
        task.add_done_callback(self._departures.discard)

    async def retire(self) -> None:
        """End every pod, drained."""
        self.leaving = True
        self.adjust()
        while self._departures:
            await asyncio.gather(*self._departures)
        await self.activator.close()

    async def end(self, grace_seconds: float) -> None:
        """End every pod at once, and kill what has not ended after the grace."""
        self.leaving = True
        for task in self._departures:
            task.cancel()
        await asyncio.gather(*(replica.end(grace_seconds) for replica in self.replicas))
        await self.activator.close()

    def _changed(self) -> None:
        if self.ready and not self.record.servable:
            self.record = self.record.model_copy(update={"servable": True})
            self.touch()
        self._news.set()
        self._news = asyncio.Event()
        self._tell(self)

    async def _wake(self) -> int:
        """The port of a ready pod, as soon as there is one."""
        self.touch()
        self.adjust()
        patience = self.record.version.spec.predictor.timeout_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not self.ready:
                    if self.staying and all(replica.hopeless for replica in self.staying):
                        raise AsleepError(self.staying[0].hopeless)
                    await self._news.wait()
        if not self.ready:
            raise AsleepError(f"{self.name} has no ready process after {patience} s; see {self._around.folder.logs}")
        return self.ready[0].port

    @property
    def problem(self) -> Problem | None:
        """Why a pod is missing; as long as another one is ready that is worth waiting for."""
        found = next((replica.problem for replica in self.staying if replica.problem and not replica.ready), None)
        return replace(found, permanent=found.permanent and not self.ready) if found else None

    def readiness(self) -> Readiness:
        """Look once more; the memory must see every change and every half second."""
        seen = self._memory.observe(
            self.record.revision_uid,
            wanted=self.wanted,
            ready_pods=frozenset(replica.name for replica in self.ready),
            were_ready=frozenset(replica.name for replica in self.staying if replica.was_ready),
            now=datetime.now(UTC),
        )
        if self.ready:
            self._lost = False
        elif self.wanted and not seen.starting:
            self._lost = True
        return seen

    def backend(self, nowhere: int) -> Backend:
        """Where its requests go now. `nowhere`: a port that refuses at once."""
        self.readiness()
        version = self.record.version
        serving = tuple(Endpoint(replica.port) for replica in self.ready)
        waiting = (Endpoint(self.activator.port),)
        refused = (Endpoint(nowhere),) if self._lost else waiting
        return Backend(
            namespace=version.namespace,
            revision=self.record.revision,
            version=version.name,
            model=version.model,
            endpoints=serving or waiting,
            relayed=serving or refused,
            timeout=timedelta(seconds=version.spec.predictor.timeout_seconds),
        )

    def seen(self) -> Deployment:
        """What a Snapshot says of it."""
        record, readiness = self.record, self.readiness()
        crashes = [replica.crash for replica in self.replicas if replica.crash]
        since = [crash for crash in crashes if readiness.ready_at is None or crash.at > readiness.ready_at]
        revision = Revision(
            name=record.revision,
            uid=record.revision_uid,
            servable=record.servable,
            wanted=self.wanted,
            autoscaling=record.autoscaling,
            pods=tuple(replica.seen() for replica in self.replicas),
            starting=readiness.starting,
            starting_since=readiness.since if readiness.starting else None,
            ready_at=readiness.ready_at,
            ready_with=readiness.ready_pods,
            crash=max(since, key=lambda crash: crash.at, default=None),
        )
        return Deployment(
            name=self.name,
            uid=record.uid,
            version=record.version.version,
            spec_hash=record.spec_hash,
            owners=frozenset(uid for _, uid in record.owners),
            revision=revision,
            problem=self.problem,
            leaving=self.leaving,
        )
