"""What Turnout needs of a cluster, looked at with the caller's own rights; what may not be read is said, not guessed.

Sources of each demand: docs/install.md, and what was proven on real controllers.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from turnout import __version__
from turnout.cli.findings import Finding, Level
from turnout.platform.kubernetes.client import AbsentError, Cluster, ClusterError, ForbiddenError
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, MODEL

KUBERNETES, KSERVE, KNATIVE = (1, 30), (0, 20), (1, 21)
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEPLOYMENTS = "/apis/apps/v1/deployments"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SERVING = "/api/v1/namespaces/knative-serving/configmaps"
GATEWAYS = {
    "kourier.ingress.networking.knative.dev": ("kourier-system", "3scale-kourier-gateway"),
    "istio.ingress.networking.knative.dev": ("istio-system", "istio-ingressgateway"),
    "contour.ingress.networking.knative.dev": ("contour-external", "contour"),
}
FEATURES = {
    "kubernetes.podspec-persistent-volume-claim": "artifacts from pvc://",
    "kubernetes.podspec-nodeselector": "predictor.nodeSelector",
    "kubernetes.podspec-tolerations": "predictor.tolerations",
}
VERBS = (
    ("list", "look: turnout status, and every other command"),
    ("patch", "ask: turnout promote, abort, pause, resume, retry, rollback"),
    ("promote", "promote and retry, where an admission policy guards the control block"),
    ("abort", "pause and abort, where an admission policy guards the control block"),
    ("create", "apply versions"),
)
INSTALL_CRD = "turnout crd | kubectl apply --server-side -f -"

RELEASE = re.compile(r"v?\d{1,2}\.\d{1,3}(\.\d+)?([-+.][-+.\w]*)?")

Check = Callable[[Cluster, str], Iterator[Finding]]


def cluster_findings(cluster: Cluster, namespace: str) -> Iterator[Finding]:
    """Everything, in the order in which it is needed; without an API server only that."""
    try:
        version = str(cluster.get("/version")["gitVersion"])
    except ClusterError as fault:
        yield Finding(Level.WRONG, f"cluster {cluster.name}", str(fault), "see: kubectl cluster-info")
        return
    yield _at_least(
        "Kubernetes", version, KUBERNETES, "its rules and its admission policy need it: upgrade the cluster"
    )
    for what, check in CHECKS.items():
        try:
            yield from check(cluster, namespace)
        except ForbiddenError as fault:
            yield Finding(Level.UNKNOWN, what, str(fault), "ask somebody who may, or ask for the right")
        except ClusterError as fault:
            yield Finding(Level.UNKNOWN, what, str(fault))


def _crd(cluster: Cluster, _: str) -> Iterator[Finding]:
    from turnout.api.crd import definition

    what = "ModelVersions"
    try:
        found = cluster.get(f"{CRDS}/modelversions.turnout.dev")
    except ForbiddenError:
        yield _served(cluster, what, "/apis/turnout.dev/v1alpha1", INSTALL_CRD)
        return
    except AbsentError:
        yield Finding(Level.WRONG, what, "the cluster does not know them", INSTALL_CRD)
        return
    ours = cast("Any", definition())["spec"]["versions"][0]["schema"]
    live = next((each["schema"] for each in found["spec"]["versions"] if each["name"] == "v1alpha1"), None)
    if live == ours:
        yield Finding(Level.FINE, what, f"installed, as of turnout {__version__}")
    else:
        yield Finding(Level.NOTE, what, f"installed, but not those of turnout {__version__}", INSTALL_CRD)


def _served(cluster: Cluster, what: str, path: str, way_out: str) -> Finding:
    try:
        cluster.get(path)
    except AbsentError:
        return Finding(Level.WRONG, what, "the cluster does not know them", way_out)
    return Finding(Level.FINE, what, "installed")


def _kserve(cluster: Cluster, _: str) -> Iterator[Finding]:
    served = _served(
        cluster, "KServe", "/apis/serving.kserve.io/v1beta1", "install KServe 0.20 or newer, in Knative mode"
    )
    if served.level is Level.WRONG:
        yield served
        return
    deployments = _deployments(cluster, "control-plane=kserve-controller-manager")
    versions = [version for each in deployments if (version := _image_version(each))]
    if not versions:
        way_out = (
            "it must be 0.20 or newer: an older one refuses the first update of an InferenceService in Knative mode"
        )
        yield Finding(Level.UNKNOWN, "KServe", f"installed; {_nameless(deployments)}", way_out)
        return
    yield _at_least("KServe", versions[0], KSERVE, "older ones refuse the first update in Knative mode: upgrade it")


def _deployments(cluster: Cluster, labels: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = cluster.get(DEPLOYMENTS, {"labelSelector": labels})["items"]
    return items


def _images(deployment: Mapping[str, Any]) -> list[str]:
    return [str(each.get("image", "")) for each in deployment["spec"]["template"]["spec"]["containers"]]


def _image_version(deployment: Mapping[str, Any]) -> str:
    """A tag that is a release's: `v0.20.0`, `0.20`, `v0.20.0-rc1`; not a digest, a date, or a builder's own word."""
    tags = (image.rpartition("/")[2].partition("@")[0].partition(":")[2] for image in _images(deployment))
    return next((tag for tag in tags if RELEASE.fullmatch(tag)), "")


def _nameless(deployments: list[dict[str, Any]]) -> str:
    images = [image for each in deployments for image in _images(each)]
    if not images:
        return "its controller's Deployment is not where KServe puts it"
    return f"the image of its controller, {images[0]}, does not tell its version"


def _knative(cluster: Cluster, _: str) -> Iterator[Finding]:
    what = "Knative Serving"
    served = _served(cluster, what, "/apis/serving.knative.dev/v1", "install Knative Serving 1.21 or newer")
    if served.level is Level.WRONG:
        yield served
        return
    labels: dict[str, str] = cluster.get(f"{CRDS}/routes.serving.knative.dev")["metadata"].get("labels", {})
    version = labels.get("app.kubernetes.io/version", "")
    if version:
        yield _at_least(what, version, KNATIVE, "floors change on Revisions in place from 1.21 on: upgrade it")
    else:
        yield Finding(Level.UNKNOWN, what, "installed; its CRDs name no version", "it must be 1.21 or newer")


def _at_least(what: str, version: str, least: tuple[int, int], way_out: str) -> Finding:
    numbers = re.match(r"v?(\d{1,2})\.(\d{1,3})(?!\d)", version)
    needs = ".".join(map(str, least))
    if numbers is None:
        return Finding(Level.UNKNOWN, what, f"{version}, which says little", f"it must be {needs} or newer")
    if (int(numbers[1]), int(numbers[2])) < least:
        return Finding(Level.WRONG, what, f"{version}, needs {needs} or newer", way_out)
    return Finding(Level.FINE, what, version)


def _features(cluster: Cluster, _: str) -> Iterator[Finding]:
    """Knative's switches. An absent entry is Knative's default: disabled."""
    settings = _data(cluster, "config-features")
    for feature, what in FEATURES.items():
        if settings.get(feature, "disabled").lower() == "enabled":
            yield Finding(Level.FINE, what, "allowed")
        else:
            patch = json.dumps({"data": {feature: "enabled"}})
            way_out = f"kubectl patch configmap config-features -n knative-serving --type merge -p '{patch}'"
            yield Finding(Level.NOTE, what, f"refused by Knative: {feature} is not enabled", way_out)


def _network(cluster: Cluster, _: str) -> Iterator[Finding]:
    settings = _data(cluster, "config-network")
    duration = settings.get("rollout-duration", "0").rstrip("s")
    if duration != "0":
        way_out = "remove rollout-duration from config-network: it mixes old and new splits"
        yield Finding(Level.WRONG, "Knative's own gradual rollout", f"on, for {duration} s", way_out)
    ingress = settings.get("ingress-class") or "istio.ingress.networking.knative.dev"
    space, name = GATEWAYS.get(ingress, ("", ""))
    if not name:
        yield Finding(Level.UNKNOWN, "gateway", f"ingress class {ingress}", "make sure that it has two ready pods")
        return
    try:
        found = cluster.get(f"/apis/apps/v1/namespaces/{space}/deployments/{name}")
    except AbsentError:
        yield Finding(Level.UNKNOWN, "gateway", f"{space}/{name} of the ingress class {ingress} is no Deployment here")
        return
    ready = found.get("status", {}).get("readyReplicas", 0)
    few = Level.WRONG if not ready else Level.NOTE if ready == 1 else Level.FINE
    way_out = "" if ready > 1 else f"run two: kubectl scale deployment {name} -n {space} --replicas 2"
    yield Finding(few, "gateway", f"{space}/{name} has {ready} ready pod{'' if ready == 1 else 's'}", way_out)


def _autoscaler(cluster: Cluster, _: str) -> Iterator[Finding]:
    settings = _data(cluster, "config-autoscaler")
    if settings.get("enable-scale-to-zero", "true").lower() == "true":
        yield Finding(Level.FINE, "scale to zero", "on")
    else:
        way_out = "set enable-scale-to-zero to true in config-autoscaler, unless this is meant"
        yield Finding(Level.NOTE, "scale to zero", "off: idle versions keep a pod", way_out)


def _data(cluster: Cluster, name: str) -> dict[str, str]:
    data: dict[str, str] = cluster.get(f"{SERVING}/{name}").get("data") or {}
    return data


def _operator(cluster: Cluster, _: str) -> Iterator[Finding]:
    found = _deployments(cluster, "app.kubernetes.io/name=turnout")
    if not found:
        way_out = "helm install turnout charts/turnout --namespace turnout-system --create-namespace"
        yield Finding(Level.WRONG, "operator", "no Deployment of it is here", way_out)
    for each in found:
        place = f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        ready = each.get("status", {}).get("readyReplicas", 0)
        version = each["metadata"].get("labels", {}).get("app.kubernetes.io/version", "unknown")
        if not ready:
            way_out = f"kubectl logs -n {each['metadata']['namespace']} deployment/{each['metadata']['name']}"
            yield Finding(Level.WRONG, "operator", f"{place} has no ready pod", way_out)
        elif version != __version__:
            yield Finding(Level.NOTE, "operator", f"{place} is of {version}, this command of {__version__}")
        else:
            yield Finding(Level.FINE, "operator", f"{place} {version}, {ready} ready")


def _rights(cluster: Cluster, namespace: str) -> Iterator[Finding]:
    """Your own, in this namespace; the verbs of Turnout are asked for like any other."""
    place = f"in {namespace}" if namespace else "in all namespaces"
    for verb, purpose in VERBS:
        wish = {"verb": verb, "group": "turnout.dev", "resource": "modelversions", "namespace": namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wish},
        }
        allowed = bool(cluster.ask(REVIEWS, body).get("status", {}).get("allowed"))
        way_out = "" if allowed else f"ask for the verb {verb} on modelversions.turnout.dev; it is needed to {purpose}"
        fact = f"you may {verb} ModelVersions {place}" if allowed else f"you may not {verb} ModelVersions {place}"
        yield Finding(Level.FINE if allowed else Level.NOTE, "rights", fact, way_out)


def _foreign(cluster: Cluster, namespace: str) -> Iterator[Finding]:
    """What others do to InferenceServices, as far as it would be a surprise beside Turnout."""
    for each in cluster.list_all(INFERENCE_SERVICES, namespace):
        metadata = each["metadata"]
        ours = MODEL in metadata.get("labels", {})
        name = f"InferenceService {metadata['namespace']}/{metadata['name']}"
        percent = each.get("spec", {}).get("predictor", {}).get("canaryTrafficPercent")
        if not ours and percent is not None:
            way_out = "docs/why-not-canary-traffic-percent.md says what it can do; Turnout leaves it alone"
            yield Finding(Level.NOTE, name, f"has canaryTrafficPercent {percent} and is not Turnout's", way_out)
        marks = {**metadata.get("labels", {}), **metadata.get("annotations", {})}
        tool = next(
            (mark for mark in marks if mark.startswith(("argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/"))), ""
        )
        if ours and tool:
            way_out = "keep it off what Turnout makes: each mark mints a further revision"
            yield Finding(Level.NOTE, name, f"is Turnout's and is marked by {tool}", way_out)


CHECKS: Mapping[str, Check] = {
    "ModelVersions": _crd,
    "KServe": _kserve,
    "Knative Serving": _knative,
    "Knative's features": _features,
    "Knative's network": _network,
    "Knative's autoscaler": _autoscaler,
    "operator": _operator,
    "rights": _rights,
    "InferenceServices": _foreign,
}
