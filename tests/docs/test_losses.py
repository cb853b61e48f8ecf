"""The table of what happens if something breaks is the one that the tests on the real cluster have measured."""

import re

from tests.cluster.rollouts.losses import FAULTS, MEASURED, PAGE, measured, page

TESTS = MEASURED.parent


def test_the_page_shows_what_was_measured() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "write it anew: python -m tests.cluster.rollouts.losses"


def test_every_fault_was_measured_and_nothing_lost_without_a_reason() -> None:
    assert set(measured()) == set(FAULTS)
    assert not [key for key, run in measured().items() if run.failed and not FAULTS[key].why]


def test_every_fault_has_its_test() -> None:
    told = {key for path in TESTS.glob("test_*.py") for key in re.findall(r'lost\("([\w-]+)"', path.read_text())}
    assert told == set(FAULTS)
