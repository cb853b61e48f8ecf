"""Flags of the operator."""

import pytest

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


WRONG = {
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
