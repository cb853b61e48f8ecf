"""Builds images from real Dockerfiles, on a machine that reaches package registries but no image registry.

The base is a small Debian with Python, made by debootstrap and given to a Dockerfile as `BASE_IMAGE`. What this
machine needs to reach its registries (certificates, pip's settings) is mounted during the build: no Dockerfile knows
of it, and no image keeps it. The same inputs are never built twice.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from harness import images, inputs
from harness.errors import HarnessError, MissingError
from harness.layout import Layout
from harness.lock import exclusive
from harness.machine import IMAGE_PACKAGES, ensure_packages
from harness.shell import run, say, step, succeeds

BASE_SUITE = "trixie"
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")
KEPT_ARCHIVES = 3  # of each image; one that is used again is not made younger
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"  # where Debian's base has them

# What of the machine's pip settings a build needs, too.
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout", "default-timeout", "retries")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes an image: `docker build` in other words."""

    dockerfile: Path
    context: Path
    name: str
    """Without registry and tag, e.g. `turnout-operator`."""
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


def build_base(layout: Layout) -> str:
    """The base image's name in the build store; made once, in about a minute."""
    digest = inputs.digest(BASE_SUITE, *BASE_PACKAGES)
    name = f"{images.REGISTRY}/debian-python:{BASE_SUITE}-{digest}"
    ensure_packages(IMAGE_PACKAGES)
    known = (*_buildah(layout), "inspect", "--type", "image", name)
    if succeeds(*known):
        return name
    with exclusive(layout.cache / "base.lock", "building the base image", wait=True):
        if not succeeds(*known):
            with step(f"base image {name}"):
                _make_base(layout, name)
    return name


def build(layout: Layout, recipe: Recipe) -> tuple[str, Path]:
    """The image's full name, tagged by a digest of everything that went in, and its archive in the cache."""
    base = build_base(layout)
    arguments = {"BASE_IMAGE": base, **recipe.arguments}
    digest = inputs.of_build(recipe.dockerfile, recipe.context, recipe.target, arguments)
    name = f"{images.REGISTRY}/{recipe.name}:{digest}"
    archive = layout.images / f"{recipe.name}-{digest}.tar"
    if archive.exists():
        return name, archive
    with exclusive(layout.cache / f"{recipe.name}.lock", f"building {recipe.name}", wait=True):
        if not archive.exists():
            with step(f"image {name}"):
                _build(layout, recipe, name, arguments)
                _push(layout, name, archive)
    return name, archive


def _build(layout: Layout, recipe: Recipe, name: str, arguments: Mapping[str, str]) -> None:
    say(f"building {name} from {recipe.dockerfile.name} {recipe.target}".rstrip())
    choices = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    if recipe.target:
        choices.append(f"--target={recipe.target}")
    run(
        *_buildah(layout),
        *("bud", "--isolation=chroot", "--pull-never", "--layers=true", "--format=docker", "-t", name),
        *choices,
        *(word for mount in _mounts(layout) for word in ("-v", mount)),
        *("-f", recipe.dockerfile, recipe.context),
    )


def _push(layout: Layout, name: str, archive: Path) -> None:
    """Out of the build store into one file; the store keeps its layers, so that an edit repeats few steps."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    run(*_buildah(layout), "push", name, f"docker-archive:{partial}:{name}")
    partial.rename(archive)
    for stale in outdated(archive.parent, archive.name.rsplit("-", 1)[0]):
        stale.unlink()
        succeeds(*_buildah(layout), "rmi", f"{name.rsplit(':', 1)[0]}:{stale.stem.rsplit('-', 1)[1]}")


def outdated(folder: Path, name: str) -> list[Path]:
    """The archives of an image beyond its newest ones: each may have a gigabyte."""
    own = [path for path in folder.glob(f"{name}-*.tar") if path.stem.rsplit("-", 1)[0] == name]
    return sorted(own, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT_ARCHIVES:]


def _buildah(layout: Layout) -> tuple[str | Path, ...]:
    driver = "overlay" if _mounts_overlays() else "vfs"  # vfs copies the whole tree at every step
    store = layout.builds_of_images / driver
    return ("buildah", "--root", store / "root", "--runroot", store / "run", "--storage-driver", driver)


@functools.cache
def _mounts_overlays() -> bool:
    return "\toverlay\n" in Path("/proc/filesystems").read_text()


def _make_base(layout: Layout, name: str) -> None:
    work = layout.cache / "base.partial"
    shutil.rmtree(work, ignore_errors=True)
    tree = work / "tree"
    tree.mkdir(parents=True)
    packages = f"--include={','.join(BASE_PACKAGES)}"
    run("debootstrap", "--variant=minbase", packages, BASE_SUITE, tree, _mirror(), timeout=900)
    for stale in [*(tree / "var/cache/apt").rglob("*.*"), *(tree / "var/lib/apt/lists").glob("*_*")]:
        stale.unlink(missing_ok=True)
    run("tar", "-C", tree, "-cf", work / "tree.tar", ".")
    (work / "Dockerfile").write_text("FROM scratch\nADD tree.tar /\n")
    run(*_buildah(layout), "bud", "--isolation=chroot", "--layers=false", "-t", name, work)
    shutil.rmtree(work)


def _mirror() -> str:
    """Where this machine's own Debian packages come from; debootstrap's default elsewhere."""
    try:
        sites = run("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)").splitlines()
    except HarnessError:
        return ""
    archives = [line.split()[0] for line in sites if "security" not in line]
    if not archives:
        raise MissingError("apt knows no Debian archive to make a base image from: run apt-get update first")
    return archives[0]


def _mounts(layout: Layout) -> list[str]:
    """What a build sees of this machine: its certificates and its pip settings."""
    settings = pip_settings(run(*_pip(), "config", "list"))
    certificates = settings.pop("cert", "") or os.environ.get("SSL_CERT_FILE", "")
    mounts = []
    if certificates:
        settings["cert"] = CERTIFICATES
        mounts.append(f"{certificates}:{CERTIFICATES}:ro")
    if settings:
        lines = [f"{key} = {value}" for key, value in sorted(settings.items())]
        (layout.cache / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
        mounts.append(f"{layout.cache / 'pip.conf'}:/etc/pip.conf:ro")
    return mounts


def _pip() -> tuple[str, ...]:
    """This environment's own, or the machine's: an environment need not hold one."""
    return (sys.executable, "-m", "pip") if find_spec("pip") else ("pip",)


def pip_settings(listed: str) -> dict[str, str]:
    """What of `pip config list` says how to reach a registry; environment before files, as pip has it.

    >>> pip_settings("global.cert='/a.crt'\\n:env:.cert='/b.crt'\\nglobal.find-links='/wheels'")
    {'cert': '/b.crt'}
    """
    found = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        key = name.rsplit(".", 1)[-1]
        if name.startswith((":env:", "global.")) and key in (*_PIP_SETTINGS, "cert"):
            found[key] = value.strip("'\"")
    return found
