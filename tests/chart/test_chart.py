"""What the chart renders, for every value set in ci/: valid, secure, and harmless to uninstall."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import yaml

from tests.deploying import CHART, CRD, ROOT, HelmError, Object, assert_valid, find_helm, of_kind, render
from turnout.api.control import Control
from turnout.api.predictor import Runtime
from turnout.settings import parse

VALUE_SETS = sorted(path.name for path in (CHART / "ci").glob("*.yaml"))


def at(tree: Any, *path: str | int) -> Any:
    """What lies there, None where nothing does."""
    for key in path:
        if isinstance(tree, list) and isinstance(key, int) and key < len(tree):
            tree = tree[key]
        elif isinstance(tree, dict):
            tree = tree.get(key)
        else:
            return None
    return tree


def values_file(name: str) -> tuple[str, str]:
    return "--values", str(CHART / "ci" / name)


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_lint_finds_nothing(value_set: str) -> None:
    command = [find_helm(), "lint", "--strict", "--kube-version", "1.34.0", *values_file(value_set), str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"\[(WARNING|ERROR)\]", done.stdout), done.stdout


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_every_object_is_valid_on_three_versions_of_kubernetes(value_set: str) -> None:
    assert_valid(render(*values_file(value_set)))


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_names_are_unique_and_namespaced_objects_name_their_namespace(value_set: str) -> None:
    objects = render(*values_file(value_set))
    keys = [(o["kind"], at(o, "metadata", "namespace"), at(o, "metadata", "name")) for o in objects]
    assert len(set(keys)) == len(keys)
    policies = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", *policies}
    assert {kind for kind, namespace, _ in keys if not namespace} <= cluster_wide


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_uninstalling_can_cut_nothing(value_set: str) -> None:
    objects = render(*values_file(value_set))
    for each in objects:
        assert at(each, "metadata", "finalizers") is None
        assert "helm.sh/hook" not in str(at(each, "metadata", "annotations"))
    for crd in of_kind(objects, "CustomResourceDefinition"):
        assert at(crd, "metadata", "annotations", "helm.sh/resource-policy") == "keep"


def test_a_confined_operator_reaches_the_prometheus_servers_it_is_told_of() -> None:
    named = "prometheus[0].name=a,prometheus[0].url=https://a.example,prometheus[1].name=b,prometheus[1].url=http://b:9091/x"
    policies = of_kind(render("--set", "networkPolicy.enabled=true", "--set", named), "NetworkPolicy")
    ports = [port["port"] for rule in at(policies[0], "spec", "egress") for port in rule["ports"]]
    assert ports == [53, 53, 443, 6443, 80, 8080, 8081, 9091]


def test_the_crd_goes_with_the_release_only_if_asked_to() -> None:
    (crd,) = of_kind(render("--set", "crds.keep=false"), "CustomResourceDefinition")
    assert at(crd, "metadata", "annotations", "helm.sh/resource-policy") is None
    assert of_kind(render("--set", "crds.enabled=false"), "CustomResourceDefinition") == []


def test_the_crd_is_the_generated_one() -> None:
    generated = CRD.read_bytes()
    assert (CHART / "files" / "modelversions.yaml").read_bytes() == generated, "copy it: make generate"
    (rendered,) = of_kind(render(), "CustomResourceDefinition")
    assert rendered["spec"] == yaml.safe_load(generated)["spec"]


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_the_operator_runs_with_the_least_that_a_process_needs(value_set: str) -> None:
    (deployment,) = of_kind(render(*values_file(value_set)), "Deployment")
    pod = at(deployment, "spec", "template", "spec")
    container = at(pod, "containers", 0)
    assert at(deployment, "spec", "strategy", "type") == "RollingUpdate"
    assert at(pod, "securityContext", "runAsNonRoot") is True
    assert at(container, "securityContext") == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert at(container, "resources", "requests", "memory")
    assert at(container, "resources", "limits", "memory")
    assert at(pod, "hostNetwork") is at(container, "env") is None
    assert all(set(volume) == {"name", "secret"} for volume in at(pod, "volumes") or ()), "tokens, nothing else"


def test_user_and_seccomp_can_be_left_to_the_platform() -> None:
    pod_security = ("spec", "template", "spec", "securityContext")
    (by_default,) = of_kind(render(), "Deployment")
    user = {"runAsUser": 65532, "runAsGroup": 65532}
    seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
    assert at(by_default, *pod_security) == {"runAsNonRoot": True, **user, **seccomp}
    (bare,) = of_kind(render(*values_file("bare.yaml")), "Deployment")
    assert at(bare, *pod_security) == {"runAsNonRoot": True}


def arguments(objects: list[Object]) -> object:
    (deployment,) = of_kind(objects, "Deployment")
    return at(deployment, "spec", "template", "spec", "containers", 0, "args")


SENTENCES = "--image=sentence-transformers=turnout-predictor-sentence-transformers:0.1.0"
ARGUMENTS = {
    "by default all namespaces and the images of this release": (
        [],
        [SENTENCES, "--image=sklearn=turnout-predictor-sklearn:0.1.0", "--lease=turnout", "--health-port=8081"],
    ),
    "a registry stands before each image and a tag behind, but where one has its own": (
        [*values_file("two-namespaces.yaml"), "--set", "images.predictors.sentence-transformers="],
        [
            "--namespaces=support,search",
            "--image=custom=registry.example.com:5000/ml/tools/predictor@sha256:" + "0123456789abcdef" * 4,
            "--image=sklearn=registry.example.com:5000/ml/turnout-predictor-sklearn:2026-11-21",
            "--lease=turnout",
            "--health-port=8081",
        ],
    ),
    "a registry's port is no tag": (
        ["--set", "images.predictors.sklearn=local:5000/sk,images.predictors.sentence-transformers="],
        ["--image=sklearn=local:5000/sk:0.1.0", "--lease=turnout", "--health-port=8081"],
    ),
    "sources of evidence, with a token where there is one": (
        [*values_file("hardened.yaml"), "--set", "images.predictors.sklearn=,images.predictors.sentence-transformers="],
        [
            "--lease=ml-turnout",
            "--prometheus=cluster=https://prometheus.monitoring.svc:9090",
            "--prometheus-token=cluster=/var/run/turnout/prometheus/cluster/token",
            "--prometheus=lab=http://prometheus.lab.svc:9090",
            "--health-port=8081",
        ],
    ),
    "no images, another port, name and domain": (
        [*values_file("bare.yaml"), "--set", "port=9000,fullnameOverride=ml,clusterDomain=ml.example.com"],
        ["--lease=ml", "--cluster-domain=ml.example.com", "--health-port=9000"],
    ),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_the_operator_is_started_with(case: str) -> None:
    given, expected = ARGUMENTS[case]
    assert arguments(render(*given)) == expected


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_the_operator_understands_what_it_is_told(value_set: str) -> None:
    (container,) = at(
        of_kind(render(*values_file(value_set)), "Deployment")[0], "spec", "template", "spec", "containers"
    )
    settings = parse(container["args"])
    assert [port["containerPort"] for port in container["ports"]] == [settings.health_port]
    assert set(settings.images) <= set(Runtime)


REFUSED = {
    "a value that does not exist": ("image.tag=1", "additional properties 'image' not allowed"),
    "one inside a block": ("images.tags=1", "additional properties 'tags' not allowed"),
    "one inside a block inside a block": ("images.predictors.sklaern=x", "additional properties"),
    "a crowd of replicas": ("replicas=6", "maximum"),
    "a pull policy that is none": ("images.pullPolicy=Sometimes", "value must be one of"),
    "root": ("security.runAsUser=0", "minimum"),
    "a source without an address": ("prometheus[0].name=cluster", "missing property 'url'"),
    "a namespace with a capital": ("watch.namespaces={Support}", "does not match pattern"),
    "a limit of something else": ("resources.limits.gpu=1", "additional properties 'gpu' not allowed"),
    "an account that is neither made nor named": (
        "serviceAccount.create=false",
        "serviceAccount.name is needed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_helm_refuses(case: str) -> None:
    setting, says = REFUSED[case]
    with pytest.raises(HelmError, match=re.escape(says)):
        render("--set", setting)


def test_one_replica_needs_no_budget_and_no_spread() -> None:
    (budget,) = of_kind(render(), "PodDisruptionBudget")
    (two,) = of_kind(render(), "Deployment")
    assert at(budget, "spec", "selector") == at(two, "spec", "selector")
    assert at(two, "spec", "template", "spec", "topologySpreadConstraints", 0, "whenUnsatisfiable") == "ScheduleAnyway"
    alone = render("--set", "replicas=1")
    assert of_kind(alone, "PodDisruptionBudget") == []
    assert at(of_kind(alone, "Deployment")[0], "spec", "template", "spec", "topologySpreadConstraints") is None


def test_the_admission_policy_binds_where_the_operator_watches() -> None:
    (binding,) = of_kind(render(), "ValidatingAdmissionPolicyBinding")
    (policy,) = of_kind(render(), "ValidatingAdmissionPolicy")
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}
    (confined,) = of_kind(render(*values_file("two-namespaces.yaml")), "ValidatingAdmissionPolicyBinding")
    (expression,) = at(confined, "spec", "matchResources", "namespaceSelector", "matchExpressions")
    assert expression["values"] == ["support", "search"]
    assert of_kind(render("--set", "admission.enabled=false"), "ValidatingAdmissionPolicy") == []


def test_the_admission_policy_knows_every_field_of_control() -> None:
    (policy,) = of_kind(render(), "ValidatingAdmissionPolicy")
    guarded = "".join(variable["expression"] for variable in policy["spec"]["variables"])
    named = "".join(rule["messageExpression"] for rule in policy["spec"]["validations"])
    for field in Control.model_fields.values():
        assert f"object.spec.?control.?{field.alias}" in guarded
        assert f"spec.control.{field.alias}: " in named


def leaves(tree: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def schema_objects(node: object, path: str = "") -> Iterator[tuple[str, Object]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, value in node.items():
            yield from schema_objects(value, f"{path}/{key}")


def test_the_schema_is_closed_at_every_level_that_is_ours() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    helms_own = "/properties/global"
    open_ones = [
        path
        for path, node in schema_objects(schema)
        if "additionalProperties" not in node
        and path != helms_own
        and not path.startswith("/properties/affinity/properties")
    ]
    assert open_ones == []


def test_the_schema_knows_exactly_the_values_that_there_are() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) - {"global"} == set(defaults)
    for name in ("images", "watch", "crds", "serviceAccount", "rbac", "security", "metrics", "networkPolicy"):
        assert set(schema["properties"][name]["properties"]) == set(defaults[name])


def test_every_value_is_used_and_every_use_has_a_value() -> None:
    templates = "\n".join(path.read_text() for path in (CHART / "templates").iterdir())
    used = set(re.findall(r"\.Values\.([\w.]+)", templates))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    known = {".".join(path) for path in leaves(defaults)}

    def is_part_of(inner: str, outer: str) -> bool:
        return inner == outer or inner.startswith(outer + ".")

    assert [value for value in known if not any(is_part_of(value, use) for use in used)] == []
    assert [use for use in used if not any(is_part_of(value, use) for value in known)] == []


def test_the_readme_says_what_the_comments_say() -> None:
    checked = [sys.executable, str(ROOT / "tests" / "chart" / "values_table.py")]
    assert subprocess.run(checked, check=False).returncode == 0


def test_every_value_has_a_sentence() -> None:
    text = (CHART / "values.yaml").read_text()
    undescribed = [
        line
        for before, line in zip(text.splitlines(), text.splitlines()[1:], strict=False)
        if re.match(r" *[A-Za-z][\w-]*: *[^ ]", line)
        and "# -- " not in before
        and "requests" not in line
        and "limits" not in line
    ]
    assert undescribed == []


NOTES = {
    "all-namespaces.yaml": ["watches all namespaces", "kubectl get mver -n default -w"],
    "two-namespaces.yaml": ["watches the namespaces support, search", "kubectl get mver -n support -w"],
    "hardened.yaml": ["rollout status deployment/ml-turnout"],
}


@pytest.mark.parametrize("value_set", NOTES)
def test_the_notes_name_the_next_commands(tmp_path: Path, value_set: str) -> None:
    chart = tmp_path / "turnout"
    shutil.copytree(CHART, chart)
    written = (chart / "templates" / "NOTES.txt").read_text()  # an object, as helm shows notes only at an install
    (chart / "templates" / "notes.yaml").write_text("kind: Notes\ntext: |\n" + indent(written, "  "))
    (notes,) = (each["text"] for each in of_kind(render(*values_file(value_set), chart=chart), "Notes"))
    assert [line for line in NOTES[value_set] if line not in notes] == []
    assert notes.count("kubectl ") == 3
