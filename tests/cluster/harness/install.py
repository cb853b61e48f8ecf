"""Knative Serving, Kourier and KServe: put on a cluster that is starting, and asked whether they are well."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable

from harness.errors import CommandError, HarnessError
from harness.images import REGISTRY
from harness.layout import Layout
from harness.node import kubectl
from harness.releases import Document, Release
from harness.shell import step, until

NAMESPACES = {"knative-serving", "kourier-system", "kserve"}


def define(layout: Layout, release: Release) -> None:
    """Namespaces and definitions: all that can be written before there is a node."""
    with step("namespaces and definitions applied"):
        apply(layout, release.definitions)
        _create_webhook_secret(layout)
    until("definitions established", lambda: are_established(layout))


def install(layout: Layout, release: Release) -> None:
    """Everything else, started together; ends when InferenceServices and Routes can be written."""
    with step("Knative, Kourier and KServe applied"):
        apply(layout, release.objects)
    until("all deployments available", lambda: deployments_available(layout), 240)
    authority = base64.b64encode((layout.pki / "ca.crt").read_bytes()).decode()
    apply(layout, [with_authority(one, authority) for one in release.late])
    until("webhooks answer", lambda: webhooks_answer(layout))


def are_established(layout: Layout) -> bool:
    """Whether every definition is served; kubectl itself fails on one that has no condition yet."""
    try:
        kubectl(layout, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    except CommandError:
        return False
    return True


def with_authority(document: Document, authority: str) -> Document:
    """A webhook configuration that trusts our certificate authority instead of cert-manager's."""
    if "webhooks" not in document:
        return document
    hooks = [{**hook, "clientConfig": {**hook["clientConfig"], "caBundle": authority}} for hook in document["webhooks"]]
    return {**document, "webhooks": hooks}


def _create_webhook_secret(layout: Layout) -> None:
    certificate, key = layout.pki / "kserve-webhook.crt", layout.pki / "kserve-webhook.key"
    data = {"tls.crt": certificate.read_bytes(), "tls.key": key.read_bytes()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "kserve-webhook-server-cert", "namespace": "kserve"},
        "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
    }
    apply(layout, [secret])


def apply(layout: Layout, documents: Iterable[Document], seconds: float = 60) -> None:
    """Server-side apply, repeated while webhooks that would have a say are still starting."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})
    deadline = time.monotonic() + seconds
    while True:
        try:
            kubectl(layout, "apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-", stdin=text)
            return
        except CommandError as fault:
            if time.monotonic() > deadline:
                raise HarnessError(f"the install cannot go on: {fault}") from None
            time.sleep(0.5)


def deployments_available(layout: Layout) -> bool:
    """Whether Knative, Kourier and KServe have all the pods they want."""
    return all_available(json.loads(kubectl(layout, "get", "deployments", "-A", "-o", "json"))["items"])


def all_available(deployments: list[Document]) -> bool:
    """Looks at the cluster's own namespaces: a broken model is what tests are about, no broken cluster."""
    own = [one for one in deployments if one["metadata"]["namespace"] in NAMESPACES]
    return {one["metadata"]["namespace"] for one in own} == NAMESPACES and all(
        one.get("status", {}).get("availableReplicas", 0) >= one["spec"].get("replicas", 1) for one in own
    )


def webhooks_answer(layout: Layout) -> bool:
    """Whether an InferenceService and a Route would be admitted now (asked without creating any)."""
    container = {"name": "kserve-container", "image": f"{REGISTRY}/pause:1"}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": {"predictor": {"containers": [container]}},
    }
    route = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Route",
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": {"traffic": [{"revisionName": "probe-00001", "percent": 100}]},
    }
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [service, route]})
    try:
        kubectl(layout, "create", "--dry-run=server", "-f", "-", stdin=text)
    except CommandError:
        return False
    return True
