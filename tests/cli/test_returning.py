"""`turnout rollback`: who is to serve, who steps aside for that, and what a return costs."""

from typing import Any

import pytest

from tests.cli.data import version
from tests.cli.test_control import RUNNING, Raw, Turnout


def test_rollback_while_a_rollout_runs_sets_the_candidate_aside(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    code, out, err = turnout("rollback", "digits")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "digits-1 is to serve digits: it serves already",
        "digits-2: is set aside: it keeps nothing of the traffic",
    ]
    assert server.patches == [("digits-2", {"desired": "Standby"})]


def test_rollback_goes_to_who_served_before_past_what_failed_and_lower_ones_step_aside_first(
    turnout: Turnout, cluster: Any
) -> None:
    replaced = {"replacedAt": "2026-11-21T11:00:00Z"}
    server = cluster(
        version(1, "Archived", status={"replacedAt": "2026-11-21T09:00:00Z"}),
        version(2, "Standby", status={**replaced, "replicas": {"ready": 1, "floor": 1}}),
        version(3, "Superseded"),
        version(4, "RolledBack"),
        version(5, "Live"),
    )
    assert turnout("rollback", "digits")[1].startswith("digits-2 is to serve digits: its pods are ready: at once\n")
    assert server.patches == [("digits-3", {"desired": "Standby"}), ("digits-5", {"desired": "Standby"})]


def test_rollback_goes_past_who_served_once_and_has_failed_since(turnout: Turnout, cluster: Any) -> None:
    failed = {"promotedAt": "2026-11-21T10:02:00Z", "replacedAt": "2026-11-21T11:00:00Z"}
    server = cluster(version(1, "Standby"), version(2, "RolledBack", status=failed), version(3, "Live"))
    assert turnout("rollback", "digits")[1].startswith("digits-1 is to serve digits: ")
    assert server.patches == [("digits-3", {"desired": "Standby"})]


def test_who_was_retired_returns_by_its_whole_plan_where_its_bytes_are_not_known(
    turnout: Turnout, cluster: Any
) -> None:
    retired = {"promotedAt": "2026-11-21T10:01:00Z"}
    cluster(version(1, "Retired", spec={"desired": "Retired"}, status=retired), version(2, "Live"))
    out = turnout("rollback", "digits", "1")[1]
    why = "it is Retired, and goes through its whole plan: nothing is recorded of what it was made of"
    assert f"digits-1: is made the target again ({why})" in out


def test_rollback_is_the_way_forward_again(turnout: Turnout, cluster: Any) -> None:
    server = cluster(version(1, "Live"), version(2, "Standby", spec={"desired": "Standby"}))
    out = turnout("rollback", "digits", "2")[1]
    assert server.patches == [("digits-2", {"desired": "Live"})]
    assert "is made the target again (as soon as its pods are ready, without its plan)" in out


def test_rollback_says_who_would_undo_it(turnout: Turnout, cluster: Any) -> None:
    owned = {"annotations": {"argocd.argoproj.io/tracking-id": "models:turnout.dev/ModelVersion:support/digits-2"}}
    server = cluster(RUNNING[0], {**RUNNING[1], "metadata": {**RUNNING[1]["metadata"], **owned}})
    code, out, err = turnout("rollback", "digits", "--dry-run")
    assert code == 0
    assert err == "turnout: digits-2 is kept by Argo CD: commit it there, or it is undone\n"
    assert """'{"spec":{"desired":"Standby"}}'""" in out
    assert server.patches == []


@pytest.mark.parametrize(
    ("versions", "arguments", "sentence"),
    [
        (RUNNING[:1], (), "digits has no version that served before digits-1; there: 1; name one: "),
        (RUNNING[:1], ("1",), "digits-1 is the target of digits already; digits-1 is Live"),
        ((version(1, "Failed"), version(2, "Live")), ("1",), "digits-1 is Failed: it gets no traffic before it is"),
    ],
)
def test_a_rollback_that_leads_nowhere_says_why(
    turnout: Turnout, cluster: Any, versions: tuple[Raw, ...], arguments: tuple[str, ...], sentence: str
) -> None:
    server = cluster(*versions)
    code, _, err = turnout("rollback", "digits", *arguments)
    assert code == 1
    assert sentence in err
    assert server.patches == []
