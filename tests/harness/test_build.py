"""Wrapper modules and versions: what is compiled, by which Go."""

from __future__ import annotations

import pytest

from harness.binaries import replaces, wrapper
from harness.machine import go_version
from harness.versions import GO_MINIMUM, Component, components

VERSIONS = {
    "go version go1.25.8 linux/amd64": (1, 25, 8),
    "go version go1.26rc1 linux/amd64": (1, 26),
    "go version devel +abc": (),
    "": (),
}


@pytest.mark.parametrize(("text", "version"), VERSIONS.items())
def test_go_tells_its_version(text: str, version: tuple[int, ...]) -> None:
    assert go_version(text) == version


def test_a_go_that_hides_its_version_is_too_old() -> None:
    assert go_version("go version devel +abc") < GO_MINIMUM


def test_folders_of_kubernetes_become_their_releases() -> None:
    go_mod = (
        "replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tk8s.io/cri-api => ./staging/src/k8s.io/cri-api\n)\n"
    )
    kubernetes = Component("kubernetes", "1.34.4", "k8s.io/kubernetes", repeats="staging")
    assert replaces(go_mod, kubernetes).splitlines() == [
        "replace k8s.io/api => k8s.io/api v0.34.4",
        "replace k8s.io/cri-api => k8s.io/cri-api v0.34.4",
    ]


def test_replaced_versions_are_repeated_in_both_spellings() -> None:
    go_mod = "replace a.io/x => b.io/x v1.2.3\n\nreplace (\n\ta.io/y v1.0.0 => a.io/y v1.1.0\n)\n"
    kserve = Component("kserve", "0.20.0", "github.com/kserve/kserve", repeats="versions")
    assert replaces(go_mod, kserve).splitlines() == [
        "replace a.io/x => b.io/x v1.2.3",
        "replace a.io/y v1.0.0 => a.io/y v1.1.0",
    ]


def test_a_wrapper_without_a_module_requires_nothing() -> None:
    assert "require" not in wrapper(Component("pause", "1", main="package main"))


def test_no_two_components_build_a_binary_of_the_same_name() -> None:
    names = [name for component in components() for name in component.binaries]
    assert len(names) == len(set(names))


def test_another_version_can_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNOUT_CLUSTER_SERVING", "0.49.0")
    assert "serving-0.49.0" in [component.key for component in components()]
