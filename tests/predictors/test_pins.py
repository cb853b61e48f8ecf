"""Pins: what is installed fits together, what is locked is what was asked for, nothing is held back without a word."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(TEXT)["project"]
LOCKS = dict(re.findall(r"^compile (\S+) (.+)$", (ROOT / "locks" / "compile").read_text(), re.MULTILINE))
Faults = list[str]


def unmet(requirements: Iterable[str], found: Mapping[str, str], extra: str = "") -> Faults:
    """Those that the versions found do not meet; what is for other machines or extras is passed over."""
    faults: Faults = []
    for text in requirements:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        version = found.get(canonicalize_name(wanted.name))
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            faults.append(f"{text}: {version or 'not there'}")
    return faults


MET = {
    "an open one": (["a>=1"], []),
    "one for another machine": (["b; sys_platform == 'plan9'"], []),
    "one of an extra that nobody asked for": (["b; extra == 'more'"], []),
    "a pin that has rotted": (["a<2"], ["a<2: 2.5"]),
    "a library that is not there": (["b"], ["b: not there"]),
}


@pytest.mark.parametrize(("given", "faults"), MET.values(), ids=MET.keys())
def test_a_requirement_is_met_or_told(given: Faults, faults: Faults) -> None:
    assert unmet(given, {"a": "2.5"}) == faults


def test_no_library_here_refuses_another_that_is_here() -> None:
    """The runtimes' libraries in one environment: where one holds back another, the lock could not have been made."""
    there = [(each.metadata["Name"], each.version, each.requires or []) for each in distributions()]
    found = {canonicalize_name(name): version for name, version, _ in there}
    rotten = {name: faults for name, _, wanted in there if name != "turnout" and (faults := unmet(wanted, found))}
    assert rotten == {}


def asked(extras: Iterable[str]) -> Iterator[str]:
    """The requirements of these extras, and those that all have."""
    yield from PROJECT["dependencies"]
    for extra in extras:
        for text in PROJECT["optional-dependencies"][extra]:
            wanted = Requirement(text)
            if wanted.name == PROJECT["name"]:
                yield from asked(wanted.extras)
            else:
                yield text


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items(), ids=LOCKS.keys())
def test_a_lock_holds_what_the_project_asks_for_each_with_its_hashes(lock: str, extras: str) -> None:
    text = (ROOT / "locks" / f"{lock}.txt").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    pinned = dict(re.match(r"([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", entry).groups() for entry in entries)  # type: ignore[union-attr]
    found = {canonicalize_name(name): version for name, version in pinned.items()}
    assert unmet(asked(extras.split()), found) == []


def test_an_upper_bound_says_why() -> None:
    bounds = [line.strip() for line in TEXT.splitlines() if re.search(r'"[\w.-]+[^"]*<[^"]*"', line)]
    assert bounds
    assert [line for line in bounds if "#" not in line] == []
