"""The live screen, on a stream that says it is a terminal, read through a small terminal of our own."""

import io
import re

from turnout.view.live import BEGIN_FRAME, END_FRAME, HIDE_CURSOR, SHOW_CURSOR, Screen

CONTROL = re.compile(r"\x1b\[(\?\d+[hl]|\d*[AKJ])|\r|\n|[^\x1b\r\n]+")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def read_lines(self) -> list[str]:
        """What stands on an endless terminal after all that was written."""
        lines, row, column = [""], 0, 0
        for found in CONTROL.finditer(self.getvalue()):
            text = found[0]
            if text == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            elif text == "\r":
                column = 0
            elif text.endswith("A"):
                row -= int(text[2:-1])
            elif text.endswith("K"):
                lines[row] = lines[row][:column]
            elif text.endswith("J"):
                lines[row:] = [lines[row][:column]]
            elif not text.startswith("\x1b"):
                lines[row] = lines[row][:column] + text + lines[row][column + len(text) :]
                column += len(text)
        return lines[:-1]


def screen(terminal: io.StringIO, height: int = 24) -> Screen:
    return Screen(terminal, size=lambda: (80, height))


def test_a_tree_takes_the_place_of_the_former_one() -> None:
    terminal = Terminal()
    with screen(terminal) as drawn:
        drawn.show("one\ntwo\nthree")
        drawn.show("1\n2")
    assert terminal.read_lines() == ["1", "2"]


def test_news_stay_above_the_tree() -> None:
    terminal = Terminal()
    with screen(terminal) as drawn:
        drawn.show("tree\nwith two lines")
        drawn.say("first news")
        drawn.show("tree")
        drawn.say("second\nnews")
    assert terminal.read_lines() == ["first news", "second", "news", "tree"]


def test_an_equal_tree_writes_nothing() -> None:
    terminal = Terminal()
    with screen(terminal) as drawn:
        drawn.show("tree")
        before = terminal.getvalue()
        drawn.show("tree")
        assert terminal.getvalue() == before


def test_a_frame_is_one_synchronized_write_and_the_cursor_comes_back() -> None:
    terminal = Terminal()
    with screen(terminal) as drawn:
        drawn.show("tree")
    written = terminal.getvalue()
    assert written.startswith(HIDE_CURSOR + BEGIN_FRAME)
    assert written.endswith(END_FRAME + SHOW_CURSOR)


def test_the_cursor_comes_back_after_an_error() -> None:
    terminal = Terminal()
    try:
        with screen(terminal):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert terminal.getvalue().endswith(SHOW_CURSOR)


def test_a_low_terminal_shows_the_beginning_and_says_how_much_is_missing() -> None:
    terminal = Terminal()
    with screen(terminal, height=4) as drawn:
        drawn.show("1\n2\n3\n4\n5")
    assert terminal.read_lines() == ["1", "2", "… 3 more lines"]


def test_what_is_no_terminal_gets_the_news_as_plain_lines_and_no_tree() -> None:
    stream = io.StringIO()
    with screen(stream) as drawn:
        drawn.show("tree")
        drawn.say("news")
    assert stream.getvalue() == "news\n"
    assert drawn.width == 80
