"""The closed lists: words that Kubernetes takes, each with one sentence of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from turnout.api.reasons import (
    FAILED_STATES,
    ROLLOUT_STATES,
    ConditionType,
    Documented,
    EventReason,
    Reason,
    Role,
    State,
)

ROOT = Path(__file__).parents[2]
LISTS = (State, Role, ConditionType, Reason, EventReason)
WORDS = [word for words in LISTS for word in words]


@pytest.mark.parametrize("word", WORDS, ids=[f"{type(word).__name__}.{word.name}" for word in WORDS])
def test_a_word_is_camel_case_and_has_a_sentence(word: Documented) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z]+", word)
    assert len(word) <= 40
    assert re.fullmatch(r"[A-Z].{14,}\.", word.sentence)


@pytest.mark.parametrize("words", LISTS)
def test_no_two_words_of_a_list_have_one_sentence(words: type[Documented]) -> None:
    sentences = [word.sentence for word in words]
    assert sorted(set(sentences)) == sorted(sentences)


def used() -> set[tuple[str, str]]:
    """(list, word) for each that code names outside of the lists themselves."""
    sources = (path for path in (ROOT / "operator" / "turnout").rglob("*.py") if path.name != "reasons.py")
    nodes = (node for path in sources for node in ast.walk(ast.parse(path.read_text())))
    return {
        (node.value.id, node.attr)
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


def test_every_word_is_said_somewhere() -> None:
    """Who waits for a word that nobody says waits for ever."""
    said = used()
    assert [str(word) for word in WORDS if (type(word).__name__, word.name) not in said] == []


def test_the_states_are_those_of_the_design() -> None:
    design = (
        "Pending Queued Deploying Warming Shadowing Progressing Paused Held Promoting Live Standby RollingBack "
        "RolledBack Aborted Frozen Superseded Failed Archived Retired Rejected"
    )
    assert [str(state) for state in State] == design.split()


def test_what_has_failed_is_in_no_rollout() -> None:
    assert FAILED_STATES.isdisjoint(ROLLOUT_STATES)


def test_a_word_is_a_string_for_json_and_for_people() -> None:
    assert f"{Role.Unassigned}" == "None"
    assert Role("None") is Role.Unassigned
