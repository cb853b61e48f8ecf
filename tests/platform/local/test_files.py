"""What the files say becomes what the store holds; a bad file says where, and disturbs nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.platform.local.world import document
from turnout.api.loading import Loaded, load
from turnout.api.reasons import Reason, State
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.platform.local.folder import Folder
from turnout.platform.local.meaning import IDLE, meant_here, without_meaning
from turnout.platform.local.names import taken_names
from turnout.platform.local.store import Changes, Versions
from turnout.platform.local.watching import readings
from turnout.rollout.snapshot import ModelKey, Problem

KEY = ModelKey("default", "tiny")
YAML = """\
apiVersion: turnout.dev/v1alpha1
kind: ModelVersion
metadata: {name: tiny-1}
spec:
  model: tiny
  version: 1
  predictor:
    runtime: custom
    entrypoint: tiny:Tiny
    settings: {a: 1}
  scaling:
    maxReplicas: 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path / "state")
    folder.hold()
    yield folder
    folder.release()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "tiny.yaml"
    path.parent.mkdir()
    path.write_text(YAML)
    return path


def test_a_new_version_is_born_with_uid_generation_and_time_and_they_last(folder: Folder, file: Path) -> None:
    changes = Versions(folder, "default").take(load([file]))
    assert changes == Changes(frozenset({KEY}))
    (born,) = Versions(folder, "default")
    assert born.uid
    assert born.metadata.generation == 1
    assert born.metadata.creation_timestamp is not None
    again = Versions(folder, "default")
    assert not again.take(load([file])).keys
    assert list(again) == [born]


def test_an_edit_is_a_new_generation_of_the_same_object_and_keeps_its_status(folder: Folder, file: Path) -> None:
    versions = Versions(folder, "default")
    versions.take(load([file]))
    (born,) = versions
    versions.record_status(KEY, "tiny-1", Status(state=State.Live))
    file.write_text(YAML.replace("maxReplicas: 2", "maxReplicas: 5"))
    assert versions.take(load([file])).keys == {KEY}
    (edited,) = versions
    assert (edited.uid, edited.metadata.generation) == (born.uid, 2)
    assert edited.spec.scaling.max_replicas == 5
    assert edited.status.state is State.Live


@pytest.mark.parametrize(
    ("old", "new", "place", "sentence"),
    [
        ("settings: {a: 1}", "settings: {a: 2}", "10: spec.predictor.settings.a", "predictor is immutable"),
        ("version: 1", "version: 2", "6: spec.version", "version is immutable"),
        ("maxReplicas: 2", "containerConcurrency: 4", "12: spec.scaling.containerConcurrency", "is part of the pod"),
    ],
)
def test_an_immutable_field_that_is_edited_is_named_with_its_line_and_the_old_one_stays(
    folder: Folder, file: Path, old: str, new: str, place: str, sentence: str
) -> None:
    versions = Versions(folder, "default")
    versions.take(load([file]))
    (before,) = versions
    file.write_text(YAML.replace(old, new))
    changes = versions.take(load([file]))
    assert not changes.keys
    assert len(changes.problems) == 1
    assert changes.problems[0].startswith(f"{file}:{place}: ")
    assert sentence in changes.problems[0]
    assert changes.problems[0].endswith("the old one serves on")
    assert list(versions) == [before]


def test_a_file_that_breaks_keeps_what_it_said_and_stops_no_other(folder: Folder, file: Path) -> None:
    other = file.with_name("other.yaml")
    other.write_text(YAML.replace("tiny-1", "tiny-2").replace("version: 1", "version: 2"))
    versions = Versions(folder, "default")
    versions.take(load([file.parent]))
    file.write_text(YAML.replace("maxReplicas: 2", "maxReplica: 2"))
    other.write_text(other.read_text().replace("maxReplicas: 2", "maxReplicas: 4"))
    changes = versions.take(load([file.parent]))
    assert len(changes.problems) == 1
    assert changes.problems[0].startswith(
        f"{file}:12: spec.scaling.maxReplica: unknown field; did you mean maxReplicas"
    )
    assert {version.name: version.spec.scaling.max_replicas for version in versions} == {"tiny-1": 2, "tiny-2": 4}


@pytest.mark.parametrize("leave", ["", "# only a comment\n"])
def test_a_document_that_is_gone_is_deleted(folder: Folder, file: Path, leave: str) -> None:
    versions = Versions(folder, "default")
    versions.take(load([file]))
    if leave:
        file.write_text(leave)
    else:
        file.unlink()
    assert versions.take(load([file])).keys == {KEY}
    assert not list(versions)
    versions.record_status(KEY, "tiny-1", Status(state=State.Live))
    assert not list(Versions(folder, "default"))


def test_only_versions_of_other_models_that_reserve_a_needed_name_are_rivals(folder: Folder, file: Path) -> None:
    """What a look at one model costs does not grow with the others."""
    other = file.with_name("other.yaml")
    other.write_text(YAML.replace("tiny-1", "other-1").replace("model: tiny", "model: tiny-1-predictor"))
    file.with_name("third.yaml").write_text(YAML.replace("tiny-1", "third-1").replace("model: tiny", "model: third"))
    versions = Versions(folder, "default")
    versions.take(load([file.parent]))
    for each in (versions, Versions(folder, "default")):
        assert [version.name for version in each.of(KEY)] == ["tiny-1"]
        assert [version.name for version in each.rivals(KEY)] == ["other-1"]
    other.unlink()
    versions.take(load([file.parent]))
    assert versions.rivals(KEY) == ()


def test_versions_without_a_namespace_belong_to_the_engine_s(folder: Folder, file: Path) -> None:
    versions = Versions(folder, "support")
    assert versions.take(load([file])).keys == {ModelKey("support", "tiny")}
    assert [version.namespace for version in versions] == ["support"]


async def test_a_changed_added_or_removed_file_is_read_once_when_it_has_come_to_rest(file: Path) -> None:
    seen: asyncio.Queue[Loaded] = asyncio.Queue()

    async def watch() -> None:
        async for loaded in readings([file.parent], period=0.02):
            seen.put_nowait(loaded)

    task = asyncio.create_task(watch())
    async with asyncio.timeout(10):
        assert [version.name for version in (await seen.get()).versions] == ["tiny-1"]
        file.with_name("two.yaml").write_text(YAML.replace("tiny-1", "tiny-2"))
        assert len((await seen.get()).versions) == 2
        file.unlink()
        assert [version.name for version in (await seen.get()).versions] == ["tiny-2"]
        file.with_name("notes.txt").write_text("not ours")
        await asyncio.sleep(0.2)
    assert seen.empty()
    task.cancel()


def version(number: int, **changes: Any) -> ModelVersion:
    return ModelVersion.model_validate(document(number, **changes))


def test_fields_that_mean_nothing_on_one_machine_are_told_by_name_and_others_are_not() -> None:
    predictor = {
        "runtime": "sklearn",
        "artifact": {"uri": "file:///a"},
        "image": "example.com/predictor:1",
        "resources": {"requests": {"cpu": "1"}},
        "serviceAccountName": "robot",
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "token"}}}],
    }
    scaling = {"maxReplicas": 9, "target": {"metric": "rps", "value": 50}, "containerConcurrency": 4}
    lines = without_meaning(version(1, predictor=predictor, scaling=scaling))
    assert len(lines) == 10
    assert [line.split()[1] for line in lines[7:]] == [f"spec.scaling.{field}" for field in scaling]
    assert without_meaning(version(1, scaling={"minReplicas": 5, "maxReplicas": 5})) == ()
    assert lines[0] == ("tiny-1: spec.predictor.image has no effect here: processes run from this Python environment")
    assert without_meaning(version(1)) == ()


PROMETHEUS = {
    "source": {"prometheus": "cluster"},
    "custom": [{"name": "depth", "query": "depth", "max": "9"}],
    "interval": "5s",
}


def test_a_source_of_evidence_that_is_not_at_hand_is_told_and_left_out_here_alone() -> None:
    asked = version(1, analysis=PROMETHEUS)
    told = without_meaning(asked)
    assert told[0] == "tiny-1: spec.analysis.source.prometheus has no effect here: the processes' own counters are read"
    assert told[1].startswith("tiny-1: spec.analysis.custom has no effect here: nobody is there to be asked")
    here = meant_here(asked, ()).spec.analysis
    assert (here.source.prometheus, here.custom, here.interval.seconds) == ("", (), 5)
    assert without_meaning(asked, ["cluster"]) == ()
    assert meant_here(asked, ["cluster"]) is asked
    plain = version(1)
    assert meant_here(plain, ()) is plain


def test_what_is_read_otherwise_here_is_told() -> None:
    artifact = {"uri": "pvc://models/tiny", "authRef": "store"}
    told = without_meaning(version(1, predictor={"runtime": "sklearn", "artifact": artifact}))
    assert told == (
        "tiny-1: spec.predictor.artifact.uri is read otherwise here: there are no claims; `pvc://NAME/…` is the folder "
        "`/mnt/pvc/NAME` of this machine",
        "tiny-1: spec.predictor.artifact.authRef has no effect here: there are no Secrets; the credentials of your "
        "environment are used",
    )


def test_every_field_without_a_meaning_here_is_in_the_documents_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "concepts.md").read_text()
    _, _, part = page.partition("## What has no effect on one machine")
    rows = [line for line in part.split("\n## ")[0].splitlines() if line.startswith("| `")]
    assert rows == [f"| `spec.{idle.field}` | {idle.why} |" for idle in IDLE]


def test_a_most_that_a_schedule_needs_anyway_is_not_told() -> None:
    hours = {"schedule": "0 8 * * *", "until": "0 9 * * *", "minReplicas": 5}
    assert without_meaning(version(1, scaling={"maxReplicas": 5, "floors": [hours]})) == ()


def test_a_name_that_an_elder_version_of_another_model_reserves_is_taken_and_the_elder_is_not_hurt() -> None:
    def born(version: ModelVersion, at: str, **spec: object) -> ModelVersion:
        moment = version.metadata.model_validate({**version.metadata.body(), "creationTimestamp": at})
        return version.model_copy(update={"metadata": moment, "spec": version.spec.model_copy(update=spec)})

    elder = born(version(1), "2026-01-01T00:00:00Z", model="other")
    younger = born(version(2), "2026-01-02T00:00:00Z", model="tiny-1-predictor")
    text = "the name tiny-1-predictor is reserved by tiny-1 of model other; rename this one"
    assert taken_names([elder, younger], ModelKey("default", "tiny-1-predictor")) == {
        "tiny-1-predictor": Problem(Reason.NameReserved, text, permanent=True)
    }
    assert taken_names([elder, younger], ModelKey("default", "other")) == {}
