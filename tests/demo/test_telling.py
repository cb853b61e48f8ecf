"""What a person reads fits the terminal, is broken between words, and counts one request as one."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from demo.__main__ import clear
from demo.engine import EngineError
from demo.report import Results, counted, summary
from demo.teller import Teller, wrapped
from turnout.view.live import Screen
from turnout.view.story import Mark, MarkKind

FOUND = Results(
    turnout="1",
    python="3.12",
    cores=2,
    began="",
    seconds=70.2,
    requests=5400,
    failed=0,
    failures=(),
    answered={1: 400, 2: 5000},
    accuracy={1: 0.81, 2: 0.98},
    slowest_seconds=0.4,
    states={},
    promoted_seconds=16.52,
    judged_seconds=20.5,
    verdict="canary 6.2 % errors of 96, stable 0 % of 1 007: worse than stable, proven",
    crash_to_out_seconds=0.031,
    failed_by={1: 0, 2: 0, 3: 6, 4: 1},
    repeated_on_stable=1,
    wake_seconds=1.61,
    page=".demo/story.html",
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(width: int, text: str) -> list[str]:
    stream = Terminal()
    teller = Teller(Screen(stream, size=lambda: (width, 24)))
    teller._colour = False
    teller.chapter(text)
    teller.mark("digits", Mark(21.5, MarkKind.FAILED, 4, text))
    lines = stream.getvalue().replace("\x1b[K", "").splitlines()
    return [line.rpartition("\x1b[?7h")[2].rpartition("\r")[2] for line in lines]


@pytest.mark.parametrize("width", [64, 80, 200])
def test_lines_are_broken_between_words_at_the_width(width: int) -> None:
    text = "Version 1, trained on 120 images only, is the first of its model: nothing stands in its way, " * 2
    lines = told(width, text)
    assert max(map(len, lines)) <= min(width, 100)
    words = " ".join(" ".join(lines).split())
    assert text.strip() in words
    assert f"21.50 s digits v4 {text.strip()}" in words


def test_a_log_keeps_lines_whole() -> None:
    stream = io.StringIO()
    Teller(Screen(stream)).chapter("word " * 40)
    assert stream.getvalue().strip() == ("word " * 40).strip()


def test_a_path_is_never_broken() -> None:
    path = "/a-b/" * 30
    assert wrapped(f"its log: {path}", 40) == ["its log:", path]


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("folder", [".demo", "/home/me/with/a/long/name/of/a/folder/in"])
def test_the_summary_fits_and_its_commands_can_be_pasted(folder: str, width: int) -> None:
    text = summary(FOUND, Path(folder), width)
    assert max(map(len, text.splitlines())) <= width
    assert "\n  version 5  could not load and answered 0 requests\n  digits-night  slept" in text
    commands = [line.strip() for line in text.replace(" \\\n", "").partition("Try next:")[2].splitlines()]
    up = next(line for line in commands if " up " in line)
    assert up.split() == [".venv/bin/turnout", "up", f"{folder}/versions", "--state", f"{folder}/state"]


def test_one_request_is_one_and_two_are_two() -> None:
    one, two = (" ".join(summary(replace(FOUND, repeated_on_stable=n), Path("d")).split()) for n in (1, 2))
    assert "the 1 request that it and version 3 failed was repeated on version 2" in one
    assert "the 2 requests that it and version 3 failed were repeated on version 2" in two
    assert [counted(n, "request") for n in (0, 1, 1200)] == ["0 requests", "1 request", "1,200 requests"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"file cannot be made: Not a directory; give --folder another place"):
        clear(tmp_path / "file")
