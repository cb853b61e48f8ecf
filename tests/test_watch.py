"""The only place that knows kopf: that it registers nothing but raw events, and filters at the server."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any, cast

import kopf
import pytest

from turnout import watch
from turnout.platform.kubernetes.feed import Feed
from turnout.platform.kubernetes.resources import PODS, ROUTES, VERSIONS, WATCHED, Resource


class Seen:
    """Stands where the feed does."""

    def __init__(self) -> None:
        self.events: list[tuple[Resource, str | None, dict[str, Any]]] = []

    def observe(self, resource: Resource, event: str | None, raw: dict[str, Any]) -> None:
        self.events.append((resource, event, raw))


def a_registry(missing: tuple[Resource, ...] = ()) -> tuple[kopf.OperatorRegistry, Seen]:
    registry, seen = kopf.OperatorRegistry(), Seen()
    watch.register(registry, cast("Feed", seen), asyncio.Event(), missing)
    return registry, seen


def handlers(registry: kopf.OperatorRegistry) -> Iterator[Any]:
    yield from registry._watching._handlers


def test_only_raw_events_are_handled_since_all_else_writes_on_the_object() -> None:
    registry, _ = a_registry()
    assert len(list(handlers(registry))) == len(WATCHED)
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert not others._handlers
    assert {handler.id for handler in registry._activities._handlers} == {"configure", "login", "end"}


def test_kinds_that_the_cluster_does_not_serve_are_not_watched() -> None:
    registry, _ = a_registry(missing=(ROUTES,))
    assert "routes.serving.knative.dev" not in {handler.id for handler in handlers(registry)}


async def test_an_event_goes_to_the_feed_as_it_is() -> None:
    registry, seen = a_registry()
    handler = next(each for each in handlers(registry) if each.id == str(VERSIONS))
    assert inspect.iscoroutinefunction(handler.fn)
    result = await handler.fn(event={"type": None, "object": {"kind": "ModelVersion"}}, memo=None)
    assert result is None  # a result would be written into the object's status
    assert seen.events == [(VERSIONS, None, {"kind": "ModelVersion"})]


async def test_what_is_set_otherwise_than_kopf_does() -> None:
    settings = kopf.OperatorSettings()
    await watch.configure(settings)
    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.queueing.worker_limit is None
    assert (settings.watching.server_timeout, settings.watching.client_timeout) == (300, 310)
    selectors = settings.watching.label_selectors
    assert list(selectors.values()).count(PODS.selector) == 3  # pods, revisions, autoscalers
    assert len(selectors) == sum(bool(resource.selector) for resource in WATCHED)


async def test_a_kubeconfig_is_used_outside_of_a_cluster(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    config = tmp_path_factory.mktemp("kube") / "config"
    config.write_text(
        "{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],"
        " clusters: [{name: c, cluster: {server: 'https://example.com'}}], users: [{name: u, user: {token: t}}]}"
    )
    monkeypatch.setenv("KUBECONFIG", str(config))
    found = await watch.login(settings=kopf.OperatorSettings())
    assert found is not None
    assert found.server == "https://example.com"


async def test_watching_ends_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    async def operator(**arguments: Any) -> None:
        asked.update(arguments)
        await arguments["stop_flag"].wait()

    class Lists:
        missing = frozenset({ROUTES})

    monkeypatch.setattr(kopf, "operator", operator)
    stop = asyncio.Event()
    running = asyncio.create_task(watch.watch(cast("Feed", Lists()), ("support",), stop))
    await asyncio.sleep(0)
    end = next(each for each in asked["registry"]._activities._handlers if each.id == "end")
    await end.fn()  # kopf's own word that it begins to end
    await running
    assert (asked["clusterwide"], asked["namespaces"]) == (False, ("support",))
    assert len(list(handlers(asked["registry"]))) == len(WATCHED) - 1
