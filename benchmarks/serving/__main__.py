"""Throughput, latency, CPU, memory and cold start of our server beside a floor and its peers.

The servers have one core, the load another. Rounds are interleaved: each contender has a turn in each, and every
ratio is against the floor of the same round; the table shows medians. The open loop asks at half of the floor's
rate. Arguments: names of contenders, if not all of them; the floor always runs. `make bench-serving`.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Row, median, publish, quick

from .load import measure
from .servers import Contender, Server, contenders
from .workloads import Workload, models, workloads

Found = dict[str, dict[str, list[float]]]  # contender, figure, a value for each round


def compare(each: Workload, rivals: Sequence[Contender], folder: Path, rounds: int, seconds: float) -> list[Row]:
    found: Found = defaultdict(lambda: defaultdict(list))
    with contextlib.ExitStack() as stack:
        servers = []
        for rival in rivals:
            try:
                server = Server(rival, each, folder / f"{rival.name}.log")
            except RuntimeError as fault:
                print(f"{each.name}: {fault}", file=sys.stderr, flush=True)
                continue
            stack.callback(server.stop)
            servers.append(server)
        for number in range(rounds):
            print(f"{each.name}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            _round(each, servers, found, seconds)
    return [row(each.name, name, figures) for name, figures in found.items()]


def _round(each: Workload, servers: Sequence[Server], found: Found, seconds: float) -> None:
    base = 0.0
    for server in servers:
        before = server.cpu_seconds()
        closed = measure(server.port, each, seconds)
        cpu = server.cpu_seconds() - before
        base = base or closed["rate"]  # the floor comes first
        opened = measure(server.port, each, seconds, rate=base / 2)
        figures = {
            "rate": closed["rate"],
            "ratio": closed["rate"] / base,
            "p50": closed["p50"],
            "p99": closed["p99"],
            "open p50": opened["p50"],
            "open p99": opened["p99"],
            "failed": closed["failed"] + opened["failed"],
            "cpu": cpu / closed["answered"] * 1000 if closed["answered"] else float("nan"),
            "pss": server.pss_mib(),
            "cold": server.cold,
        }
        for name, value in figures.items():
            found[server.name][name].append(value)


def row(workload: str, name: str, figures: dict[str, list[float]]) -> Row:
    ratios = figures["ratio"]
    return {
        "workload": workload,
        "server": name,
        "x floor": median(ratios),
        "spread": statistics.pstdev(ratios),
        "requests/s": round(median(figures["rate"])),
        "p50 ms": median(figures["p50"]),
        "p99 ms": median(figures["p99"]),
        "open p50 ms": median(figures["open p50"]),
        "open p99 ms": median(figures["open p99"]),
        "CPU s/1000": median(figures["cpu"]),
        "PSS MiB": round(median(figures["pss"])),
        "cold s": median(figures["cold"]),
        "failed": int(sum(figures["failed"])),
    }


def main() -> None:
    rounds, seconds = (2, 2.0) if quick() else (7, 5.0)
    wanted = {"floor", *sys.argv[1:]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rivals = [each for each in contenders(folder, models(folder)) if len(wanted) == 1 or each.name in wanted]
        rows = [line for each in workloads() for line in compare(each, rivals, folder, rounds, seconds)]
    load = "wrk" if shutil.which("wrk") else "ours"
    publish("serving", rows, rounds=rounds, seconds=seconds, load=load)


if __name__ == "__main__":
    main()
