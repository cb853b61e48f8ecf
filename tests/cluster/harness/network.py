"""The node's network on this machine: one bridge, one route, and the traces of kube-proxy and kubelet.

Nothing outlives the cluster: rules are taken out by the chains they name (all of Kubernetes' begin with
KUBE-), the kernel's settings are put back as they were found.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from harness.layout import BRIDGE, NODE_ADDRESS, POD_CIDR, SERVICE_CIDR, Layout
from harness.shell import run, say, succeeds

# What kubelet, kube-proxy and the bridge plugin set, by their path below /proc/sys.
KERNEL_SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/vs/conntrack",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def create(layout: Layout) -> None:
    """The bridge with the node's address, and the way to Services for programs on this machine."""
    _remember_settings(layout.state / "settings.json")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{NODE_ADDRESS}/{POD_CIDR.rsplit('/', 1)[1]}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    run("ip", "route", "add", SERVICE_CIDR, "dev", BRIDGE)  # works where the machine has no default route


def remove(layout: Layout) -> None:
    """Everything `create`, kube-proxy, kubelet and the CNI plugins made."""
    for program in ("iptables", "ip6tables"):
        _remove_rules(program)
    for namespace in _pod_namespaces():
        succeeds("ip", "netns", "delete", namespace)
    _forget_cni_results()
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        run("ip", "link", "delete", BRIDGE)
        say(f"removed bridge {BRIDGE}")
    if shutil.which("conntrack"):  # or the next cluster's first requests follow translations of this one's
        succeeds("conntrack", "-D", "-d", SERVICE_CIDR)
        succeeds("conntrack", "-D", "-d", POD_CIDR)
    _restore_settings(layout.state / "settings.json")


def _remove_rules(program: str) -> None:
    if not shutil.which(f"{program}-save"):
        return
    commands = removal(run(f"{program}-save"))
    if commands:
        run(f"{program}-restore", "--noflush", stdin=commands)
        say(f"removed Kubernetes' {program} rules")


def removal(saved: str) -> str:
    """Input for `iptables-restore --noflush` that takes Kubernetes' chains and jumps out of saved tables.

    One transaction per table; rules of anybody else stay as they are. "" if there is nothing to do.
    """
    text = ""
    table = ""
    chains: list[str] = []
    jumps: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains, jumps = line, [], []
        elif line.startswith(":KUBE-"):
            chains.append(line[1:].split()[0])
        elif line.startswith("-A ") and not line.startswith("-A KUBE-") and re.search(r" -[jg] KUBE-", line):
            jumps.append("-D " + line[3:])
        elif line == "COMMIT" and (chains or jumps):
            flushes = [f"-F {chain}" for chain in chains]
            deletes = [f"-X {chain}" for chain in chains]
            text += "\n".join([table, *jumps, *flushes, *deletes, "COMMIT"]) + "\n"
    return text


def _pod_namespaces() -> list[str]:
    """The network namespaces whose only way out is our bridge: those that CNI made for the cluster's pods."""
    prefix = NODE_ADDRESS.rsplit(".", 1)[0] + "."
    names = [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.startswith("cni-")]
    return [name for name in names if _reaches(name, prefix)]


def _reaches(namespace: str, prefix: str) -> bool:
    addresses = json.loads(run("ip", "-json", "-netns", namespace, "-4", "address", "show") or "[]")
    held = [info["local"] for link in addresses for info in link.get("addr_info", [])]
    beyond_loopback = [address for address in held if not address.startswith("127.")]
    # one without any address was left half made, or lost its pair with the bridge
    return all(address.startswith(prefix) for address in beyond_loopback)


def _forget_cni_results() -> None:
    """The CNI library keeps a file per pod under /var/lib/cni, whatever the configuration says."""
    home = Path("/var/lib/cni")
    for pod in sandboxes(path.name for path in home.glob("results/*")):
        for result in home.glob(f"results/*-{pod}-*"):
            result.unlink()
    for folder in (home / "results", home / "cache", home):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def sandboxes(names: Iterable[str]) -> set[str]:
    """The ids of our pods' sandboxes among result files: `turnout-<id>-eth0`; `cni-loopback-<id>-lo` says less.

    >>> sandboxes(["turnout-0a1b-eth0", "cni-loopback-0a1b-lo", "cni-loopback-9f-lo"])
    {'0a1b'}
    """
    return {name.split("-")[1] for name in names if name.startswith("turnout-")}


def _remember_settings(path: Path) -> None:
    if path.exists():  # left by a cluster that was killed: its memory is the older, truer one
        return
    settings = {name: Path("/proc/sys", name).read_text() for name in KERNEL_SETTINGS if _readable(name)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=1))


def _readable(name: str) -> bool:
    return Path("/proc/sys", name).is_file()


def _restore_settings(path: Path) -> None:
    if not path.exists():
        return
    for name, value in json.loads(path.read_text()).items():
        setting = Path("/proc/sys", name)
        if setting.is_file() and setting.read_text() != value:
            setting.write_text(value)
    path.unlink()
