"""The operator may do what its code does, and nothing else; people get their rights from Kubernetes' own roles."""

import ast
import importlib
import re
from collections.abc import Iterator

import pytest

from tests.chart.test_chart import values_file
from tests.deploying import ROOT, Object, of_kind, render
from turnout.platform.kubernetes.resources import LEASES, WATCHED, Resource

Right = tuple[str, str, str]  # API group, resource, verb

ENGINE = ROOT / "operator" / "turnout" / "platform" / "kubernetes"
VERBS = {  # what each call needs; an apply may find nothing there
    "create": {"create"},
    "apply": {"create", "patch"},
    "merge": {"patch"},
    "patch": {"patch"},
    "delete": {"delete"},
    "_Place": {"get"},  # what was written is read again after a conflict
}
WATCHING = {"list", "watch"}


def rights(role: Object) -> set[Right]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def operators(*arguments: str) -> list[Object]:
    """The roles of the operator's own account in the namespaces that it serves, not those for people."""
    objects = render(*arguments, "--set", "rbac.people=false")
    roles = [*of_kind(objects, "ClusterRole"), *of_kind(objects, "Role")]
    return [role for role in roles if not role["metadata"]["name"].endswith("-lease")]


def calls() -> Iterator[tuple[str, Resource, str]]:
    """Each call of the engine that names a kind: its function, the kind, and the subresource."""
    for path in sorted(ENGINE.glob("[a-z]*.py")):
        module = importlib.import_module(f"turnout.platform.kubernetes.{path.stem}")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name):
                function = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
                resource = getattr(module, node.args[0].id, None)
                if function in VERBS and isinstance(resource, Resource):
                    subs = [ast.literal_eval(word.value) for word in node.keywords if word.arg == "sub"]
                    yield function, resource, subs[0] if subs else ""


def used() -> set[Right]:
    """What is done with the objects of users; the Lease is the operator's own."""
    watched = {(each.group, each.plural, verb) for each in WATCHED for verb in WATCHING}
    called = {
        (resource.group, f"{resource.plural}/{sub}" if sub else resource.plural, verb)
        for function, resource, sub in calls()
        if resource != LEASES
        for verb in VERBS[function] - ({"create"} if sub else set())
    }
    return watched | called


def test_the_role_is_what_the_code_does() -> None:
    (role,) = operators()
    assert rights(role) == used()


def test_it_may_make_and_write_one_lease_where_it_runs() -> None:
    objects = render()
    (role,) = of_kind(objects, "Role")
    (binding,) = of_kind(objects, "RoleBinding")
    (deployment,) = of_kind(objects, "Deployment")
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    named = [(rule["verbs"], rule.get("resourceNames")) for rule in role["rules"]]
    assert named == [(["create"], None), (["get", "patch"], ["turnout"])]
    done = {verb for function, resource, _ in calls() if resource == LEASES for verb in VERBS[function]} | {"get"}
    assert {verb for _, _, verb in rights(role)} == done


def test_the_role_holds_nothing_that_is_secret_or_reaches_beyond() -> None:
    (role,) = operators()
    assert "*" not in {word for right in rights(role) for word in right}
    never = {"secrets", "configmaps", "nodes", "namespaces", "customresourcedefinitions", "serviceaccounts"}
    assert {resource for _, resource, _ in rights(role)} & never == set()


def test_watched_namespaces_get_a_role_each_and_the_cluster_none() -> None:
    roles = operators(*values_file("two-namespaces.yaml"))
    (everywhere,) = operators()
    assert {(role["kind"], role["metadata"]["namespace"]) for role in roles} == {
        ("Role", "search"),
        ("Role", "support"),
    }
    assert all(rights(role) == rights(everywhere) for role in roles)


VERSIONS = ("turnout.dev", "modelversions")
READ = {"get", "list", "watch"}
WRITE = {"create", "update", "patch", "delete", "deletecollection"}
PEOPLE = {
    "viewer": ({"view", "edit", "admin"}, READ),
    "deployer": ({"edit", "admin"}, WRITE),
    "operator": ({"admin"}, {"patch", "promote", "abort"}),
    "approver": (set(), {*READ, "patch", "promote"}),
}


@pytest.mark.parametrize("who", PEOPLE)
def test_people_have_a_role_that_is_part_of_kubernetes_own(who: str) -> None:
    (role,) = (each for each in of_kind(render(), "ClusterRole") if each["metadata"]["name"] == f"turnout-{who}")
    parts, verbs = PEOPLE[who]
    aggregated = {label.rpartition("-")[2] for label in role["metadata"]["labels"] if "aggregate-to" in label}
    assert aggregated == parts
    assert {verb for group, resource, verb in rights(role) if (group, resource) == VERSIONS} == verbs
    assert {group for group, _, _ in rights(role)} == {"turnout.dev"}


KINDS = {
    "One Lease, where it runs": ("coordination.k8s.io", "leases"),
    "ModelVersions": ("turnout.dev", "modelversions"),
    "their status": ("turnout.dev", "modelversions/status"),
    "InferenceServices": ("serving.kserve.io", "inferenceservices"),
    "Knative Routes": ("serving.knative.dev", "routes"),
    "Knative Revisions": ("serving.knative.dev", "revisions"),
    "Knative Services": ("serving.knative.dev", "services"),
    "PodAutoscalers": ("autoscaling.internal.knative.dev", "podautoscalers"),
    "pods": ("", "pods"),
    "Services": ("", "services"),
    "Events": ("", "events"),
}


def documented() -> Iterator[Right]:
    """The table of docs/install.md, `; their status: patch` read as a row of its own."""
    section = (ROOT / "docs" / "install.md").read_text().partition("## Rights")[2].partition("\n## ")[0]
    for what, verbs in re.findall(r"^\| ([A-Zp][^|]+) \| ([a-z][^|]+) \|$", section, re.MULTILINE):
        for kinds, granted in [(what, verbs.split(";")[0]), *(part.split(":") for part in verbs.split("; ")[1:])]:
            for name in [kinds] if kinds in KINDS else kinds.split(", "):
                yield from ((*KINDS[name], verb) for verb in granted.strip().split(", "))


def test_the_documented_rights_are_the_roles() -> None:
    (role,) = operators()
    (lease,) = of_kind(render(), "Role")
    assert set(documented()) == rights(role) | rights(lease)
