"""Flags of the operator."""

from pathlib import Path

import pytest

from turnout.evidence.prometheus import Entry
from turnout.settings import parse


def test_nothing_given_means_all_namespaces_and_no_default_images() -> None:
    settings = parse([])
    assert (settings.namespaces, settings.images, settings.health_port, settings.workers) == ((), {}, 8081, 4)


def test_namespaces_come_as_one_list_or_several() -> None:
    settings = parse(["--namespaces=b,a", "--namespaces", "c,", "--version-gateway", "http://gateway/"])
    assert settings.namespaces == ("a", "b", "c")
    assert settings.version_gateway == "http://gateway"


def test_images_go_by_runtime() -> None:
    assert parse(["--image", "sklearn=a:1", "--image=custom=b@sha256:c"]).images == {
        "sklearn": "a:1",
        "custom": "b@sha256:c",
    }


def test_sources_go_by_name_and_may_have_a_token() -> None:
    flags = ["--prometheus=cluster=https://p:9090/a?b=c", "--prometheus=lab=http://l", "--prometheus-token=lab=/t"]
    sources = parse(flags).sources
    assert sources["cluster"] == Entry("cluster", "https://p:9090/a?b=c")
    assert sources["lab"] == Entry("lab", "http://l", Path("/t"))


WRONG = {
    "a source without an address": (["--prometheus", "cluster"], "'cluster' is no NAME=URL"),
    "a source that is no web address": (["--prometheus", "cluster=file:///etc"], "is no NAME=URL"),
    "a source with its secret in the open": (
        ["--prometheus", "cluster=http://user:pass@p:9090"],
        "the address of cluster carries a secret",
    ),
    "a token without a file": (["--prometheus-token", "cluster="], "'cluster=' is no NAME=FILE"),
    "a token for nobody": (["--prometheus-token", "cluster=/t"], "there is no --prometheus cluster=URL"),
    "an image without a runtime": (["--image", "a:1"], "'a:1' is no RUNTIME=IMAGE"),
    "an image without a name": (["--image", "sklearn="], "'sklearn=' is no RUNTIME=IMAGE"),
    "no workers": (["--workers", "0"], "0 is no positive number"),
}


@pytest.mark.parametrize(("flags", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_flag_ends_with_a_sentence(flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(flags)
    assert sentence in capsys.readouterr().err


def test_the_lease_and_the_clusters_domain_have_defaults_and_can_be_named() -> None:
    settings = parse([])
    assert (settings.lease, settings.lease_namespace, settings.cluster_domain) == ("turnout", "", "cluster.local")
    settings = parse(["--lease=ml", "--lease-namespace=ops", "--cluster-domain=k8s.example.com."])
    assert (settings.lease, settings.lease_namespace, settings.cluster_domain) == ("ml", "ops", "k8s.example.com")
