"""An image is built anew when something in it changed, and only then."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.builder import KEPT_ARCHIVES, outdated, pip_settings
from harness.errors import HarnessError
from harness.inputs import of_build, sources

DOCKERFILES = {
    "plain": ("COPY a b /c/", ["a", "b"]),
    "an option": ("COPY --chown=65532:65532 a /c", ["a"]),
    "another stage": ("COPY --from=build /opt /opt", []),
    "several lines": ("COPY a \\\n  b \\\n  /c/", ["a", "b"]),
    "lists": ('ADD ["a b", "/c/"]', ["a b"]),
    "lower case": ("copy a /c", ["a"]),
    "no copy": ("RUN cp COPY a", []),
}


@pytest.mark.parametrize(("text", "found"), DOCKERFILES.values(), ids=DOCKERFILES.keys())
def test_sources(text: str, found: list[str]) -> None:
    assert sources(f"FROM x\n{text}\n") == found


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "package" / "__pycache__").mkdir(parents=True)
    (tmp_path / "package" / "code.py").write_text("1")
    (tmp_path / "package" / "__pycache__" / "code.pyc").write_text("1")
    (tmp_path / "elsewhere.md").write_text("1")
    (tmp_path / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY package /package\n")
    return tmp_path


def digest(context: Path, target: str = "", arguments: dict[str, str] | None = None) -> str:
    return of_build(context / "Dockerfile", context, target, arguments or {})


CHANGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "nothing": (lambda context: None, False),
    "a file that is not copied": (lambda context: (context / "elsewhere.md").write_text("2"), False),
    "byte code": (lambda context: (context / "package/__pycache__/code.pyc").write_text("2"), False),
    "a copied file": (lambda context: (context / "package/code.py").write_text("2"), True),
    "a new file": (lambda context: (context / "package/more.py").write_text("1"), True),
    "a renamed file": (lambda context: (context / "package/code.py").rename(context / "package/core.py"), True),
    "a file's mode": (lambda context: (context / "package/code.py").chmod(0o755), True),
    "the Dockerfile": (lambda context: (context / "Dockerfile").write_text("FROM x\nCOPY package /p\n"), True),
    "what is ignored": (lambda context: (context / ".dockerignore").write_text("*.md\n"), True),
}


@pytest.mark.parametrize(("change", "anew"), CHANGES.values(), ids=CHANGES.keys())
def test_what_a_change_of_the_context_does(context: Path, change: Callable[[Path], object], anew: bool) -> None:
    before = digest(context)
    change(context)
    assert (digest(context) != before) is anew


def test_targets_and_arguments_make_different_images(context: Path) -> None:
    variants = [("", {}), ("sklearn", {}), ("", {"A": "1"}), ("", {"A": "2"})]
    assert len({digest(context, target, arguments) for target, arguments in variants}) == len(variants)


def test_a_file_that_is_not_there_is_named(context: Path) -> None:
    (context / "Dockerfile").write_text("FROM x\nCOPY locks/operator.txt /\n")
    with pytest.raises(HarnessError, match=r"locks/operator\.txt"):
        digest(context)


def test_the_oldest_archives_of_an_image_go_and_those_of_others_stay(tmp_path: Path) -> None:
    for age in range(KEPT_ARCHIVES + 1):
        path = tmp_path / f"turnout-operator-{age:012x}.tar"
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "turnout-operator-debug-0123456789ab.tar").touch()
    assert [path.name for path in outdated(tmp_path, "turnout-operator")] == ["turnout-operator-000000000003.tar"]


PIP = {
    "the environment goes before files": ("global.cert='/a'\n:env:.cert='/b'", {"cert": "/b"}),
    "whatever their order": (":env:.cert='/b'\nglobal.cert='/a'", {"cert": "/b"}),
    "folders of this machine stay here": ("global.find-links='/wheels'", {}),
    "a mirror comes along": ("global.index-url='https://mirror/simple'", {"index-url": "https://mirror/simple"}),
    "nothing set": ("", {}),
}


@pytest.mark.parametrize(("listed", "taken"), PIP.values(), ids=PIP.keys())
def test_pip_settings(listed: str, taken: dict[str, str]) -> None:
    assert pip_settings(listed) == taken
