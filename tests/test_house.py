"""The house stands as it was drawn: layout, imports, sizes. What a habit would let slip, a test counts."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("operator/turnout", "predictors/turnout_predictors")
FILE_LINES, FUNCTION_LINES = 450, 60


@cache
def modules(*folders: str) -> tuple[Path, ...]:
    return tuple(path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function's place and length, from `def` to its last line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last = node.end_lineno or node.lineno
            yield f"{name(path)}:{node.lineno} {node.name}", last - node.lineno + 1


def imported(path: Path) -> set[str]:
    """Top-level names of the packages a module imports, wherever in it."""
    found = set[str]()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("root", "package"), [("operator", "turnout"), ("predictors", "turnout_predictors")])
def test_each_import_root_holds_one_package_and_nothing_else(root: str, package: str) -> None:
    entries = {path.name for path in (ROOT / root).iterdir()}
    assert {entry for entry in entries if not entry.startswith((".", "__pycache__"))} == {package}


def test_the_standard_library_is_not_shadowed_at_the_root() -> None:
    done = python("-S", "-c", "import collections, operator; print(operator.itemgetter and operator.__file__)")
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).is_relative_to(ROOT)


@pytest.mark.parametrize("module", ["turnout", "turnout.api", "turnout.rollout", "turnout.cli"])
def test_a_clean_import_brings_no_framework_along(module: str) -> None:
    heavy = "{'kubernetes', 'torch', 'kserve', 'turnout_predictors', 'numpy'}"
    done = python("-c", f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))")
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_operator_starts_without_the_client_library_and_all_that_it_brings() -> None:
    """A third of its memory and most of its start; only a kubeconfig needs it."""
    done = python(
        "-c", "import sys, turnout.main; print({'kubernetes', 'kserve', 'pandas', 'numpy'} & set(sys.modules))"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("kubernetes", ["operator/turnout/platform/kubernetes/"]),
        ("kserve", ["predictors/turnout_predictors/"]),
        ("torch", ["predictors/turnout_predictors/"]),
        ("turnout", ["operator/turnout/"]),
        ("turnout_predictors", ["predictors/turnout_predictors/"]),
    ],
)
def test_a_framework_is_imported_in_one_place_only(package: str, allowed: list[str]) -> None:
    users = {name(path) for path in modules(*SOURCES) if package in imported(path)}
    assert {user for user in users if not user.startswith(tuple(allowed))} == set()


def test_import_contracts_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_says_why_it_exists() -> None:
    assert [name(path) for path in modules(*SOURCES) if not ast.get_docstring(tree(path))] == []


def test_no_file_and_no_function_outgrows_its_reader() -> None:
    files = modules(*SOURCES, "tests", "benchmarks", "examples")
    long = [(name(path), lines(path)) for path in files if lines(path) > FILE_LINES]
    long += [place for path in files for place in functions(path) if place[1] > FUNCTION_LINES]
    assert long == []


@pytest.mark.parametrize(("what", "middle", "most"), [("files", 120, 320), ("functions", 8, 30)])
def test_most_of_the_source_is_short(what: str, middle: int, most: int) -> None:
    files = modules(*SOURCES)
    sizes = [lines(path) for path in files] if what == "files" else [n for p in files for _, n in functions(p)]
    assert median(sizes) <= middle
    assert quantiles(sizes, n=10)[-1] <= most


def committed() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for entry in done.stdout.split("\0") if (path := ROOT / entry).is_file()]


def texts(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        try:
            yield name(path), path.read_text()
        except UnicodeDecodeError:
            continue


MACHINE_PATH = re.compile(r"(?<![\w.~}-])/(?:work|root|home/(?!me\b)\w+|Users/\w+)(?=/|\b)")
REGISTRY_HOST = re.compile(
    r"\b(?:pypi|files\.pythonhosted|registry\.npmjs|(?:proxy|sum)\.golang|deb\.debian)\.(?:org|com)\b"
)
NOT_OURS = [("a path of somebody's machine", MACHINE_PATH), ("a package registry's host", REGISTRY_HOST)]


@pytest.mark.parametrize(("what", "pattern"), NOT_OURS)
def test_nothing_committed_names(what: str, pattern: re.Pattern[str]) -> None:
    found = [
        f"{where}:{text.count(chr(10), 0, hit.start()) + 1} {hit.group()}"
        for where, text in texts(committed())
        if where != "tests/test_house.py"
        for hit in pattern.finditer(text)
    ]
    assert found == [], what


def configured_hosts() -> set[str]:
    """Hosts that this machine's package clients are set to use: a lock pasted in would carry them."""
    shown = python("-m", "pip", "config", "list").stdout
    return set(re.findall(r"https?://(?:[^/@\s']+@)?([\w.-]+)", shown)) - {"localhost"}


def test_nothing_committed_names_a_host_of_this_machines_package_clients() -> None:
    hosts = configured_hosts()
    assert [(where, host) for where, text in texts(committed()) for host in hosts if host in text] == []


def test_links_and_images_are_small_enough_for_a_clone() -> None:
    assert [name(path) for path in committed() if path.stat().st_size > 1024 * 1024] == []
