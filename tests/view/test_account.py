"""What the judge knows, as a person reads it: in every look of the terminal, and as a page."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.judge.attempts import Plot, played
from tests.view.test_page import Reader
from turnout.api.judgement import MetricStatus
from turnout.api.reasons import State
from turnout.judge.terms import REFERENCE
from turnout.view.account import Account, account_of, lasting, portion, published_words
from turnout.view.account_json import account_json
from turnout.view.account_page import render_account_page
from turnout.view.account_text import render_account
from turnout.view.curve import plot, sampled, spark
from turnout.view.ink import ASCII, UNICODE, Glyphs

GOLDEN = Path(__file__).parent / "golden"
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
LENIENT = {"errors": {"passBelow": "0.05"}, "latency": {"enabled": False}}
PLOTS = {
    "a version that fails six times as often": (Plot(canary=0.03), State.RolledBack),
    "a version half as slow again": (Plot(slower=1.5), State.RolledBack),
    "an equal version, whose rollout runs": (Plot(polls=7, moved=0.0), State.Progressing),
    "a version whose scores have moved": (Plot(moved=0.12), State.Paused),
    "a good version, promoted": (
        Plot(canary=0.003, per_second=60, polls=34, weights=((12, 25), (22, 50))),
        State.Live,
    ),
    "a good version whose answers are not proven near": (
        Plot(canary=0, stable=0, moved=0.0, polls=20, per_second=8, fields=LENIENT),
        State.Progressing,
    ),
    "a version beside a stable that is dead": (
        Plot(alone=True, polls=12, fields={"errors": {"passBelow": "0.05"}, "latency": {"passBelow": "0.33"}}),
        State.Held,
    ),
    "nothing counted yet": (Plot(polls=0, moved=0.0), State.Progressing),
    "only errors, and only shown": (
        Plot(polls=3, fields={"latency": {"enabled": False}, "dryRun": True}),
        State.Progressing,
    ),
}
LOOKS = {"unicode": (UNICODE, 80), "ascii": (ASCII, 80), "narrow": (UNICODE, 64), "wide": (UNICODE, 120)}


def told(name: str) -> Account:
    story, state = PLOTS[name]
    found = account_of(played(story, state))
    assert found is not None
    return found


@pytest.mark.parametrize("look", LOOKS)
def test_a_person_reads_what_the_judge_knows(look: str) -> None:
    glyphs, width = LOOKS[look]
    scenes = (f"== {name}\n{render_account(told(name), width=width, glyphs=glyphs)}\n" for name in PLOTS)
    text = "\n".join(scenes)
    file = GOLDEN / f"account-{look}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8"), "if this is meant: UPDATE_GOLDEN=1 pytest tests/view, then review the diff"


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("width", [64, 80, 120])
def test_no_line_is_wider_than_the_terminal(name: str, glyphs: Glyphs, width: int) -> None:
    text = render_account(told(name), width=width, glyphs=glyphs, source="local engine in .turnout")
    assert max(map(len, text.splitlines())) <= width
    assert glyphs is UNICODE or text.isascii()


@pytest.mark.parametrize("name", PLOTS)
def test_colour_changes_nothing_but_colour(name: str) -> None:
    assert ESCAPE.sub("", render_account(told(name), colour=True)) == render_account(told(name))


def test_the_sentence_is_the_verdict_as_it_was_recorded() -> None:
    worse = told("a version that fails six times as often")
    assert worse.sentence.endswith("worse than stable, proven within a false-alarm budget of 1 %")
    assert worse.harm >= worse.threshold
    assert worse.finds == "", "nothing is looked for any more"
    assert told("an equal version, whose rollout runs").sentence.endswith("neither is proven yet")
    assert told("a good version, promoted").sentence.endswith("good enough to be promoted")


def test_what_answers_have_to_prove_counts_as_well() -> None:
    waiting = told("a good version whose answers are not proven near")
    assert [bet.proof >= 1 for bet in waiting.bets if bet.proof is not None] == [True]
    assert [(each.name, each.wanted) for each in waiting.near] == [("drift", "answers within 0.2 of stable's")]
    assert 0 < waiting.near[0].proof < 1
    assert waiting.verdict == "Hold"
    assert waiting.sentence.endswith("neither is proven yet")
    story, _ = PLOTS["a good version whose answers are not proven near"]
    proven = account_of(played(replace(story, polls=40), State.Progressing))
    assert proven is not None
    assert (proven.near[0].proof, proven.verdict) == (1.0, "Pass")
    assert proven.sentence.endswith("proven good enough in this step")
    assert account_json(waiting)["near"] == [
        {"name": "drift", "proof": round(waiting.near[0].proof, 4), "wanted": "answers within 0.2 of stable's"}
    ]
    assert "answers within 0.2 of stable&#x27;s" in render_account_page(waiting)


def test_beside_a_dead_stable_it_is_the_absolute_proofs_that_are_told() -> None:
    alone = told("a version beside a stable that is dead")
    ways = {bet.wanted: bet.proof for bet in alone.bets if bet.proof is not None}
    assert [*ways] == ["errors below 5 %", "90 % of answers within 0.33 s"]
    assert min(ways.values()) >= 1
    assert re.fullmatch(
        r"stable is dead: only what this version proves itself counts: 0\.\d+ % errors of 3\d\d, "
        r"proven good enough",
        alone.sentence,
    )
    unbounded = account_of(played(Plot(alone=True, polls=12), State.Held))
    assert unbounded is not None
    assert unbounded.sentence.endswith("not proven good enough yet")
    assert [(row.name, row.canary.requests > 300, row.stable.requests) for row in unbounded.rows] == [
        ("errors", True, 0)
    ]
    assert "latency (latency.passBelow is empty)" in render_account(unbounded, width=64)
    slow = account_of(played(Plot(alone=True, fields={"errors": {"enabled": False}}), State.Held))
    assert slow is not None
    assert re.search(r"counts: [\d ]+ requests in this step, not proven good enough yet$", slow.sentence)
    assert "none" not in render_account(slow)


def test_it_says_what_it_would_find_and_how_soon() -> None:
    finds = told("an equal version, whose rollout runs").finds
    assert re.fullmatch(r"at 20 requests a second, 10 % and 0.37 % errors of stable it finds .*10 times .*", finds)


def test_a_version_without_numbers_has_no_account() -> None:
    version = played(Plot(polls=3), State.Progressing)
    analysis = version.status.analysis
    assert analysis is not None
    lost = analysis.model_copy(update={"memory": "of another release"})
    for changed in (None, lost):
        status = version.status.model_copy(update={"analysis": changed})
        assert account_of(version.model_copy(update={"status": status})) is None
    edited = version.spec.analysis.model_copy(
        update={"latency": version.spec.analysis.latency.model_copy(update={"enabled": False})}
    )
    spec = version.spec.model_copy(update={"analysis": edited})
    assert account_of(version.model_copy(update={"spec": spec})) is None, "its numbers would be read for others"


def test_json_has_numbers() -> None:
    answer = json.loads(json.dumps(account_json(told("a version whose scores have moved"))))
    assert answer["state"] == "Paused"
    assert answer["harm"]["needed"] == 100
    assert [metric["name"] for metric in answer["metrics"]] == ["errors", "latency p50", "latency p90", "latency p99"]
    assert answer["metrics"][0]["stable"]["requests"] > 1000
    assert answer["answers"]["atLeast"] > answer["answers"]["tolerance"]
    assert answer["moments"][0]["at"] == "2026-11-21T10:00:00+00:00"
    assert answer["moments"][-1]["metrics"]["drift"] > 100


@pytest.mark.parametrize("name", PLOTS)
def test_the_page_is_whole_and_needs_no_other(name: str) -> None:
    page = render_account_page(told(name))
    reader = Reader(page)
    assert told(name).sentence in " ".join(" ".join(reader.text).split())
    assert not re.search(r"""(src|href)\s*=|url\(|@import|<script""", page)
    assert (len(told(name).moments) > 1) == ("Evidence that it is worse than stable" in page)


def test_the_page_shows_where_the_share_changed_and_how_the_answers_spread() -> None:
    page = render_account_page(told("a good version, promoted"))
    for share in (10, 25, 50):
        assert f"{share} % of the traffic" in page
    assert "share of the answers in each bin" in render_account_page(told("a version whose scores have moved"))


def test_nothing_that_was_said_becomes_markup() -> None:
    version = played(Plot(canary=0.03), State.RolledBack)
    verdict = version.status.verdict
    assert verdict is not None
    evil = verdict.model_copy(update={"message": "<script>alert(1)</script>"})
    found = account_of(version.model_copy(update={"status": version.status.model_copy(update={"verdict": evil})}))
    assert found is not None
    assert "<script" not in render_account_page(found)


def test_between_two_moments_evidence_stands() -> None:
    points = [(0.0, 0.0), (10.0, 2.0), (20.0, -9.0)]
    assert sampled(points, 4) == [0.0, 2.0, 2.0, -9.0]
    assert spark(points, 2.0, 4, ASCII) == "=##_"
    drawn = plot(points, 2.0, 4, 3, ASCII)
    assert [line[2] for line in drawn] == ["*", " ", " "]
    assert [line[3] for line in drawn] == ["*", "*", "*"], "a fall is a line downwards"
    assert sampled([], 4) == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(45, "45 s"), (299, "299 s"), (600, "10 min"), (9000, "2 h"), (200_000, "more than 2 days")]
)
def test_a_forecast_is_as_precise_as_it_can_be(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


@pytest.mark.parametrize(("log", "part"), [(-1.0, 0), (0.0, 0), (2.3, 50), (4.6, 100), (50.0, 100)])
def test_the_way_to_a_verdict_is_a_logarithms(log: float, part: int) -> None:
    assert portion(log, 4.6) == part


def test_what_the_judge_has_not_compared_is_not_drawn() -> None:
    """The two count over bins of other meaning: its status has a distance of 0, though the counts differ."""
    version = played(Plot(moved=0.12), State.Paused)
    analysis = version.status.analysis
    assert analysis is not None
    metrics = tuple(
        metric.model_copy(update={"canary": "0"}) if metric.name == "drift" else metric for metric in analysis.metrics
    )
    status = version.status.model_copy(update={"analysis": analysis.model_copy(update={"metrics": metrics})})
    found = account_of(version.model_copy(update={"status": status}))
    assert found is not None
    assert "none can be compared yet" in render_account(found)
    assert "share of the answers" not in render_account_page(found)


def test_how_far_both_sides_lie_from_their_publishing() -> None:
    version = played(Plot(polls=3, moved=0.0), State.Progressing)
    analysis = version.status.analysis
    assert analysis is not None
    extra = MetricStatus(name=REFERENCE, canary="0.31", stable="0.02")
    more = analysis.model_copy(update={"metrics": (*analysis.metrics, extra)})
    found = account_of(version.model_copy(update={"status": version.status.model_copy(update={"analysis": more})}))
    assert found is not None
    said = "answers: the candidate's lie 0.31 from those at its publishing and stable's lie 0.02"
    assert said in " ".join(render_account(found).split())
    assert "stable&#x27;s lie 0.02" in render_account_page(found)
    assert "none can be held" in published_words(MetricStatus(name=REFERENCE))


def test_a_stopped_rollout_says_what_stopped_it_and_a_dry_run_only_that_it_decides_nothing() -> None:
    stopped = told("a version whose scores have moved")
    assert "moved by 0." in stopped.sentence
    assert stopped.notes == ("it has stopped the rollout: turnout promote signals or turnout abort signals decides",)
    dry = played(Plot(moved=0.12, fields={"dryRun": True}), State.Progressing)
    found = account_of(dry.model_copy(update={"status": dry.status.model_copy(update={"stops": ()})}))
    assert found is not None
    assert found.notes == ("dryRun: it decides nothing",)


def test_a_bound_of_ones_own_is_shown_with_its_number() -> None:
    metric = MetricStatus(name="queue-depth", canary="17")
    account = replace(told("an equal version, whose rollout runs"), custom=(metric,))
    for shown in (render_account(account), render_account_page(account)):
        assert "queue-depth: 17, held to a bound of its own, without a guarantee" in shown


def test_what_cannot_be_judged_is_said_in_every_look() -> None:
    version = played(Plot(polls=3), State.Progressing)
    analysis = version.status.analysis
    assert analysis is not None
    said = "drift is not judged: stable counts no answers of output score by bin"
    blind = version.status.model_copy(update={"analysis": analysis.model_copy(update={"blind": (said,)})})
    found = account_of(version.model_copy(update={"status": blind}))
    assert found is not None
    assert said in " ".join(render_account(found).split())
    assert said in render_account_page(found)
    assert said in found.notes
    assert account_json(found)["notes"] == (said,)
