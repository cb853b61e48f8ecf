"""What is looked at before the first model: each fact, each way out, and what may not be read is said, not guessed."""

import json
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.cli.apiserver import ApiServer
from turnout import __version__
from turnout.api.crd import definition
from turnout.cli import cluster_checks as checks
from turnout.cli.cluster_checks import _image_version

VERBS = ("list", "patch", "promote", "abort", "create")
NEEDED = (checks.KUBERNETES, checks.KSERVE, checks.KNATIVE)
Turnout = Callable[..., tuple[int, str, str]]
Raw = dict[str, Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CONFIG = "/api/v1/namespaces/knative-serving/configmaps"
GATEWAY = "/apis/apps/v1/namespaces/kourier-system/deployments/3scale-kourier-gateway"
VERSION_LABEL = "app.kubernetes.io/version"
CONTROLLER, OURS = "control-plane=kserve-controller-manager", "app.kubernetes.io/name=turnout"
KSERVE = {"spec": {"template": {"spec": {"containers": [{"image": "example.com/kserve-controller:v0.20.0"}]}}}}
OPERATOR = {
    "metadata": {
        "namespace": "turnout-system",
        "name": "turnout",
        "labels": {"app.kubernetes.io/version": __version__},
    },
    "status": {"readyReplicas": 2},
}


class Whole(ApiServer):
    """A cluster that has all of it, as far as it is not told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.deployments = {
            "control-plane=kserve-controller-manager": [KSERVE],
            "app.kubernetes.io/name=turnout": [OPERATOR],
        }
        self.services: list[Raw] = []
        self.denied: set[str] = set()
        features = (f"kubernetes.podspec-{each}" for each in ("persistent-volume-claim", "nodeselector", "tolerations"))
        self.answers = {
            "/version": (200, {"gitVersion": "v1.34.4"}),
            f"{CRDS}/modelversions.turnout.dev": (200, json.loads(json.dumps(definition()))),
            "/apis/serving.kserve.io/v1beta1": (200, {}),
            "/apis/serving.knative.dev/v1": (200, {}),
            "/apis/turnout.dev/v1alpha1": (200, {}),
            f"{CRDS}/routes.serving.knative.dev": (
                200,
                {"metadata": {"labels": {"app.kubernetes.io/version": "1.21.1"}}},
            ),
            f"{CONFIG}/config-features": (
                200,
                {"data": dict.fromkeys(features, "enabled")},
            ),
            f"{CONFIG}/config-network": (200, {"data": {"ingress-class": "kourier.ingress.networking.knative.dev"}}),
            f"{CONFIG}/config-autoscaler": (200, {}),
            GATEWAY: (200, {"status": {"readyReplicas": 2}}),
        }
        self.on_post = lambda path, body: {
            "status": {"allowed": body["spec"]["resourceAttributes"]["verb"] not in self.denied}
        }

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Raw]:
        if path == "/apis/apps/v1/deployments":
            return 200, {"items": self.deployments[query["labelSelector"][0]]}
        if path.endswith("/inferenceservices"):
            return 200, {"items": self.services}
        return super().get(path, query)


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    from tests.cli.apiserver import serving

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with serving(Whole(), tmp_path) as server:
        assert isinstance(server, Whole)
        yield server


@pytest.fixture(autouse=True)
def _found_by_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def look(turnout: Turnout, tmp_path: Path, *arguments: str) -> tuple[int, str]:
    code, out, err = turnout("preflight", "--kubeconfig", str(tmp_path / "kubeconfig"), *arguments)
    assert err == ""
    return code, out


def test_a_cluster_that_has_all_of_it(turnout: Turnout, whole: Whole, tmp_path: Path) -> None:
    code, out = look(turnout, tmp_path)
    assert code == 0
    assert out.splitlines() == [
        "● Kubernetes: v1.34.4",
        f"● ModelVersions: installed, as of turnout {__version__}",
        "● KServe: v0.20.0",
        "● Knative Serving: 1.21.1",
        "● artifacts from pvc://: allowed",
        "● predictor.nodeSelector: allowed",
        "● predictor.tolerations: allowed",
        "● gateway: kourier-system/3scale-kourier-gateway has 2 ready pods",
        "● scale to zero: on",
        f"● operator: turnout-system/turnout {__version__}, 2 ready",
        *(
            f"● rights: you may {verb} ModelVersions in support"
            for verb in ("list", "patch", "promote", "abort", "create")
        ),
    ]


OTHER = {"name": "v1alpha1", "schema": {}}
Change = Callable[[Whole], object]


def answer(path: str, code: int, body: Raw | None = None) -> Change:
    return lambda server: server.answers.update({path: (code, body or {})})


def deployments(labels: str, *found: Raw) -> Change:
    return lambda server: server.deployments.update({labels: list(found)})


def service(name: str, labels: Raw, **spec: Any) -> Change:
    metadata = {"namespace": "support", "name": name, "labels": labels}
    return lambda server: server.services.append({"metadata": metadata, "spec": {"predictor": spec}})


OLD_KSERVE = {"spec": {"template": {"spec": {"containers": [{"image": "kserve-controller:v0.19.0"}]}}}}
NAMELESS = {"spec": {"template": {"spec": {"containers": [{"image": "kserve-controller@sha256:ab"}]}}}}
DOWN = {**OPERATOR, "status": {}}
NEWER: Raw = {
    **OPERATOR,
    "metadata": {"namespace": "turnout-system", "name": "turnout", "labels": {VERSION_LABEL: "9.9"}},
}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (answer("/version", 200, {"gitVersion": "v1.29.9"}), 1, "✗ Kubernetes: v1.29.9, needs 1.30 or newer"),
        (
            answer(f"{CRDS}/modelversions.turnout.dev", 404),
            1,
            "✗ ModelVersions: the cluster does not know them\n    turnout",
        ),
        (
            answer(
                f"{CRDS}/modelversions.turnout.dev", 200, {"spec": {"versions": [{"name": "v1alpha1", "schema": {}}]}}
            ),
            0,
            "‖ ModelVersions: installed, but not those of turnout",
        ),
        (answer(f"{CRDS}/modelversions.turnout.dev", 403), 0, "● ModelVersions: installed\n"),
        (
            answer("/apis/serving.kserve.io/v1beta1", 404),
            1,
            "✗ KServe: the cluster does not know them\n    install",
        ),
        (
            deployments(CONTROLLER, OLD_KSERVE),
            1,
            "✗ KServe: v0.19.0, needs 0.20 or newer",
        ),
        (
            deployments(CONTROLLER, NAMELESS),
            0,
            "? KServe: installed; the image of its controller, kserve-controller@sha256:ab, does not tell its version",
        ),
        (answer("/apis/serving.knative.dev/v1", 404), 1, "✗ Knative Serving: the cluster does not know them"),
        (
            answer(
                f"{CRDS}/routes.serving.knative.dev",
                200,
                {"metadata": {"labels": {VERSION_LABEL: "1.20"}}},
            ),
            1,
            "✗ Knative Serving: 1.20, needs 1.21 or newer",
        ),
        (answer(f"{CONFIG}/config-features", 200, {}), 0, "‖ artifacts from pvc://: refused by Knative"),
        (
            answer(f"{CONFIG}/config-features", 403, {"message": "no"}),
            0,
            "? Knative's features: cluster north does not let you get",
        ),
        (answer(f"{CONFIG}/config-network", 200, {"data": {"rollout-duration": "60s"}}), 1, "✗ Knative's own gradual"),
        (
            answer(f"{CONFIG}/config-network", 200, {"data": {"ingress-class": "own"}}),
            0,
            "? gateway: ingress class",
        ),
        (answer(GATEWAY, 404), 0, "? gateway: kourier-system/3scale-kourier-gateway of the ingress class"),
        (answer(GATEWAY, 200, {"status": {"readyReplicas": 1}}), 0, "has 1 ready pod\n    run two: kubectl scale"),
        (answer(GATEWAY, 200, {}), 1, "✗ gateway: kourier-system/3scale-kourier-gateway has 0 ready pods"),
        (
            answer(f"{CONFIG}/config-autoscaler", 200, {"data": {"enable-scale-to-zero": "false"}}),
            0,
            "‖ scale to zero: off",
        ),
        (deployments(OURS), 1, "✗ operator: no Deployment of it is here\n    helm install"),
        (deployments(OURS, DOWN), 1, "✗ operator: turnout-system/turnout has no ready pod"),
        (deployments(OURS, NEWER), 0, "‖ operator: turnout-system/turnout is of 9.9, this"),
        (
            lambda server: server.denied.add("abort"),
            0,
            "‖ rights: you may not abort ModelVersions in support\n",
        ),
        (
            service("old", {}, canaryTrafficPercent=10),
            0,
            "support/old: has canaryTrafficPercent 10 and is not",
        ),
        (
            service(
                "digits-1", {"turnout.dev/model": "digits", "argocd.argoproj.io/instance": "x"}, canaryTrafficPercent=0
            ),
            0,
            "‖ InferenceService support/digits-1: is Turnout's and is marked by argocd.argoproj.io/instance",
        ),
        (answer("/version", 500), 1, "✗ cluster north: cluster north answered 500"),
    ],
)
def test_what_is_not_right_is_said_with_the_way_out(
    turnout: Turnout, whole: Whole, tmp_path: Path, change: Change, code: int, words: str
) -> None:
    change(whole)
    found, out = look(turnout, tmp_path)
    assert words in out
    assert found == code


def test_it_demands_what_the_chart_and_the_install_page_demand() -> None:
    """The chart has helm refuse an older Kubernetes; the page's first table is for whoever looks by hand."""
    root = Path(__file__).parent.parent.parent
    chart = yaml.safe_load((root / "charts" / "turnout" / "Chart.yaml").read_text())
    kubernetes, kserve, knative = (".".join(map(str, least)) for least in NEEDED)
    assert chart["kubeVersion"] == f">={kubernetes}.0-0"
    page = (root / "docs" / "install.md").read_text()
    for demand in (f"| Kubernetes ≥ {kubernetes} |", f"| KServe ≥ {kserve} |", f"| Knative Serving ≥ {knative} |"):
        assert demand in page


def test_it_changes_nothing_and_asks_for_reviews_only(turnout: Turnout, whole: Whole, tmp_path: Path) -> None:
    look(turnout, tmp_path, "-A")
    posts = {path for verb, path in whole.seen if verb != "GET"}
    assert posts == {"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}


# a machine


def machine(turnout: Turnout, *arguments: str) -> tuple[int, str]:
    code, out, _ = turnout("preflight", "--machine", *arguments)
    return code, out


def test_this_machine_has_what_turnout_up_needs(turnout: Turnout) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        taken = machine(turnout, f"--port={port}")[1]
    code, out = machine(turnout, f"--port={port}")
    assert code == 0
    for words in (
        "● Python: 3.",
        "● the local engine: installed",
        "● Envoy: 1.",
        f"● port {port}: free",
        "can be written",
    ):
        assert words in out
    assert f"‖ port {port}: Address already in use" in taken


def test_without_a_kubeconfig_the_machine_is_meant(turnout: Turnout) -> None:
    assert "Python: 3." in turnout("preflight", "--ascii")[1]


@pytest.mark.parametrize(
    ("target", "value", "words"),
    [
        (
            "turnout.cli.machine_checks.find_spec",
            lambda name: None,
            "✗ the local engine: not installed: aiohttp",
        ),
        ("turnout.cli.machine_checks.PYTHON", ((3, 0), (3, 1)), "use Python 3.11, 3.12 or 3.13"),
        ("turnout.platform.local.envoy.find_envoy", lambda: None, "✗ Envoy: its package has no binary"),
        (
            "turnout.platform.local.envoy.find_envoy",
            lambda: Path("/nowhere/envoy"),
            "✗ Envoy: /nowhere/envoy does not",
        ),
        ("turnout.platform.local.envoy.find_envoy", lambda: Path(sys.executable), "● Envoy: 3."),
        ("shutil.disk_usage", lambda path: SimpleNamespace(free=5 << 20), "only 5 MiB are free\n    make room"),
    ],
)
def test_a_machine_that_lacks_something(
    turnout: Turnout, monkeypatch: pytest.MonkeyPatch, target: str, value: object, words: str
) -> None:
    monkeypatch.setattr(target, value)
    assert words in machine(turnout)[1]


def test_a_folder_that_is_none_is_told(turnout: Turnout, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, out = machine(turnout, "--state", "file")
    assert code == 1
    assert "cannot be written\n    turnout up --state DIR" in out


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("kserve/kserve-controller:v0.20.0", "v0.20.0"),
        ("registry:5000/kserve-controller:0.20.1-rc1@sha256:ab", "0.20.1-rc1"),
        ("kserve-controller:20260101.3", ""),
        ("kserve-controller:1f3a.9c2b", ""),
        ("kserve-controller@sha256:0.20", ""),
        ("registry:5000/kserve-controller", ""),
    ],
)
def test_only_a_release_is_taken_for_one(image: str, version: str) -> None:
    assert _image_version({"spec": {"template": {"spec": {"containers": [{"image": image}]}}}}) == version
