"""Documents that cannot rot in silence: links lead somewhere, shell and YAML parse, reasons are the real ones."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from turnout.api.reasons import Reason
from turnout.api.served import LIMITS
from turnout.api.version import ModelVersion

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "charts/*/*.md", "benchmarks/**/*.md", "examples/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
DIGEST = "sha256:" + 64 * "0"  # what a reader fills in for "sha256:…"
SHELLS = {"sh", "bash", "shell"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """What a link may point to: each heading as the forge spells it, and explicit ids."""
    text = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"(?:id|name)=\"([^\"]+)\"", text))


def links(page: Path) -> Iterator[str]:
    for found in LINK.finditer(FENCE.sub("", page.read_text())):
        yield found.group(1) or found.group(2)


def is_broken(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return not target.exists() or bool(anchor and target.suffix == ".md" and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    local = [link for link in links(page) if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if is_broken(page, link)] == []


def blocks(page: Path, languages: set[str]) -> list[str]:
    return [found["body"] for found in FENCE.finditer(page.read_text()) if found["language"] in languages]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_shell_block_parses(page: Path) -> None:
    for block in blocks(page, SHELLS):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_a_shell_block_names_is_there(page: Path) -> None:
    folders = "charts|manifests|examples|benchmarks|tests|docs"
    named = {
        path.rstrip(".,")
        for block in blocks(page, SHELLS)
        for path in re.findall(rf"(?<!\S)(?:{folders})/[\w./-]+", block)
    }
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_yaml_block_parses_and_its_model_versions_are_valid(page: Path) -> None:
    for block in blocks(page, {"yaml", "yml"}):
        for each in yaml.safe_load_all(block.replace("sha256:…", DIGEST)):
            if isinstance(each, dict) and each.get("kind") == "ModelVersion":
                ModelVersion.model_validate(each)


READERS = {
    "docs/concepts.md",
    "docs/install.md",
    "docs/judge.md",
    "docs/judge-measured.md",
    "docs/why-not-canary-traffic-percent.md",
}


@pytest.mark.parametrize("page", sorted(READERS))
def test_the_page_opens_with_its_reader(page: str) -> None:
    _, title, opening = re.split(r"^# (.+)\n\n", (ROOT / page).read_text(), maxsplit=1, flags=re.MULTILINE)
    assert title
    assert opening.startswith("For ")


WANT_NOTHING = {
    Reason.Pending,
    Reason.Accepted,
    Reason.AwaitingReconcile,
    Reason.NotTheTarget,
    Reason.QueuedBehind,
    Reason.StandbyRequested,
    Reason.OutsideRollbackWindow,
    Reason.AwaitingRevision,
    Reason.AwaitingPods,
    Reason.WarmingUp,
    Reason.AwaitingTraffic,
    Reason.AwaitingEvidence,
    Reason.StepInProgress,
    Reason.StepDone,
    Reason.PausedByPlan,
    Reason.Superseded,
    Reason.FirstVersion,
    Reason.NoStable,
    Reason.StableGone,
    Reason.PlanCompleted,
    Reason.FastReturn,
    Reason.PromotedByPerson,
    Reason.Promoted,
    Reason.Replaced,
    Reason.Adopted,
    Reason.InSync,
    Reason.NoTraffic,
    Reason.RouteNotReady,
    Reason.NotContended,
    Reason.RevisionReady,
    Reason.Pinned,
    Reason.NotPinned,
    Reason.ScaledToZero,
    Reason.NotAnalysed,
    Reason.SourceAnswers,
    Reason.NoRollout,
    Reason.NotStalled,
    Reason.RetiredByRequest,
}


def test_every_reason_that_wants_something_done_is_in_troubleshooting() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    section = page.partition("## Troubleshooting by reason")[2]
    explained = {word for word in re.findall(r"`([A-Z][A-Za-z]+)`", section) if word in set(Reason)}
    assert explained == set(Reason) - WANT_NOTHING


UNSERVED = {
    "spec.rollout.strategy": "shadow traffic",
    "spec.predictor.protocol": "gRPC on a cluster",
    "spec.predictor.runtime": "runtimes other than `sklearn`, `sentence-transformers` and `custom`",
}


def test_the_readme_lists_what_is_refused_and_nothing_that_is_served() -> None:
    assert {limit.field for limit in LIMITS} == set(UNSERVED)
    runtimes = next(limit.served for limit in LIMITS if limit.field == "spec.predictor.runtime")
    assert re.findall("`(.+?)`", UNSERVED["spec.predictor.runtime"]) == [*runtimes]
    section = (ROOT / "README.md").read_text().partition("## What is not there yet\n\n")[2]
    listed = " ".join(section.partition(" are designed")[0].split())
    *first, last = UNSERVED.values()
    assert listed.lower() == f"{', '.join(first)}, and {last}".lower()
