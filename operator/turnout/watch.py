"""Every kopf handler. They put what they see into the engine's cache and mark keys; they decide and write nothing.

Only `on.event`: kopf's other handlers keep their bookkeeping on the objects, which on an InferenceService would mint
a revision, and add finalizers, which would block deletions once the operator is gone.
"""

import asyncio
import signal
import ssl
from collections.abc import Collection
from dataclasses import fields

import kopf

from turnout.platform.kubernetes.connection import in_cluster
from turnout.platform.kubernetes.feed import Feed
from turnout.platform.kubernetes.resources import WATCHED, Resource


def register(
    registry: kopf.OperatorRegistry, feed: Feed, stop: asyncio.Event, missing: Collection[Resource] = ()
) -> None:
    """All handlers, for the kinds that the cluster serves."""

    async def end(**_: object) -> None:
        stop.set()

    kopf.on.startup(registry=registry)(configure)
    kopf.on.login(registry=registry)(login)
    kopf.on.cleanup(registry=registry, id="end")(end)
    for resource in WATCHED:
        if resource not in missing:
            _watch(registry, feed, resource)


def _watch(registry: kopf.OperatorRegistry, feed: Feed, resource: Resource) -> None:
    async def seen(event: kopf.RawEvent, **_: object) -> None:
        feed.observe(resource, event["type"], dict(event["object"]))

    kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=str(resource))(seen)


async def configure(settings: kopf.OperatorSettings, **_: object) -> None:
    """Everything that we want otherwise than kopf does, with its reason."""
    settings.watching.server_timeout = 300  # the server's own choice may be an hour
    settings.watching.client_timeout = 310  # a half-dead watch ends with the request
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 500  # paged lists: neither side holds all at once
    settings.watching.reconnect_backoff = 0.1  # nobody drops a dead canary while no watch runs
    for resource in WATCHED:
        if resource.selector:  # filtered at the server: foreign pods never reach this process
            settings.watching.label_selectors[resource.group, resource.version, resource.plural] = resource.selector
    settings.networking.request_timeout = 15  # the default is five minutes
    settings.networking.error_backoffs = (0.2, 0.5, 1, 2)  # likewise
    settings.posting.enabled = False  # we write our own Events, with our reasons
    settings.scanning.disabled = True  # no rights on CRDs and namespaces; new kinds are found by our own lists
    settings.peering.standalone = True  # two kopf peers would pause each other
    settings.persistence.finalizer = "turnout.dev/unused"  # defence: no handler of ours sets one
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="turnout.dev")  # likewise
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="turnout.dev")  # likewise
    settings.queueing.worker_limit = None  # a limit below the number of objects deadlocks at the start
    settings.queueing.idle_timeout = 1  # one task for each object that changes: let them go soon
    settings.process.ultimate_exiting_timeout = 60  # the default is ten minutes, then a SIGKILL to itself


async def login(settings: kopf.OperatorSettings, **_: object) -> kopf.ConnectionInfo | None:
    """The pod's own account inside of a cluster, else the kubeconfig; never a client library's guess."""
    found = kopf.login_with_service_account if in_cluster() else kopf.login_with_kubeconfig
    info = found(settings=settings)
    return Connection(**{field.name: getattr(info, field.name) for field in fields(info)}) if info else None


class Connection(kopf.ConnectionInfo):  # type: ignore[misc]
    """Takes an authority whose certificate names no key usage: many clusters have one, and Python 3.13 refuses it."""

    def as_ssl_context(self) -> ssl.SSLContext:
        context: ssl.SSLContext = super().as_ssl_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


async def watch(feed: Feed, namespaces: tuple[str, ...], stop: asyncio.Event) -> None:
    """Feed until `stop` is set or the process is told to end; kopf listens to the signals itself.

    It sets `stop`, too, when it begins to end: then it waits for every task that was begun while it ran.
    """
    registry = kopf.OperatorRegistry()
    register(registry, feed, stop, feed.missing)
    try:
        await kopf.operator(
            registry=registry,
            stop_flag=stop,
            clusterwide=not namespaces,
            namespaces=namespaces,
            memo=kopf.Memo(),
        )
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # kopf leaves its handlers behind, and they do nothing more
            asyncio.get_running_loop().remove_signal_handler(number)
