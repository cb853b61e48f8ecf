"""The Kubernetes engine: KServe runs each version, Knative scales it, and its Route splits the traffic."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from turnout.api.reasons import EventReason
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.evidence.prometheus import Entry
from turnout.platform.evidence import NO_SOURCES, Polls
from turnout.platform.kubernetes import observation
from turnout.platform.kubernetes.calls import Calls
from turnout.platform.kubernetes.feed import Feed
from turnout.platform.kubernetes.names import taken
from turnout.platform.kubernetes.telling import Teller
from turnout.platform.kubernetes.warmups import Warmups
from turnout.platform.kubernetes.writing import Writer
from turnout.rollout.plan import Complaint, Deploy, Event, Own, PollRequest, ProbeRequest, Retire, RouteChange, Scale
from turnout.rollout.snapshot import ModelKey, Snapshot


def utc_now() -> datetime:
    return datetime.now(UTC)


class KubernetesPlatform:
    """Implements `Platform`. Observation costs no request; `feed` must be kept fed by watches and lists.

    `dirty` hears of a model to which something has happened, `answered` of one that waits for what it asked for itself
    (a poll, a warm-up): a hundred models may have asked at once.
    """

    def __init__(
        self,
        calls: Calls,
        dirty: Callable[[ModelKey], None],
        *,
        answered: Callable[[ModelKey], None] | None = None,
        images: Mapping[str, str],
        namespaces: tuple[str, ...] = (),
        gateway: str = "",
        domain: str = "cluster.local",
        sources: Mapping[str, Entry] = NO_SOURCES,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.feed = Feed(calls, dirty, now, namespaces)
        self._writer = Writer(calls, self.feed)
        answered = answered or dirty
        self._warmups = Warmups(answered, gateway)
        self._teller = Teller(calls)
        self._images = images
        self._dirty = dirty
        self._polls = Polls(
            answered, lambda key, revision: observation.targets(self.feed.cache, key, revision), sources
        )
        self._domain = domain
        self._now = now

    def keys(self) -> Iterable[ModelKey]:
        return self.feed.cache.keys()

    async def observe(self, key: ModelKey) -> Snapshot:
        cache, memory, now = self.feed.cache, self.feed.memory, self._now()
        deployed = observation.deployments(cache, memory, key, now)
        names = {deployment.name for deployment in deployed}
        refused = (each for each in self._writer.refused(key) if each.name not in names)
        revisions = {revision.uid for revision in cache.revisions.of(key)}
        return Snapshot(
            key=key,
            now=now,
            versions=cache.versions.of(key),
            unread=tuple(unread.seen for unread in cache.unread_of(key)),
            deployments=(*deployed, *refused),
            route=observation.route(cache, memory, key, self._writer.unwritable(key), now),
            taken=taken(cache, key),
            probes=self._warmups.of(revisions),
            poll=self._polls.last.get(key),
            trouble=self.feed.trouble,
            namespace_url=observation.url_pattern(cache, key),
            version_url=observation.version_url_pattern(key.namespace, self._domain),
            images=self._images,
        )

    async def route(self, key: ModelKey, change: RouteChange) -> None:
        await self._writer.route(key, change)

    async def scale(self, key: ModelKey, scale: Scale) -> None:
        await self._writer.scale(key, scale)

    async def deploy(self, key: ModelKey, deploy: Deploy) -> None:
        await self._writer.deploy(key, deploy)

    async def retire(self, key: ModelKey, retire: Retire) -> None:
        await self._writer.retire(key, retire)

    async def own(self, key: ModelKey, own: Own) -> None:
        await self._writer.own(key, own)

    async def probe(self, key: ModelKey, request: ProbeRequest) -> None:
        address = observation.version_url_pattern(key.namespace, self._domain).format(name=request.version)
        self._warmups.begin(
            key, request, address, lambda: observation.has_address(self.feed.cache, key.namespace, request.version)
        )

    async def poll(self, key: ModelKey, request: PollRequest) -> None:
        self._polls.begin(key, request)

    async def record(self, key: ModelKey, version: ModelVersion, status: Status) -> None:
        await self._writer.record(version, status)

    async def complain(self, key: ModelKey, complaint: Complaint) -> None:
        unread = await self._writer.complain(key, complaint)
        if unread is not None:
            event = Event(unread.name, EventReason.Rejected, complaint.message, warning=True)
            await self._teller.tell(unread, event, self._now())

    async def emit(self, key: ModelKey, event: Event) -> None:
        version = self.feed.cache.versions.get(key.namespace, event.version)
        if version is not None:
            await self._teller.tell(version, event, self._now())

    async def refresh(self) -> None:
        """Full lists of everything: before the watches begin, and each half hour."""
        await self.feed.refresh()
        self._warmups.forget_all_but({item.uid for item in self.feed.cache.revisions.everything()})
        self._polls.forget_all_but(set(self.keys()))

    async def close(self) -> None:
        await self._warmups.close()
        await self._polls.close()
