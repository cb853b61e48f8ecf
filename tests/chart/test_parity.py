"""Chart and kustomize base install the same: whoever changes one has to change the other."""

from tests.deploying import Object, kustomize, render

HELMS_OWN = {"helm.sh/chart", "app.kubernetes.io/managed-by", "helm.sh/resource-policy"}
BASES_OWN = {"Namespace"}  # helm makes it by --create-namespace


def without_helms_own(tree: object) -> object:
    """The same tree less helm's marks, and less the maps that held nothing else."""
    if isinstance(tree, dict):
        kept = {key: without_helms_own(value) for key, value in tree.items() if key not in HELMS_OWN}
        return {key: value for key, value in kept.items() if value != {}}
    if isinstance(tree, list):
        return [without_helms_own(value) for value in tree]
    return tree


def without_namespace(each: Object) -> Object:
    """kustomize takes admission policies for namespaced objects, and the API server drops what it puts there."""
    if each["kind"].startswith("ValidatingAdmissionPolicy"):
        return {**each, "metadata": {key: text for key, text in each["metadata"].items() if key != "namespace"}}
    return each


def by_name(objects: list[Object]) -> dict[tuple[str, str], object]:
    ours = (each for each in objects if each["kind"] not in BASES_OWN)
    return {(each["kind"], each["metadata"]["name"]): without_helms_own(without_namespace(each)) for each in ours}


def test_the_base_is_what_the_chart_renders_by_default() -> None:
    chart, base = by_name(render()), by_name(kustomize("base"))
    assert set(chart) == set(base)
    for key, rendered in chart.items():
        assert base[key] == rendered, key


def test_the_production_overlay_closes_the_network_as_the_chart_does() -> None:
    policy = ("NetworkPolicy", "turnout")
    chart = by_name(render("--set", "networkPolicy.enabled=true"))
    overlay = by_name(kustomize("overlays/production"))
    assert overlay[policy] == chart[policy]
