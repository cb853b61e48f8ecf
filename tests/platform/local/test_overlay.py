"""What commands say over a file: it wins until the file's own words change, and survives whoever is killed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from turnout.api.base import JsonObject
from turnout.api.loading import load
from turnout.api.status import StepStatus
from turnout.api.version import Desired, ModelVersion
from turnout.platform.local.folder import Folder
from turnout.platform.local.overlay import Overlay, Request, TooLateError, leave, requests
from turnout.platform.local.store import Versions
from turnout.rollout.snapshot import ModelKey

KEY = ModelKey("default", "tiny")
YAML = """\
apiVersion: turnout.dev/v1alpha1
kind: ModelVersion
metadata: {name: tiny-1}
spec:
  model: tiny
  version: 1
  predictor: {runtime: custom, entrypoint: "tiny:Tiny"}
  scaling: {maxReplicas: 2}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path / "state")
    folder.hold()
    yield folder
    folder.release()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(YAML)
    return path


@pytest.fixture
def versions(folder: Folder, file: Path) -> Versions:
    found = Versions(folder, "default")
    found.take(load([file]))
    return found


def the(versions: Versions) -> ModelVersion:
    (version,) = versions
    return version


def request(versions: Versions, **spec: JsonObject | str) -> Request:
    version = the(versions)
    return Request(namespace=version.namespace, name=version.name, uid=version.uid, spec=dict(spec))


def test_what_is_said_counts_is_a_new_generation_and_outlives_the_engine(folder: Folder, versions: Versions) -> None:
    assert versions.say(request(versions, control={"paused": True})) == KEY
    assert versions.say(request(versions, control={"promote": {"token": "t1"}})) == KEY
    for each in (versions, Versions(folder, "default")):
        assert the(each).metadata.generation == 3
        assert the(each).spec.control.paused
        assert the(each).spec.control.promote.token == "t1"


def test_saying_it_again_changes_nothing(versions: Versions) -> None:
    versions.say(request(versions, control={"paused": True}))
    assert versions.say(request(versions, control={"paused": True})) is None
    assert the(versions).metadata.generation == 2


def test_an_edit_of_anything_else_in_the_file_leaves_it_in_force(versions: Versions, file: Path) -> None:
    versions.say(request(versions, control={"paused": True}, desired="Standby"))
    file.write_text(YAML.replace("maxReplicas: 2", "maxReplicas: 5"))
    assert versions.take(load([file])).keys == {KEY}
    spec = the(versions).spec
    assert (spec.scaling.max_replicas, spec.control.paused, spec.desired) == (5, True, Desired.STANDBY)


def test_an_edit_of_the_same_part_of_the_file_has_the_last_word_for_good(versions: Versions, file: Path) -> None:
    versions.say(request(versions, control={"paused": True}, desired="Standby"))
    file.write_text(YAML + "  control: {promote: {token: t9}}\n")
    versions.take(load([file]))
    spec = the(versions).spec
    assert (spec.control.paused, spec.control.promote.token, spec.desired) == (False, "t9", Desired.STANDBY)
    file.write_text(YAML)
    versions.take(load([file]))
    assert not the(versions).spec.control.paused


def test_who_says_what_the_file_says_has_said_nothing(folder: Folder, versions: Versions, file: Path) -> None:
    versions.say(request(versions, control={"paused": True}))
    versions.say(request(versions, control={"paused": False}))
    record = json.loads((folder.state / "versions" / "default.tiny-1.json").read_text())
    assert "overlay" not in record


@pytest.mark.parametrize("stranger", [{"uid": "another"}, {"name": "tiny-9"}])
def test_words_for_a_version_that_is_gone_are_answered(versions: Versions, stranger: dict[str, str]) -> None:
    wish = request(versions, control={"paused": True}).model_copy(update=stranger)
    with pytest.raises(TooLateError, match="is not here any more: what was asked of it has no effect"):
        versions.say(wish)
    assert not the(versions).spec.control.paused


def test_a_promotion_of_a_step_that_is_over_has_no_effect_and_is_noted(versions: Versions) -> None:
    wish = {"control": {"promote": {"mode": "NextStep", "token": "t1"}}}
    left = request(versions, **wish).model_copy(update={"step": "1.2"})
    version = the(versions)
    step = StepStatus(index=3)
    versions.record_status(KEY, version.name, version.status.model_copy(update={"attempt": 1, "step": step}))
    with pytest.raises(TooLateError, match="tiny-1 has gone on to another step meanwhile"):
        versions.say(left)
    control = the(versions).status.control
    assert (control.promote_token, control.refused) == ("t1", ("promote",))
    assert the(versions).spec.control.promote.token == ""
    assert versions.say(left.model_copy(update={"step": "1.3"})) == KEY


@pytest.mark.parametrize("odd", [{"control": {"pause": True}}, {"control": {"paused": "yes"}}, {"desired": "Gone"}])
def test_words_that_make_no_sense_are_refused(versions: Versions, odd: JsonObject) -> None:
    with pytest.raises(ValueError, match=r"paus|Gone"):
        versions.say(request(versions, **odd))  # type: ignore[arg-type]


def test_requests_are_taken_in_the_order_in_which_they_were_left(folder: Folder, versions: Versions) -> None:
    for paused in (True, False, True):
        leave(folder.state, request(versions, control={"paused": paused}))
    found = [each.spec["control"] for _, each in requests(folder) if each]
    assert found == [{"paused": True}, {"paused": False}, {"paused": True}]


@pytest.mark.parametrize("text", ["{}", '{"namespace": "d", "name": "n", "uid": "u", "spec": {"predictor": {}}}'])
def test_a_request_of_another_release_is_told_apart(folder: Folder, text: str) -> None:
    (folder.state / "requests" / "1.json").write_text(text)
    assert list(requests(folder)) == [("requests/1", None)]


def test_only_what_differs_from_the_file_is_worth_a_reminder() -> None:
    overlay = Overlay().said({"control": {"abort": True, "promote": {"token": "t"}}, "desired": "Retired"})
    assert list(overlay.notes()) == [
        "desired: Retired by command (its file says Live)",
        "control.abort: true by command (its file says false)",
    ]


def test_all_versions_in_one_file_are_taken_over_once(folder: Folder, versions: Versions) -> None:
    one = folder.state / "versions" / "default.tiny-1.json"
    (folder.state / "versions.json").write_text(json.dumps({"default/tiny-1": json.loads(one.read_text())}))
    one.unlink()
    assert the(Versions(folder, "default")) == the(versions)
    assert (one.exists(), (folder.state / "versions.json").exists()) == (True, False)


def test_a_status_is_one_small_write_however_many_versions_there_are(folder: Folder, tmp_path: Path) -> None:
    text = "---\n".join(
        YAML.replace("tiny-1", f"tiny-{n}").replace("version: 1", f"version: {n}") for n in range(1, 40)
    )
    (tmp_path / "many.yaml").write_text(text)
    versions = Versions(folder, "default")
    versions.take(load([tmp_path / "many.yaml"]))
    files = sorted((folder.state / "versions").iterdir())
    before = [file.stat().st_ino for file in files]
    version = next(iter(versions))
    versions.record_status(KEY, version.name, version.status.model_copy(update={"message": "new"}))
    after = [file.stat().st_ino for file in files]
    assert len(files) == 39
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1


def test_a_name_that_no_cluster_would_take_leads_to_no_other_folder(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(YAML.replace("{name: tiny-1}", "{name: tiny-1, namespace: ../../../escaped}"))
    Versions(folder, "default").take(load([tmp_path / "odd.yaml"]))
    assert [file.name for file in (folder.state / "versions").iterdir()] == ["..%2F..%2F..%2Fescaped.tiny-1.json"]
