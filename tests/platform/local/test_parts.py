"""The small parts of the engine, each alone."""

import asyncio
import json
import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from tests.platform.local.world import document
from turnout.api.predictor import Artifact
from turnout.api.version import ModelVersion
from turnout.gateway.reading import ShareCount, Stats
from turnout.gateway.topology import Backend
from turnout.platform.local.activator import Activator, AsleepError
from turnout.platform.local.envoy import find_envoy
from turnout.platform.local.folder import LOGS_KEPT, Folder, FolderError, HeldError, write_atomically
from turnout.platform.local.pods import arguments, artifact_uri, module_path, thread_plan
from turnout.platform.local.ports import Nowhere, Ports, is_free, who_listens
from turnout.platform.local.process import last_words, start_of
from turnout.platform.local.traffic import Counting, LocalTraffic, VersionTraffic, asked


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("file:///opt/models/7", "file:///opt/models/7"),
        ("file://models/7", "file:///home/me/my%20files/models/7"),
        ("file://./models/7", "file:///home/me/my%20files/models/7"),
        ("file://../shared/7%20b", "file:///home/me/shared/7%20b"),
        ("pvc://models/7", "pvc://models/7"),
    ],
)
def test_a_file_uri_that_begins_with_no_slash_is_read_from_the_version_s_own_folder(written: str, given: str) -> None:
    assert artifact_uri(Artifact(uri=written), Path("/home/me/my files")) == given


@pytest.mark.parametrize(
    ("given", "meant"),
    [("lib", "{cwd}/lib"), (".:/opt/lib", "{cwd}:/opt/lib"), (":../lib", "{cwd}:{up}/lib"), ("", None), (None, None)],
)
def test_a_relative_python_path_is_meant_from_where_the_engine_was_started(
    given: str | None, meant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if given is not None:
        monkeypatch.setenv("PYTHONPATH", given)
    path = module_path().get("PYTHONPATH")
    assert path == (meant and meant.format(cwd=tmp_path, up=tmp_path.parent))


def test_a_folder_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    first = Folder(tmp_path / "state")
    first.hold()
    with pytest.raises(HeldError, match=f"process {os.getpid()} .* stop that one, or give --state another folder"):
        Folder(tmp_path / "state").hold()
    first.release()
    second = Folder(tmp_path / "state")
    second.hold()
    second.release()


def test_a_holder_that_has_not_said_who_it_is_is_told_as_such(tmp_path: Path) -> None:
    first = Folder(tmp_path)
    first.hold()
    (tmp_path / "lock").write_text("")  # as it is between taking it and saying so
    with pytest.raises(HeldError, match="another process that has not said who it is"):
        Folder(tmp_path).hold()
    first.release()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("file", "{tmp}/file is no folder: give --state another place"),
        ("file/below", "{tmp}/file/below is no folder: give --state another place"),
        ("odd", "{tmp}/odd cannot be made: Invalid argument; give --state a folder that you may write"),
        (
            "/proc/none",
            "/proc/none cannot be made: No such file or directory; give --state a folder that you may write",
        ),
    ],
)
def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "lock").symlink_to("/dev/full")  # opens, and cannot be written
    with pytest.raises(FolderError) as refused:
        Folder(tmp_path / place).hold()
    assert str(refused.value) == said.format(tmp=tmp_path)


def test_what_a_full_disk_has_no_room_for_is_trouble_and_is_written_with_the_next(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.hold()
    draft = folder.state / ".versions.json.draft"
    draft.symlink_to("/dev/full")
    folder.write("versions", 1)
    assert folder.trouble == (
        f"{tmp_path} cannot be written: No space left on device; make room; until then nothing new is remembered"
    )
    assert folder.read("versions") is None
    draft.unlink()
    folder.write("events", 2)
    assert (folder.trouble, folder.read("versions"), folder.read("events")) == ("", 1, 2)
    folder.release()


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert write_atomically(path, "1")
    before = path.stat().st_mtime_ns
    assert not write_atomically(path, "1")
    assert path.stat().st_mtime_ns == before
    assert write_atomically(path, "2")
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]


def test_the_last_logs_of_a_process_are_kept_and_older_ones_go(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.logs.mkdir()
    for n in range(LOGS_KEPT + 3):
        folder.fresh_log("digits-1-1").write_text(str(n))
    kept = {path.name: path.read_text() for path in folder.logs.iterdir()}
    assert len(kept) == LOGS_KEPT + 1
    assert (kept["digits-1-1.log"], kept["digits-1-1.log.1"], kept["digits-1-1.log.5"]) == ("7", "6", "2")


def test_nowhere_refuses_at_once_and_a_listener_is_named() -> None:
    nowhere = Nowhere()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", nowhere.port), timeout=1):
        pass
    nowhere.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert who_listens(port).startswith(f"process {os.getpid()} (")
    assert is_free("127.0.0.1", port)
    assert who_listens(port) == ""


def test_free_ports_do_not_come_back_soon() -> None:
    ports = Ports()
    assert len({ports.free() for _ in range(50)}) == 50


def test_a_process_that_is_gone_has_no_start() -> None:
    assert start_of(os.getpid())
    assert start_of(2**22 + 1) == ""


def test_the_last_line_of_a_log_is_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert last_words(log) == ""
    log.write_bytes(b"first\nValueError: broken \xff\n\n")
    assert last_words(log) == "ValueError: broken \ufffd"
    log.write_text('{"level": "error", "message": "no such column"}\n')
    assert last_words(log) == "no such column"


def test_envoy_is_found_in_its_package() -> None:
    assert find_envoy() is not None


def test_the_command_line_is_the_container_s() -> None:
    artifact = {"uri": "file:///models/7", "digest": "sha256:" + "a" * 64}
    predictor = {"runtime": "sklearn", "artifact": artifact, "settings": {"a": 1}, "timeoutSeconds": 5}
    given = arguments(ModelVersion.model_validate(document(7, predictor=predictor)), 9000, Path("/files"))
    assert given == (
        "--model_name=tiny",
        "--model_version=7",
        "--runtime=sklearn",
        "--artifact_uri=file:///models/7",
        f"--artifact_digest=sha256:{'a' * 64}",
        '--settings={"a": 1}',
        "--timeout_seconds=5",
        "--http_port=9000",
        "--http_host=127.0.0.1",
        "--trust_attempt=true",
    )


def test_threads_are_planned_unless_a_person_has_planned_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_plan()["MKL_NUM_THREADS"] == "4"
    assert thread_plan()["OMP_NUM_THREADS"] == "3"


# the activator


async def through(activator: Activator, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", activator.port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(65536), 5)
    writer.close()
    return answer


async def test_the_activator_holds_what_comes_until_somebody_is_awake_and_passes_it_on() -> None:
    awake: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard " + await reader.read(100))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    activator = Activator(lambda: asyncio.shield(awake))
    await activator.start()
    calls = [asyncio.create_task(through(activator, b"call")) for _ in range(3)]
    async with asyncio.timeout(5):
        while activator.held < 3:  # noqa: ASYNC110 -- bytes on their way through the kernel
            await asyncio.sleep(0.01)
    awake.set_result(server.sockets[0].getsockname()[1])
    assert await asyncio.gather(*calls) == [b"heard call"] * 3
    assert activator.held == 0
    await activator.close()
    server.close()


async def test_the_activator_says_why_nobody_wakes() -> None:
    async def wake() -> int:
        raise AsleepError("digits-1 cannot start")

    activator = Activator(wake)
    await activator.start()
    head, _, body = (await through(activator, b"call")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert json.loads(body) == {"error": "digits-1 cannot start", "code": "not_ready"}
    await activator.close()


async def test_the_activator_refuses_what_is_beyond_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnout.platform.local.activator.MOST_HELD", 0)
    activator = Activator(lambda: asyncio.sleep(3600, 0))
    await activator.start()
    assert b"requests wait for this version already" in await through(activator, b"call")
    await activator.close()


# counting

STABLE = Backend("default", "digits-1-00001", "digits-1", "digits", (), timedelta(1))
CANDIDATE = Backend("default", "digits-2-00001", "digits-2", "digits", (), timedelta(1))


def stats(tries: dict[str, int] | None = None, active: dict[str, int] | None = None, **shares: ShareCount) -> Stats:
    named = {f"default/digits-{name[1:]}-00001": share for name, share in shares.items()}
    return Stats(named, tries or {}, active or {}, {}, 0)


def take(counting: Counting, *looks: Stats) -> frozenset[str]:
    for look in looks:
        clusters = counting.take(look, (STABLE, CANDIDATE), 0.5)
    return clusters


def test_a_repeat_is_a_failure_of_the_candidate_and_none_of_the_caller_s() -> None:
    counting = Counting({})
    repeats = {"default/digits-1-00001/repeats": 4}
    take(counting, stats(repeats, v1=ShareCount(90, failed=1), v2=ShareCount(10, failed=2, rescued=2, unrepeated=1)))
    assert counting.models["default/digits"] == LocalTraffic(
        requests=100,
        errors=3,
        rate=200.0,
        versions={"digits-1": VersionTraffic(90, 1, 4), "digits-2": VersionTraffic(10, 4, 0, 1)},
    )


def test_counters_that_begin_anew_are_added_not_subtracted() -> None:
    counting = Counting({"default/digits": LocalTraffic(5, 0, 9.0, {"digits-1": VersionTraffic(5)})})
    take(counting, stats(v1=ShareCount(10)), stats(v1=ShareCount(12)), stats(v1=ShareCount(3)), stats(v1=ShareCount(3)))
    assert counting.models["default/digits"].requests == 5 + 10 + 2 + 3
    assert counting.models["default/digits"].rate == 0


@pytest.mark.parametrize(
    ("looks", "is_asked"),
    [
        ((stats({"default/digits-1-00001": 1}), stats({"default/digits-1-00001": 2})), True),
        ((stats({"default/digits-1-00001": 1}), stats({"default/digits-1-00001": 1})), False),
        ((stats({}, {"default/digits-1-00001": 1}),), True),
        ((stats({"default/digits-1-00001/repeats": 1}),), True),
        ((stats({"default/digits-2-00001": 1}),), False),
    ],
)
def test_a_version_is_asked_if_a_request_came_or_is_under_way(looks: tuple[Stats, ...], is_asked: bool) -> None:
    clusters = take(Counting({}), *looks)
    assert asked(clusters, "default", "digits-1-00001") is is_asked
