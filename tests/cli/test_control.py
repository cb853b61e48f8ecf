"""What people on duty say: to which version, by which patch, with which words, and what the engine made of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.apiserver import ApiServer
from tests.cli.conftest import write
from tests.cli.data import version
from turnout.platform.local.folder import Folder
from turnout.platform.local.overlay import requests

Turnout = Callable[..., tuple[int, str, str]]
Raw = dict[str, Any]


PLAN = [{"warmup": {}}, {"setWeight": 10}, {"pause": {"duration": "10m"}}, {"setWeight": 50}, {"pause": {}}]
PAUSED = {
    "reason": "PausedByPlan", "weight": {"desired": 10, "observed": 10}, "step": {"index": 2, "display": "3/5"},
    "plan": {"hash": "1", "source": "spec", "steps": PLAN},
}  # fmt: skip
RUNNING = (version(1, "Live"), version(2, "Paused", status=PAUSED))


def test_promote_finds_the_version_in_rollout_and_writes_one_fresh_token(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    code, out, err = turnout("promote", "digits")
    assert (code, err) == (0, "")
    assert out == "digits-2: ends its step 3/5 now\n"
    ((name, spec),) = server.patches
    token = spec["control"]["promote"].pop("token")
    assert (name, spec) == ("digits-2", {"control": {"promote": {"mode": "NextStep"}}})
    turnout("promote", "digits", "--full")
    again = server.patches[1][1]["control"]["promote"]
    assert again["mode"] == "Full"
    assert again["token"] not in ("", token)


@pytest.mark.parametrize(
    ("command", "patch", "said"),
    [
        ("abort", {"control": {"abort": True}}, "gives its share back; it gets no traffic until it is retried"),
        ("pause", {"control": {"paused": True}}, "keeps its 10 % and waits; harm still rolls it back"),
    ],
)
def test_abort_and_pause_name_what_they_touch(
    turnout: Turnout, cluster: Any, command: str, patch: Raw, said: str
) -> None:
    server = cluster(*RUNNING)
    assert turnout(command, "digits") == (0, f"digits-2: {said}\n", "")
    assert server.patches == [("digits-2", patch)]


def test_abort_of_a_version_that_waits_leaves_the_rollout_that_runs(turnout: Turnout, cluster: Any) -> None:
    server = cluster(version(1, "Live"), version(2, "Progressing"), version(3, "Queued"), version(4, "Rejected"))
    said = "digits-3: waits no more; it gets no traffic until it is retried\n"
    assert turnout("abort", "digits", "3")[:2] == (0, said)
    assert server.patches == [("digits-3", {"control": {"abort": True}})]
    for word, state in (("1", "Live"), ("4", "Rejected")):
        code, _, err = turnout("abort", "digits", word)
        assert code == 1
        assert f"digits-{word} is {state}: no rollout of it runs or waits, so there is nothing to abort" in err


def test_resume_lets_go_what_a_person_has_paused(turnout: Turnout, cluster: Any) -> None:
    server = cluster(version(1, "Live"), version(2, "Paused", spec={"control": {"paused": True}}))
    assert turnout("resume", "digits")[:2] == (0, "digits-2: goes on where it was\n")
    assert server.patches == [("digits-2", {"control": {"paused": False}})]


def test_resume_waits_until_the_engine_has_seen_that_it_may_go_on(turnout: Turnout, cluster: Any) -> None:
    """A pause that was never recorded is gone from the status before anybody has looked."""
    cluster(version(1, "Live"), version(2, "Paused", spec={"control": {"paused": True}}))
    code, _, err = turnout("resume", "digits", "--wait", "--timeout", "1s")
    assert code == 3
    assert "digits-2: not accepted within 1 s; it stays asked for" in err


def test_resume_lets_go_the_rollout_that_runs_and_not_a_newer_one_that_only_says_so(
    turnout: Turnout, cluster: Any
) -> None:
    said = {"control": {"paused": True}}
    server = cluster(
        version(1, "Live"), version(2, "Paused", spec=said), version(3, "Standby", spec={**said, "desired": "Standby"})
    )
    assert turnout("resume", "digits")[:2] == (0, "digits-2: goes on where it was\n")
    assert [name for name, _ in server.patches] == ["digits-2"]


def test_retry_takes_the_newest_that_failed_and_clears_an_abort_that_would_refuse_it(
    turnout: Turnout, cluster: Any
) -> None:
    aborted = version(3, "Aborted", spec={"control": {"abort": True}}, status={"attempt": 2})
    server = cluster(version(1, "Live"), version(2, "RolledBack"), aborted)
    code, out, _ = turnout("retry", "digits")
    assert code == 0
    assert out == (
        "digits-3: attempt 3 begins, with its plan from the first step on\n"
        "  control.abort was still true and would refuse it: set to false\n"
    )
    ((name, spec),) = server.patches
    assert name == "digits-3"
    assert spec["control"]["abort"] is False
    assert spec["control"]["retryToken"]


def test_retry_of_one_that_was_set_aside_makes_it_live_again(turnout: Turnout, cluster: Any) -> None:
    """As `turnout rollback` leaves it, which will not take it back by itself."""
    server = cluster(version(1, "Live"), version(2, "RolledBack", spec={"desired": "Standby"}))
    code, out, _ = turnout("retry", "digits", "2")
    assert code == 0
    assert "desired was Standby and would refuse it: set to Live; so in Git, where Git rules" in out
    ((name, spec),) = server.patches
    assert (name, spec["desired"]) == ("digits-2", "Live")
    assert spec["control"]["retryToken"]


STOP = {"reason": "DeadlineExceeded", "metric": "deadline", "message": "it takes longer than its deadline of 24h"}


def test_resume_says_what_still_stops_it(turnout: Turnout, cluster: Any) -> None:
    cluster(version(1, "Live"), version(2, "Paused", spec={"control": {"paused": True}}, status={"stops": [STOP]}))
    assert turnout("resume", "digits")[:2] == (
        0,
        "digits-2: is paused by a person no longer\n"
        "  it stays stopped: it takes longer than its deadline of 24h; a longer rollout.deadline or "
        "turnout promote digits lets its step go on\n",
    )


BLOCKED = {
    "reason": "RollbackBlocked", "hold": {"reason": "RollbackBlocked", "since": "2026-11-21T10:00:00Z"},
    "weight": {"desired": 100, "observed": 100}, "attempt": 1,
}  # fmt: skip


def test_one_that_is_condemned_and_carries_on_alone_is_the_one_to_retry(turnout: Turnout, cluster: Any) -> None:
    server = cluster(version(2, "Held", status=BLOCKED, spec={"control": {"abort": True}}))
    code, out, _ = turnout("retry", "digits")
    assert (code, out) == (
        0,
        "digits-2: attempt 2 begins, with its plan from the first step on\n"
        "  control.abort was still true and would refuse it: set to false\n",
    )
    assert [sorted(spec["control"]) for _, spec in server.patches] == [["abort", "retryToken"]]
    assert turnout("promote", "digits")[2].endswith("turnout promote digits --full\n")


def test_a_pause_before_its_first_share_says_what_goes_on(turnout: Turnout, cluster: Any) -> None:
    cluster(version(1, "Live"), version(2, "Warming"))
    says = "waits before its first share; its warmup goes on, with the timeout that the plan gives it"
    assert turnout("pause", "digits")[:2] == (0, f"digits-2: {says}\n")


def test_resume_of_a_pause_that_stops_nothing_does_not_say_that_something_goes_on(
    turnout: Turnout, cluster: Any
) -> None:
    cluster(version(1, "Live", spec={"control": {"paused": True}}))
    says = "is paused by a person no longer; it is in no rollout that could go on"
    assert turnout("resume", "digits")[:2] == (0, f"digits-1: {says}\n")


def test_retry_of_one_that_is_not_the_target_says_so(turnout: Turnout, cluster: Any) -> None:
    cluster(version(3, "Live"), version(2, "RolledBack"))
    out = turnout("retry", "digits", "v2")[1]
    assert "digits-3 is newer and Live, so it stays the target; to change that: turnout rollback digits 2" in out


@pytest.mark.parametrize(
    ("versions", "arguments", "sentence"),
    [
        (RUNNING, ("promote", "digit"), "no model digit in cluster north, namespace support; did you mean digits?"),
        (RUNNING, ("promote", "digits-2"), "digits-2 is a version of the model digits: name the model"),
        (RUNNING, ("retry", "digits"), "no version of digits has failed; see: turnout status digits"),
        (RUNNING, ("retry", "digits", "7"), "digits has no version 7; there: 2, 1"),
        (RUNNING, ("retry", "digits", "1"), "digits-1 cannot be retried: it is Live: only an attempt that"),
        (RUNNING, ("resume", "digits"), "digits-2 is not paused by a person: its plan pauses it; to go on at once: "),
        (RUNNING[:1], ("promote", "digits"), "no rollout of digits runs (digits-1 is Live); see: turnout status"),
        (
            (version(1, "Live"), version(2, "Aborted")),
            ("abort", "digits"),
            "no rollout of digits runs (digits-1 is Live); to try digits-2 again: turnout retry digits",
        ),
        ((version(1, "Live"), version(2, "Queued")), ("pause", "digits"), "runs (digits-2 is Queued; digits-1 is Live"),
        ((version(1, "Live"), version(2, "RollingBack")), ("promote", "digits"), "promoted: it is being rolled back"),
        ((version(1, "Live"), version(2, "Warming")), ("promote", "digits"), "no caller has met it yet: NextStep ends"),
        ((version(2, "Paused", spec={"control": {"paused": True}}),), ("promote", "digits"), "turnout resume digits"),
        ((version(2, "Held", spec={"control": {"abort": True}}),), ("promote", "digits"), "abort is true and wins"),
    ],
)  # fmt: skip
def test_every_no_names_the_way_out(
    turnout: Turnout, cluster: Any, versions: tuple[Raw, ...], arguments: tuple[str, ...], sentence: str
) -> None:
    server = cluster(*versions)
    code, out, err = turnout(*arguments)
    assert (code, out) == (1, "")
    assert sentence in err
    assert server.patches == []


def test_a_model_of_several_namespaces_must_be_told_apart(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING, version(4, "Deploying", namespace="search"))
    assert (
        "model digits is in several namespaces: search, support; name one with -n"
        in turnout("pause", "digits", "-A")[2]
    )
    assert turnout("pause", "digits", "-n", "search")[0] == 0
    assert server.patches[0][0] == "digits-4"


def test_a_version_that_changes_meanwhile_is_read_again_and_asked_once(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    conflicts = iter([(409, {"message": "the object has been modified"})] * 3)
    server.on_patch = lambda name, patch: next(conflicts, None)
    assert turnout("promote", "digits")[0] == 0
    assert len(server.patches) == 1


def test_a_version_that_never_stands_still_is_a_sentence(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    server.on_patch = lambda name, patch: (409, {})
    assert "somebody else keeps changing the versions in cluster north" in turnout("promote", "digits")[2]


def test_a_rollout_that_ended_between_two_tries_is_not_promoted_blindly(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)

    def roll_back(name: str, patch: Raw) -> tuple[int, Raw]:
        server.versions["digits-2"]["status"]["state"] = "RolledBack"
        return 409, {}

    server.on_patch = roll_back
    code, _, err = turnout("promote", "digits")
    assert code == 1
    assert "no rollout of digits runs" in err


def test_forbidden_names_the_verb_the_resource_and_the_servers_own_words(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    server.on_patch = lambda name, patch: (403, {"message": 'User "ann" cannot patch resource "modelversions"'})
    assert turnout("promote", "digits") == (
        1,
        "",
        "turnout: cluster north, namespace support does not let you patch modelversions.turnout.dev: "
        'ask for the verb patch on modelversions.turnout.dev (User "ann" cannot patch resource "modelversions")\n',
    )


@pytest.mark.parametrize(
    "before",
    ["ValidatingAdmissionPolicy 'turnout' with binding 'turnout' denied request: ", 'webhook "x" denied the request: '],
)
def test_what_a_policy_denies_is_told_in_its_own_words(turnout: Turnout, cluster: Any, before: str) -> None:
    """Who may patch may still not promote: to ask for the verb patch would be the wrong way out."""
    server = cluster(*RUNNING)
    said = "spec.control.promote: ann may not promote or approve versions; ask for the verb promote"
    server.on_patch = lambda name, patch: (403, {"message": f'modelversions "digits-2" is forbidden: {before}{said}'})
    assert turnout("promote", "digits") == (1, "", f"turnout: cluster north, namespace support: {said}\n")


def test_who_is_not_known_is_asked_to_log_in(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    server.on_patch = lambda name, patch: (401, {"message": "Unauthorized"})
    code, _, said = turnout("promote", "digits")
    assert (code, said) == (
        1,
        "turnout: cluster north, namespace support does not know who you are: log in again (Unauthorized)\n",
    )


def test_dry_run_prints_the_patch_as_kubectl_would_be_told_it_and_asks_nothing(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    code, out, _ = turnout("abort", "digits", "--dry-run")
    assert code == 0
    assert out.splitlines()[1] == (
        "kubectl patch modelversion digits-2 --namespace support --type merge "
        """--patch '{"spec":{"control":{"abort":true}}}'"""
    )
    assert server.patches == []


def obey(server: ApiServer, status: Raw) -> Callable[[str, Raw], None]:
    """The operator of this server: what a patch asks for is in the status at once."""

    def take(name: str, patch: Raw) -> None:
        seen = server.versions[name]["status"]
        seen.update(
            json.loads(
                json.dumps(status).replace("TOKEN", str(patch["spec"]["control"].get("promote", {}).get("token")))
            )
        )

    return take


def test_wait_ends_when_the_engine_has_taken_it_up_and_says_where_it_stands(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    taken = {"state": "Progressing", "weight": {"desired": 50, "observed": 10}, "control": {"promoteToken": "TOKEN"}}
    server.on_patch = obey(server, {**taken, "step": {"index": 3, "display": "4/5"}, "message": "50 % is on its way"})
    code, out, _ = turnout("promote", "digits", "--wait")
    assert code == 0
    assert out.splitlines() == [
        "digits-2: ends its step 3/5 now",
        "digits-2: Progressing at 10 %, step 4/5: 50 % is on its way",
        "digits-2: accepted",
    ]


def test_a_frozen_version_can_be_aborted_and_promoted_whole(turnout: Turnout, cluster: Any) -> None:
    server = cluster(version(1, "Live"), version(2, "Frozen"))
    assert turnout("abort", "digits")[0] == 0
    assert server.patches == [("digits-2", {"control": {"abort": True}})]


def test_what_the_engine_refuses_is_told_and_exit_code_3(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    server.on_patch = obey(server, {"state": "Held", "control": {"promoteToken": "TOKEN", "refused": ["promote"]}})
    code, _, err = turnout("promote", "digits", "--wait")
    assert code == 3
    assert "digits-2 is Held: the engine has refused this, it has no effect; its events say why" in err


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("Paused", "digits-2: not accepted within 0 s; it stays asked for: is an operator, or turnout up, running?"),
        ("RolledBack", "digits-2 is RolledBack: the engine did not take this up"),
    ],
)
def test_what_is_not_taken_up_is_exit_code_3(turnout: Turnout, cluster: Any, state: str, sentence: str) -> None:
    server = cluster(*RUNNING)

    def ignore(name: str, patch: Raw) -> None:
        server.versions[name]["status"].update({"state": state, "observedGeneration": 5})

    server.on_patch = ignore
    code, _, err = turnout("promote", "digits", "--wait", "--timeout", "0s")
    assert (code, err) == (3, f"turnout: {sentence}\n")


def test_waiting_for_a_version_that_is_deleted_ends(turnout: Turnout, cluster: Any) -> None:
    server = cluster(*RUNNING)
    server.on_patch = lambda name, patch: (server.versions.pop("digits-2") and None) or (200, {})
    assert "turnout: digits-2 is gone" in turnout("abort", "digits", "--wait")[2]


# a local engine


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / ".turnout"
    for each in RUNNING:
        name = each["metadata"]["name"]
        body = {**each, "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "generation": 1}}
        write(folder, f"versions/default.{name}", {"object": body, "file": f"{name}.yaml"})
    return folder


def test_a_local_engine_is_left_a_request_and_no_file_is_touched(turnout: Turnout, local: Path) -> None:
    code, out, err = turnout("pause", "digits")
    assert (code, out) == (0, "digits-2: keeps its 10 % and waits; harm still rolls it back\n")
    assert err == "turnout: no engine runs here: it takes effect when turnout up is started in this folder again\n"
    ((_, request),) = requests(Folder(local))
    assert request is not None
    assert (request.name, request.spec) == ("digits-2", {"control": {"paused": True}})


def test_a_folder_that_cannot_be_written_is_a_sentence(turnout: Turnout, local: Path) -> None:
    (local / "state" / "requests").write_text("in the way")
    code, _, err = turnout("pause", "digits")
    assert code == 1
    assert err.startswith("turnout: .turnout cannot be written: File exists; make room")
