"""Pulling over a real HTTPS connection: what is cut goes on, what differs is refused, and each reason is said."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.predictors.folders import Misdeed, Store, certify, cut, instead, refuse, serving, stall
from tests.predictors.stores import lacking
from turnout_predictors.artifacts import cache as caching
from turnout_predictors.artifacts import open_artifact, write_artifact
from turnout_predictors.artifacts.cache import Cache
from turnout_predictors.artifacts.manifest import compute, verify
from turnout_predictors.artifacts.pull import Patience, pull
from turnout_predictors.artifacts.storage import open_source
from turnout_predictors.errors import EX_CONFIG, EX_TEMPFAIL, StartError
from turnout_predictors.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "FP32", ("N",)),), (TensorSpec("y", "FP32", ("N",)),))
WEIGHTS = os.urandom(3_000_000)  # some blocks


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certify(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def store(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Store, str]]:
    """A published artifact behind HTTPS, and its digest."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    monkeypatch.setenv("TURNOUT_ARTIFACT_CACHE", str(tmp_path / "cache"))
    with serving(tmp_path / "store", certificate) as served:
        digest = write_artifact(tmp_path / "store" / "m" / "1", fill, SIGNATURE)
        yield served, digest


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where silence is what is tried; elsewhere a pause of a busy machine must not count as one."""
    monkeypatch.setenv("TURNOUT_ARTIFACT_STALL_SECONDS", "0.3")


def fill(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "weights").write_bytes(WEIGHTS)
    (folder / "sub" / "a file").write_bytes(b"m")
    (folder / "empty").write_bytes(b"")


def take(store: Store, digest: str | None, rests: list[float] | None = None, bound: int = 1 << 30) -> Path:
    uri = f"{store.url}/m/1"
    patience = Patience(attempts=3, rest=(rests if rests is not None else []).append)
    return pull(
        uri, open_source(urlsplit(uri)), digest, Cache(Path(os.environ["TURNOUT_ARTIFACT_CACHE"]), bound), patience
    )


def cached(tmp_path: Path) -> set[str]:
    """What is left in the cache but its locks."""
    return {path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()}


def test_what_is_pulled_is_what_was_published(store: tuple[Store, str], tmp_path: Path) -> None:
    served, digest = store
    opened = open_artifact(f"{served.url}/m/1", digest)
    assert opened.path == tmp_path / "cache" / digest.removeprefix("sha256:")
    assert (opened.path / "weights").read_bytes() == WEIGHTS
    assert (opened.path / "sub" / "a file").read_bytes() == b"m"
    assert (opened.signature, opened.digest, opened.pinned) == (SIGNATURE, digest, True)
    assert cached(tmp_path) == {opened.path.name}


def test_what_is_in_the_cache_needs_no_store(store: tuple[Store, str]) -> None:
    served, digest = store
    first = take(served, digest)
    asked = len(served.asked)
    assert take(served, digest) == first
    assert len(served.asked) == asked


def test_without_a_digest_only_the_manifest_is_asked_for_again(store: tuple[Store, str]) -> None:
    served, digest = store
    assert take(served, None).name == digest.removeprefix("sha256:")
    served.asked.clear()
    take(served, None)
    assert [path for path, _, _ in served.asked] == ["/m/1/manifest.json"]


def test_bytes_that_rot_in_the_cache_are_pulled_again(store: tuple[Store, str]) -> None:
    served, digest = store
    path = take(served, digest) / "weights"
    path.write_bytes(b"rotten")
    assert (take(served, digest) / "weights").read_bytes() == WEIGHTS


def test_a_cut_is_taken_up_where_it_was(store: tuple[Store, str]) -> None:
    served, digest = store
    served.misdeeds["weights"] = [cut(1_000_000), cut(500_000), refuse(503, Retry_After="7"), None]
    rests: list[float] = []
    assert (take(served, digest, rests) / "weights").read_bytes() == WEIGHTS
    first, *further = served.ranges("weights")
    assert (first, further) == ("", ["bytes=1000000-", "bytes=1500000-", "bytes=1500000-"])
    assert rests[2] == 7, "as long as the store asked for"


def test_a_manifest_that_is_cut_is_asked_for_again(store: tuple[Store, str]) -> None:
    served, digest = store
    served.misdeeds["manifest.json"] = [cut(30)]
    assert (take(served, None)).name == digest.removeprefix("sha256:")


@pytest.mark.usefixtures("impatient")
def test_a_store_that_stalls_is_asked_again(store: tuple[Store, str]) -> None:
    served, digest = store
    served.misdeeds["weights"] = [stall(1_000_000)]
    assert (take(served, digest) / "weights").read_bytes() == WEIGHTS
    assert served.ranges("weights") == ["", "bytes=1000000-"]


def test_a_store_without_ranges_costs_the_bytes_again_and_nothing_else(store: tuple[Store, str]) -> None:
    served, digest = store
    served.misdeeds["weights"] = [cut(1_000_000), instead(lambda content: content)]
    assert (take(served, digest) / "weights").read_bytes() == WEIGHTS


def test_the_next_process_goes_on_where_one_died(store: tuple[Store, str], tmp_path: Path) -> None:
    served, digest = store
    served.misdeeds["weights"] = [cut(1_000_000), *[refuse(500)] * 3]
    with pytest.raises(StartError, match="tried 3 times") as caught:
        take(served, digest)
    assert (caught.value.reason, caught.value.exit_code) == ("ArtifactUnreachable", EX_TEMPFAIL)
    served.asked.clear()
    assert (take(served, digest) / "weights").read_bytes() == WEIGHTS
    assert served.ranges("weights") == ["bytes=1000000-"]
    assert cached(tmp_path) == {digest.removeprefix("sha256:")}


def test_what_a_dead_process_left_wrong_is_pulled_from_the_start(store: tuple[Store, str], tmp_path: Path) -> None:
    served, digest = store
    partial = tmp_path / "cache" / f"{digest.removeprefix('sha256:')}.partial"
    partial.mkdir(parents=True)
    (partial / hashlib.sha256(WEIGHTS).hexdigest()).write_bytes(b"torn by a power cut")
    assert (take(served, digest) / "weights").read_bytes() == WEIGHTS
    assert served.ranges("weights") == ["bytes=19-", ""]


def test_what_lies_under_a_name_since_a_process_died_is_verified(store: tuple[Store, str], tmp_path: Path) -> None:
    """A disk may rot, and others may write there."""
    served, digest = store
    files = tmp_path / "cache" / f"{digest.removeprefix('sha256:')}.partial" / "files"
    (files / "empty").mkdir(parents=True)
    (files / "empty" / "inner").write_bytes(b"a folder where a file belongs")
    (files / "sub").mkdir()
    (files / "sub" / "a file").write_bytes(b"m")
    (files / "weights").write_bytes(b"x" + WEIGHTS[1:])
    (files / "signature.json").symlink_to(tmp_path / "store" / "m" / "1" / "signature.json")
    (files / "extra.pkl").write_bytes(b"code")
    whole = take(served, digest)
    verify(whole, digest)
    assert (whole / "weights").read_bytes() == WEIGHTS
    assert served.ranges("a file") == served.ranges("a%20file") == [], "what is right is not asked for again"


REFUSED: dict[str, tuple[str, list[Misdeed | None], str, str]] = {
    "401": ("manifest.json", [refuse(401)], "ArtifactDenied", "answers 401; name credentials"),
    "403 in the middle": ("weights", [cut(10), refuse(403)], "ArtifactDenied", "weights answers 403"),
    "404": ("manifest.json", [refuse(404)], "ArtifactNotFound", "manifest.json answers 404; check artifact.uri"),
    "an answer that says nothing": ("weights", [refuse(418)], "ArtifactUnreachable", "answers 418"),
    "500 again and again": ("weights", [refuse(500)] * 3, "ArtifactUnreachable", "tried 3 times without a byte"),
    "a file that stays truncated": (
        "weights",
        [instead(lambda content: content[:10])] * 4,
        "ArtifactDigestMismatch",
        "weights ends after 10 of the 3000000 bytes",
    ),
    "a changed byte": ("weights", [instead(lambda content: b"x" + content[1:])], "ArtifactDigestMismatch", "differs"),
    "a byte more": ("weights", [instead(lambda content: content + b"x")], "ArtifactDigestMismatch", "is longer than"),
    "another manifest": (
        "manifest.json",
        [instead(lambda content: content + b" ")],
        "ArtifactDigestMismatch",
        "wanted",
    ),
    "a manifest of many megabytes": (
        "manifest.json",
        [instead(lambda content: b" " * (17 << 20))],
        "ArtifactInvalid",
        "more than 16 MiB",
    ),
    "a redirect in the clear": (
        "weights",
        [refuse(302, Location="http://127.0.0.1:1/weights")],
        "ArtifactInvalid",
        "redirects to http://127.0.0.1:1/weights, which is not followed",
    ),
    "a redirect without end": (
        "weights",
        [refuse(302, Location="weights")] * 6,
        "ArtifactInvalid",
        "which is not followed",
    ),
}


@pytest.mark.parametrize(("name", "misdeeds", "reason", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(
    store: tuple[Store, str], tmp_path: Path, name: str, misdeeds: list[Misdeed | None], reason: str, said: str
) -> None:
    served, digest = store
    served.misdeeds[name] = list(misdeeds)
    with pytest.raises(StartError, match=said) as caught:
        take(served, digest)
    assert caught.value.reason == reason
    kept = {f"{digest.removeprefix('sha256:')}.partial"} if reason == "ArtifactUnreachable" else set()
    assert cached(tmp_path) <= kept, "nothing that was refused stays"


@pytest.mark.usefixtures("impatient")
def test_silence_again_and_again_is_the_end(store: tuple[Store, str]) -> None:
    served, digest = store
    served.misdeeds["weights"] = [stall(0)] * 3
    with pytest.raises(StartError, match="tried 3 times without a byte") as caught:
        take(served, digest)
    assert caught.value.reason == "ArtifactUnreachable"


def test_a_file_that_was_uploaded_in_part_is_refused(store: tuple[Store, str], tmp_path: Path) -> None:
    served, digest = store
    (tmp_path / "store" / "m" / "1" / "weights").write_bytes(WEIGHTS[:10])
    with pytest.raises(StartError, match="weights is shorter than its manifest says") as caught:
        take(served, digest)
    assert (caught.value.reason, caught.value.exit_code) == ("ArtifactDigestMismatch", EX_CONFIG)
    assert served.ranges("weights") == ["", "bytes=10-"]
    assert cached(tmp_path) == set()


def rename(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"][name] = manifest["files"].pop("weights")
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return change


@pytest.mark.parametrize("name", ["../weights", "/etc/passwd", "sub/../../x", "a\\b", "sub"])
def test_a_name_that_leaves_the_folder_is_never_asked_for(store: tuple[Store, str], tmp_path: Path, name: str) -> None:
    served, _ = store
    rename(name)(tmp_path / "store" / "m" / "1")
    with pytest.raises(StartError) as caught:
        take(served, None)
    assert caught.value.reason == "ArtifactInvalid"
    assert [path for path, _, _ in served.asked] == ["/m/1/manifest.json"]
    assert cached(tmp_path) == set()


def test_whoever_is_not_certified_gets_no_secret(store: tuple[Store, str], monkeypatch: pytest.MonkeyPatch) -> None:
    served, digest = store
    monkeypatch.setenv("TURNOUT_ARTIFACT_TOKEN", "secret")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(StartError, match="is not who it should be") as caught:
        take(served, digest)
    assert caught.value.reason == "ArtifactDenied"
    assert served.asked == []


def test_a_store_that_is_down_is_said_so(store: tuple[Store, str], unused_tcp_port: int) -> None:
    uri = f"https://127.0.0.1:{unused_tcp_port}/m/1"
    with pytest.raises(StartError, match=r"refused.*tried 3 times") as caught:
        take(Store(Path(), f"https://127.0.0.1:{unused_tcp_port}"), store[1])
    assert caught.value.reason == "ArtifactUnreachable", uri


def test_a_token_of_the_secret_is_shown_to_its_host_and_to_no_other(
    store: tuple[Store, str], tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, digest = store
    monkeypatch.setenv("TURNOUT_ARTIFACT_AUTH", str(tmp_path / "secret"))
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "token").write_text("let me in\n")
    with serving(tmp_path / "store", certificate) as other:
        served.misdeeds["weights"] = [refuse(307, Location=f"{other.url}/m/1/weights")]
        take(served, digest)
    assert {authorization for _, _, authorization in served.asked} == {"Bearer let me in"}
    assert other.asked == [("/m/1/weights", "", "")]


def test_a_name_and_password_are_shown(store: tuple[Store, str], monkeypatch: pytest.MonkeyPatch) -> None:
    served, digest = store
    monkeypatch.setenv("TURNOUT_ARTIFACT_USERNAME", "me")
    monkeypatch.setenv("TURNOUT_ARTIFACT_PASSWORD", "pass")
    take(served, digest)
    assert served.asked[0][2] == "Basic bWU6cGFzcw=="


def test_a_repository_of_the_hub_is_a_folder(
    store: tuple[Store, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, digest = store
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    monkeypatch.setenv("HF_TOKEN", "hub")
    there = tmp_path / "store" / "acme" / "signals" / "resolve" / "v7" / "turnout"
    shutil.copytree(tmp_path / "store" / "m" / "1", there)
    opened = open_artifact("hf://acme/signals@v7/turnout", digest)
    assert (opened.path / "weights").read_bytes() == WEIGHTS
    assert served.asked[0] == ("/acme/signals/resolve/v7/turnout/manifest.json", "", "Bearer hub")


def test_of_several_that_want_one_artifact_one_pulls_it(store: tuple[Store, str]) -> None:
    """Threads stand for processes: a lock is of an open file, and each opens its own."""
    served, digest = store
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(take(served, digest))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert served.ranges("weights") == [""]


WAITER = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def test_who_waits_goes_on_when_the_one_who_pulls_is_killed(
    store: tuple[Store, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, digest = store
    waits = threading.Event()
    monkeypatch.setattr(caching.log, "info", lambda said, *_: waits.set() if "waiting for it" in said else None)
    (tmp_path / "cache").mkdir()
    lock = tmp_path / "cache" / f"{digest.removeprefix('sha256:')}.pull"
    command = [sys.executable, "-c", WAITER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        found: list[Path] = []
        waiting = threading.Thread(target=lambda: found.append(take(served, digest)))
        waiting.start()
        assert waits.wait(30), "it saw that another pulls"
        other.kill()
        waiting.join(30)
    assert [path.name for path in found] == [digest.removeprefix("sha256:")]


def publish_another(tmp_path: Path, number: int) -> str:
    """Equal in size, other in content; replaces what the store has."""
    target = tmp_path / "store" / "m" / "1"
    (target / "weights").write_bytes(os.urandom(len(WEIGHTS)))
    (target / "manifest.json").write_bytes(compute(target))
    return f"sha256:{hashlib.sha256((target / 'manifest.json').read_bytes()).hexdigest()}"


def test_the_least_recently_used_goes_first_and_what_is_in_use_never(
    store: tuple[Store, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, first = store
    held = {}
    hold = Cache.hold
    monkeypatch.setattr(Cache, "hold", lambda self, name: held.setdefault(name, hold(self, name)))
    digests = [first.removeprefix("sha256:")]
    take(served, first)
    for number in (2, 3):
        digests.append(publish_another(tmp_path, number).removeprefix("sha256:"))
        take(served, f"sha256:{digests[-1]}")
    os.utime(tmp_path / "cache" / f"{digests[0]}.used", (0, 0))
    os.utime(tmp_path / "cache" / f"{digests[1]}.used", (1, 1))
    os.close(held.pop(digests[1]))  # the first is older, but somebody has it open
    fourth = publish_another(tmp_path, 4)
    take(served, fourth, bound=10_000_000)
    assert cached(tmp_path) == {digests[0], digests[2], fourth.removeprefix("sha256:")}


def test_an_artifact_larger_than_the_cache_is_not_begun(store: tuple[Store, str], tmp_path: Path) -> None:
    served, digest = store
    with pytest.raises(StartError, match=r"has 2\.9 MiB.*takes 1\.0 MiB; set TURNOUT_ARTIFACT_CACHE_GIB") as caught:
        take(served, digest, bound=1 << 20)
    assert (caught.value.reason, caught.value.exit_code) == ("ArtifactNoRoom", EX_CONFIG)
    assert served.ranges("weights") == []


def test_a_disk_with_too_little_left_is_said_before_the_first_byte(
    store: tuple[Store, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, digest = store
    monkeypatch.setattr(Cache, "_free", lambda self: 1 << 20)
    with pytest.raises(StartError, match=r"needs 2\.9 MiB more in .*1\.0 MiB are free") as caught:
        take(served, digest)
    assert caught.value.reason == "ArtifactNoRoom"
    assert served.ranges("weights") == []


def test_a_disk_that_fills_up_is_said_and_cleaned_up(
    store: tuple[Store, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real file system of one megabyte, whose free space was believed to be more."""
    served, digest = store
    if os.geteuid() != 0:
        lacking("needs root, to mount a small disk")
    (tmp_path / "cache").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path / "cache"], capture_output=True
    )
    if mounted.returncode:
        lacking("needs a machine that lets tests mount a tmpfs")
    try:
        monkeypatch.setattr(Cache, "_free", lambda self: 1 << 40)
        with pytest.raises(StartError, match="cannot be written: No space left on device; make room") as caught:
            take(served, digest)
        assert caught.value.reason == "ArtifactNoRoom"
        assert cached(tmp_path) == set()
    finally:
        subprocess.run(["umount", "-l", tmp_path / "cache"], check=True)


def test_a_cache_that_may_not_be_written_is_said(store: tuple[Store, str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StartError, match="cannot be written: File exists; make room there, or name another") as caught:
        take(*store)
    assert caught.value.reason == "ArtifactNoRoom"
