"""The page of a story: complete, self-contained, well formed, and true to its samples."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from turnout.api.reasons import State
from turnout.view.chart import nice_ceiling
from turnout.view.html import render_page
from turnout.view.story import Closeup, Fact, Mark, MarkKind, ModelStory, Outcome, Sample, Story

VOID = {"meta", "link", "br", "input", "img"}
SAMPLES = (
    Sample(0.0),
    Sample(1.0, {1: 100}, {1: 0}),
    Sample(10.0, {1: 90, 2: 10}, {1: 450}),
    Sample(20.0, {1: 100}, {1: 900, 2: 45}, {2: 5}, 2),
    Sample(30.0, {1: 100}, {1: 1400, 2: 45}, {2: 5}, 2),
)
MODEL = ModelStory(
    model="digits",
    url="http://digits.default.localhost:8080",
    samples=SAMPLES,
    marks=(
        Mark(1.0, MarkKind.PROMOTED, 1, "serves"),
        Mark(10.0, MarkKind.STEPPED, 2, "takes 10 %"),
        Mark(19.9, MarkKind.CRASHED, 2, "crashes with <script>alert('x')</script>"),
        Mark(20.0, MarkKind.ROLLED_BACK, 2, "is out"),
        Mark(22.0, MarkKind.SLEPT, 1, "sleeps"),
        Mark(28.0, MarkKind.WOKE, 1, "wakes"),
    ),
    outcomes=(
        Outcome(1, "the first", State.Live, "Promoted", "stable", 100, 1400, 0, 0.98),
        Outcome(2, "shaky", State.RolledBack, "Crashed", "</script><b>exit code 70", 10, 45, 5),
    ),
    closeups=(Closeup("The crash", 18.0, 22.0, "Errors stand <late>."),),
)
STORY = Story(
    title="A story",
    summary="What it is about.",
    began=datetime(2026, 11, 21, 10, 40, tzinfo=UTC),
    seconds=30.0,
    models=(MODEL,),
    facts=(Fact("1,447", "requests"), Fact("2", "failed at their caller", good=False)),
)


class Reader(HTMLParser):
    """Checks that elements nest, and keeps what a test may ask for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return render_page(STORY)


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def test_the_page_needs_nothing_from_outside(page: str, reader: Reader) -> None:
    fetching = [(tag, name, value) for tag, name, value in reader.attributes if name in ("src", "href", "srcset")]
    assert fetching == []
    assert "url(" not in page
    assert "@import" not in page
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket)\b", page)


def test_the_samples_are_inside_and_cannot_break_out(page: str) -> None:
    embedded = re.search(r'<script type="application/json" id="story">(.*?)</script>', page, re.DOTALL)
    assert embedded
    data = json.loads(embedded[1])
    assert data["models"][0]["samples"][3] == {
        "at": 20.0,
        "shares": {"1": 100},
        "requests": {"1": 900, "2": 45},
        "errors": {"2": 5},
        "failed": 2,
    }
    assert "<script>alert" not in page
    assert "</script><b>" not in page


@pytest.mark.parametrize(
    "words",
    [
        "A story",
        "failed at their caller",
        "version 2",
        "RolledBack",
        "98.0%",
        "The crash",
        "asleep, no process",
        "1,400",
    ],
)
def test_a_person_finds(words: str, reader: Reader) -> None:
    assert words in " ".join(reader.text)


def test_every_mark_has_a_pin_with_its_sentence(page: str) -> None:
    assert page.count('<g class="pin') == len(MODEL.marks) + 3  # the close-up repeats three
    assert "<title>10.00 s · version 2 takes 10 %</title>" in page


def test_shares_are_drawn_as_steps_that_fill_the_panel(page: str) -> None:
    first, second = re.findall(r'<path class="area (s\d)" d="([^"]+)"', page)[:2]
    assert (first[0], second[0]) == ("s1", "s2")
    heights = {float(number) for number in re.findall(r"V([\d.]+)", first[1])}
    assert len(heights) == 3  # 0, 90 and 100 percent
    assert second[1].count("M") == 1


def test_errors_that_were_repeated_and_those_that_reached_a_caller_look_different(page: str) -> None:
    assert re.search(r'<rect class="repeated"', page)
    assert re.search(r'<rect class="failed"', page)


def test_a_story_without_errors_says_none() -> None:
    calm = replace(MODEL, samples=tuple(replace(sample, errors={}, failed=0) for sample in SAMPLES))
    page = render_page(replace(STORY, models=(calm,)))
    assert ">none</text>" in page
    assert '<rect class="failed"' not in page


def test_a_story_that_has_hardly_begun_can_be_drawn() -> None:
    for model in (
        ModelStory("digits"),
        ModelStory("digits", samples=(Sample(0.0),)),
        ModelStory("digits", marks=MODEL.marks),
    ):
        Reader(render_page(replace(STORY, models=(model,), seconds=1.0)))


def test_many_versions_keep_their_colours_and_the_late_ones_share_a_grey() -> None:
    samples = tuple(Sample(float(n), {n: 100}, {n: 10}) for n in range(1, 10))
    page = render_page(replace(STORY, models=(ModelStory("digits", samples=samples),), seconds=10.0))
    assert 'class="key s6">version 6' in page
    assert 'class="key s0">version 9' in page


@pytest.mark.parametrize(("value", "ceiling"), [(0, 1), (1, 1), (1.2, 2), (3, 5), (61, 100), (100, 100), (240, 500)])
def test_axes_end_at_a_round_number(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == ceiling


def test_rates_count_what_was_added_and_never_below_zero() -> None:
    assert MODEL.rate(lambda sample: sample.requests.get(1, 0), 10, 20) == 45
    assert MODEL.rate(lambda sample: sample.requests.get(1, 0), -5, 0) == 0


def test_a_narrow_window_scrolls_a_chart_instead_of_shrinking_its_words() -> None:
    page = render_page(STORY)
    assert page.count('<div class="scroll"><svg ') == page.count("<svg ") == 2
    assert re.search(r"^svg \{[^}]*min-width: 7\d\dpx", page, re.MULTILINE)
    assert re.search(r"^\.scroll \{[^}]*overflow-x: auto", page, re.MULTILINE)


def test_errors_are_said_to_stand_where_they_were_counted() -> None:
    page = render_page(STORY)
    assert page.count("errors per second, as counted") == 2
    assert page.count('<p class="note">Errors stand &lt;late&gt;.</p>') == 1
    silent = replace(STORY, models=(replace(MODEL, closeups=(Closeup("The crash", 18.0, 22.0),)),))
    assert 'class="note"' not in render_page(silent)
