"""The operator may do what its code does, and nothing else; people get their rights from Kubernetes' own roles."""

import ast
from collections.abc import Iterator

import pytest

from tests.chart.test_chart import values_file
from tests.deploying import ROOT, Object, of_kind, render
from turnout.platform.kubernetes import resources
from turnout.platform.kubernetes.resources import Resource

Right = tuple[str, str, str]  # API group, resource, verb

ENGINE = ROOT / "operator" / "turnout" / "platform" / "kubernetes"
VERBS = {  # what a method of Calls needs; an apply may find nothing there
    "get": {"get"},
    "list": {"list"},
    "create": {"create"},
    "apply": {"create", "patch"},
    "merge": {"patch"},
    "patch": {"patch"},
    "delete": {"delete"},
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
    """The roles of the operator's own account, not those for people."""
    objects = render(*arguments, "--set", "rbac.people=false")
    return [*of_kind(objects, "ClusterRole"), *of_kind(objects, "Role")]


def calls() -> Iterator[tuple[str, Resource, str]]:
    """Each call of the engine to the API server: method, kind, subresource."""
    for path in sorted(ENGINE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                kind = node.args[0].attr if isinstance(node.args[0], ast.Attribute) else getattr(node.args[0], "id", "")
                resource = getattr(resources, kind, None)
                if node.func.attr in VERBS and isinstance(resource, Resource):
                    subs = [word.value for word in node.keywords if word.arg == "sub"]
                    yield node.func.attr, resource, str(ast.literal_eval(subs[0])) if subs else ""


def used() -> set[Right]:
    watched = {(each.group, each.plural, verb) for each in resources.WATCHED for verb in WATCHING}
    called = {
        (resource.group, f"{resource.plural}/{sub}" if sub else resource.plural, verb)
        for method, resource, sub in calls()
        for verb in VERBS[method] - ({"create"} if sub else set())
    }
    return watched | called


def test_the_role_is_what_the_code_does() -> None:
    (role,) = operators()
    assert rights(role) == used()


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
}


@pytest.mark.parametrize("who", PEOPLE)
def test_people_have_a_role_that_is_part_of_kubernetes_own(who: str) -> None:
    (role,) = (each for each in of_kind(render(), "ClusterRole") if each["metadata"]["name"] == f"turnout-{who}")
    parts, verbs = PEOPLE[who]
    aggregated = {label.rpartition("-")[2] for label in role["metadata"]["labels"] if "aggregate-to" in label}
    assert aggregated == parts
    assert {verb for group, resource, verb in rights(role) if (group, resource) == VERSIONS} == verbs
    assert {group for group, _, _ in rights(role)} == {"turnout.dev"}
