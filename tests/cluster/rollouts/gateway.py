"""What callers meet at the gateway: later than a Route's status says it, and sometimes never.

Knative writes `status.traffic` before the gateway hears of it. A Route that is deleted and made again finds the Ingress
of the one before under its name, Ready as it ever was, which the garbage collector then takes away. So a split holds
once the Route is seen and Ready, and the Ingress is its own, stays, and is seen and Ready as it is: Kourier says that
of an Ingress when every pod of the gateway has answered with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness import Cluster

ROUTES, INGRESSES = "routes.serving.knative.dev", "ingresses.networking.internal.knative.dev"
GATEWAYS = ("kourier-system", "app=3scale-kourier-gateway")
PORT, INTERNAL_PORT = 8080, 8081  # of a gateway's pod


def split(cluster: Cluster, namespace: str, name: str) -> dict[str, int]:
    """Percent by Revision, as the gateway gives it to a Route's callers; empty while that is on its way."""
    kinds = (f"{ROUTES}/{name}", f"{INGRESSES}/{name}")  # in this order: an Ingress read later is no older
    text = cluster.kubectl("-n", namespace, "get", *kinds, "--ignore-not-found", "-o", "json")
    found = {item["kind"]: item for item in json.loads(text or "{}").get("items", ())}
    route, ingress = found.get("Route"), found.get("Ingress")
    if not route or not ingress or not (_is_done(route) and _is_done(ingress) and _is_owned(ingress, route)):
        return {}
    path = ingress["spec"]["rules"][0]["http"]["paths"][0]  # each rule, inside and outside, has the same one
    return {target["serviceName"]: target["percent"] for target in path["splits"]}


def addresses(cluster: Cluster, port: int = PORT) -> list[str]:
    """Of every pod of the gateway, so that each can be asked; its Service asks any. None while one has no address."""
    namespace, selector = GATEWAYS
    pods = cluster.get("-n", namespace, "pods", "-l", selector)["items"]
    found = [pod["status"].get("podIP", "") for pod in pods]
    return [f"http://{address}:{port}" for address in found] if all(found) else []


def _is_done(found: Mapping[str, Any]) -> bool:
    """Its controller has seen it as it is, says Ready of that, and nobody deletes it."""
    metadata, status = found["metadata"], found.get("status", {})
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
    seen = metadata["generation"] == status.get("observedGeneration")
    return seen and ready and "deletionTimestamp" not in metadata


def _is_owned(ingress: Mapping[str, Any], route: Mapping[str, Any]) -> bool:
    owners = ingress["metadata"].get("ownerReferences", ())
    return any(owner["uid"] == route["metadata"]["uid"] for owner in owners)
