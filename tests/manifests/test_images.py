"""Dockerfiles, .dockerignore and skaffold.yaml say the same as the chart, and nothing careless."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploying import CHART, ROOT
from turnout.api.predictor import Runtime

DOCKERFILES = sorted(ROOT.glob("Dockerfile.*"))


def instructions(text: str) -> list[str]:
    """Each instruction on one line, comments gone."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [" ".join(line.split()) for line in re.sub(r"\\\n", " ", kept).splitlines() if line.strip()]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.name))
def test_the_base_image_is_an_argument(path: Path) -> None:
    lines = instructions(path.read_text())
    assert [line for line in lines if line.startswith("ARG BASE_IMAGE=")]
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", "\n".join(lines), re.MULTILINE))
    bases = {line.split()[1] for line in lines if line.startswith("FROM ")}
    assert bases <= {"${BASE_IMAGE}", *stages}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.name))
def test_everything_that_pip_installs_has_a_hash(path: Path) -> None:
    runs = [line for line in instructions(path.read_text()) if line.startswith("RUN ")]
    installs = [part for run in runs for part in re.split(r"&&|;", run) if re.search(r"\bpip\b.* install ", part)]
    assert installs
    assert [each for each in installs if "--require-hashes" not in each and "--no-deps" not in each] == []
    assert [each for each in installs if "--no-cache-dir" not in each] == []


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.name))
def test_nobody_runs_as_root(path: Path) -> None:
    lines = instructions(path.read_text())
    last_user = [line.split()[1] for line in lines if line.startswith("USER ")][-1]
    assert last_user == "65532:65532", "numeric, so that Kubernetes can see that it is not root"


def test_the_builder_sees_only_what_is_named() -> None:
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert patterns[0] == "*"
    taken = {pattern[1:] for pattern in patterns if pattern.startswith("!")}
    assert {"locks", "operator", "predictors", "pyproject.toml"} <= taken


def test_skaffold_builds_what_the_chart_runs() -> None:
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())["images"]
    run = {values["operator"], *filter(None, values["predictors"].values())}
    artifacts = {each["image"]: each["docker"] for each in skaffold["build"]["artifacts"]}
    assert set(artifacts) == run
    for docker in artifacts.values():
        dockerfile = (ROOT / docker["dockerfile"]).read_text()
        stages = {None, *re.findall(r"^FROM .* AS (.*)$", dockerfile, re.MULTILINE)}
        assert docker.get("target") in stages
    (release,) = skaffold["deploy"]["helm"]["releases"]
    built = {re.sub(r"\W", "_", image): image for image in artifacts}
    for path, template in release["setValueTemplates"].items():
        node = yaml.safe_load((CHART / "values.yaml").read_text())
        for key in path.split("."):
            node = node[key]
        assert built[template.removeprefix("{{.IMAGE_FULLY_QUALIFIED_").removesuffix("}}")] == node


def test_default_images_are_for_runtimes_that_there_are() -> None:
    predictors = yaml.safe_load((CHART / "values.yaml").read_text())["images"]["predictors"]
    assert set(predictors) <= set(Runtime)
