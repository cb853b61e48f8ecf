"""The releases of Knative Serving, Kourier and KServe, read from their own manifests and fitted to this machine.

What is changed (`adapt`, `SETTINGS`) is what one small machine without a registry and without cert-manager needs, and
nothing that changes how they behave towards Turnout, but one: the grace before zero is 6 s, not 30 s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from harness.binaries import manifests
from harness.images import REGISTRY
from harness.layout import GATEWAY_ADDRESS, INTERNAL_GATEWAY_ADDRESS, Layout
from harness.shell import step
from harness.versions import components

Document: TypeAlias = dict[str, Any]  # raw Kubernetes objects of others: no type of ours would hold them

GATEWAY_PODS = 2  # with one, its restart is an outage (kept connections answer 404)

KSERVE_INGRESS = {
    "ingressGateway": "knative-serving/knative-ingress-gateway",
    "localGateway": "knative-serving/knative-local-gateway",
    "localGatewayService": "kourier-internal.kourier-system.svc.cluster.local",
    "ingressDomain": "example.com",
    "ingressClassName": "kourier",
    "domainTemplate": "{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}",
    "urlScheme": "http",
    "disableIstioVirtualHost": True,
    "disableIngressCreation": True,
}

# ConfigMap -> keys that differ from the release
SETTINGS = {
    "config-network": {"ingress-class": "kourier.ingress.networking.knative.dev"},
    "config-deployment": {"registries-skipping-tag-resolving": REGISTRY},
    "config-domain": {"example.com": ""},
    "config-observability": {"request-metrics-protocol": "prometheus"},
    "config-autoscaler": {"scale-to-zero-grace-period": "6s", "stable-window": "20s"},  # waited for by many a test
    "config-features": {
        "kubernetes.podspec-persistent-volume-claim": "enabled",
        "kubernetes.podspec-persistent-volume-write": "enabled",
    },
    "inferenceservice-config": {"ingress": json.dumps(KSERVE_INGRESS)},
}

# KServe's parts for other purposes: left out, they only cost time and memory.
_FOREIGN = ("llm", "localmodel", "inferencepool", "inferenceobjective", "inferencemodelrewrite", "rbac-proxy")
_LEFT_OUT_KINDS = ("HorizontalPodAutoscaler", "PodDisruptionBudget", "Image", "Certificate", "Issuer")
_WEBHOOK_KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


@dataclass(frozen=True, slots=True)
class Release:
    """All that is applied, in three parts, one after the other."""

    definitions: list[Document]
    objects: list[Document]
    late: list[Document]
    """KServe's webhooks and what they judge: they refuse everything until their controller runs."""


def read(layout: Layout) -> Release:
    """The manifests of all three projects, adapted. Takes seconds of CPU and no cluster."""
    with step("manifests read"):
        adapted = [changed for one in [*_knative(layout), *_kserve(layout)] if (changed := adapt(one))]
    definitions = [one for one in adapted if one["kind"] in ("Namespace", "CustomResourceDefinition")]
    late = [one for one in adapted if _is_late(one)]
    early = [id(one) for one in [*definitions, *late]]
    return Release(definitions, [one for one in adapted if id(one) not in early], late)


def _is_late(document: Document) -> bool:
    of_kserve = document["metadata"]["name"].endswith("kserve.io")
    return document["kind"] == "ClusterStorageContainer" or (document["kind"] in _WEBHOOK_KINDS and of_kserve)


def adapt(document: Document) -> Document | None:
    """An object of a release as this machine runs it; None if it is left out.

    Images are ours, nothing asks for cpu or memory, probes do not dawdle, the gateway has a fixed address.
    """
    if document["kind"] in _LEFT_OUT_KINDS:
        return None
    if document["kind"] == "Deployment":
        return _adapt_deployment(document)
    name = document["metadata"]["name"]
    if document["kind"] == "Service" and name in ("kourier", "kourier-internal"):
        address = GATEWAY_ADDRESS if name == "kourier" else INTERNAL_GATEWAY_ADDRESS
        return {**document, "spec": {**document["spec"], "type": "ClusterIP", "clusterIP": address}}
    if document["kind"] == "ConfigMap":
        data = {key: re.sub(r"ko://\S+", lambda found: image(found[0]), value) for key, value in _data(document)}
        return {**document, "data": {**data, **SETTINGS.get(name, {})}}
    return document


def _data(document: Document) -> Iterable[tuple[str, str]]:
    return (document.get("data") or {}).items()


def _adapt_deployment(document: Document) -> Document:
    spec = document["spec"]["template"]["spec"]
    containers = [_adapt_container(one) for one in spec["containers"] if "rbac-proxy" not in one["name"]]
    pod = {**spec, "containers": containers, "securityContext": _unconfined(spec.get("securityContext"))}
    template = {**document["spec"]["template"], "spec": pod}
    replicas = GATEWAY_PODS if document["metadata"]["name"] == "3scale-kourier-gateway" else 1
    return {**document, "spec": {**document["spec"], "replicas": replicas, "template": template}}


def _adapt_container(container: Document) -> Document:
    kept = {key: value for key, value in container.items() if key not in ("resources", "lifecycle")}
    kept["image"], kept["imagePullPolicy"] = image(container["image"]), "IfNotPresent"
    kept["securityContext"] = _unconfined(container.get("securityContext"))
    for probe, delay, period in (("livenessProbe", 15, 10), ("readinessProbe", 1, 1)):
        if probe in kept:
            kept[probe] = {**kept[probe], "initialDelaySeconds": delay, "periodSeconds": period}
    return kept


def _unconfined(context: Document | None) -> Document:
    """Without a seccomp profile: a sandboxed kernel may have none."""
    return {key: value for key, value in (context or {}).items() if key != "seccompProfile"}


def image(reference: str) -> str:
    """Our image for a release's: `ko://knative.dev/serving/cmd/queue` → `dev.local/queue:1`."""
    name = re.split(r"[:@]", reference.rsplit("/", 1)[-1])[0]
    return f"{REGISTRY}/{'manager' if name.startswith('kserve-controller') else name}:1"


def _read(paths: Iterable[Path]) -> list[Document]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast on KServe's two megabytes
    return [one for path in sorted(paths) for one in yaml.load_all(path.read_text(), loader) if one]


def _knative(layout: Layout) -> list[Document]:
    core = manifests(layout, "serving") / "config" / "core"
    folders = ("200-roles", "300-resources", "configmaps", "deployments", "webhooks")
    files = [core / "100-namespace.yaml", core / "200-serviceaccount.yaml"]
    files += [file for folder in folders for file in (core / folder).glob("*.yaml")]
    files += [file for module in ("networking", "caching") for file in _config(layout, f"knative.dev/{module}")]
    return _read(files) + _read((manifests(layout, "kourier") / "config").glob("*.yaml"))


def _config(layout: Layout, module: str) -> Iterable[Path]:
    return (manifests(layout, "serving", module) / "config").glob("*.yaml")


def _kserve(layout: Layout) -> list[Document]:
    version = next(one.version for one in components() if one.name == "kserve")
    documents = _read([manifests(layout, "kserve") / "install" / f"v{version}" / "kserve.yaml"])
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kserve"}}
    own = [one for one in documents if not any(word in one["metadata"]["name"].lower() for word in _FOREIGN)]
    return [namespace, *(one for one in own if one["kind"] != "Namespace")]
