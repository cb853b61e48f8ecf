"""The load: closed loop by wrk where it is installed, else by ours; open loop, at a constant rate, by ours.

An asyncio protocol that looks for nothing in an answer but its status and its length. Run as a script on a core of
its own; prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from .workloads import PATH, Workload

CORE = 1


class Caller(asyncio.Protocol):
    """One connection. Closed loop: sends again when answered. Open loop: `due` holds when each request was due."""

    def __init__(self, request: bytes, ends: float, spent: list[float], *, is_open: bool) -> None:
        self._request = request
        self._ends = ends
        self._spent = spent
        self._is_open = is_open
        self._transport: Any = None
        self._buffer = b""
        self.due: deque[float] = deque()
        self.failed = 0
        self.is_busy = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if not self._is_open:
            self.send(time.perf_counter())

    def send(self, due: float) -> None:
        self.due.append(due)
        self._next()

    def _next(self) -> None:
        if self.due and not self.is_busy:
            self.is_busy = True
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        at = self._buffer.find(b"\r\n\r\n")
        if at < 0:
            return
        head = self._buffer[:at].lower()
        start = head.index(b"content-length:") + 15
        end = head.find(b"\r\n", start)
        size = at + 4 + int(head[start : end if end > 0 else None])
        if len(self._buffer) < size:
            return
        now = time.perf_counter()
        self.failed += not head.startswith(b"http/1.1 200")
        self._spent.append(now - self.due.popleft())
        self._buffer = self._buffer[size:]
        self.is_busy = False
        if not self._is_open and now < self._ends:
            self.send(now)
        else:
            self._next()


async def generate(port: int, request: bytes, clients: int, seconds: float, rate: float) -> dict[str, float]:
    """`rate` 0: closed loop, each client sends when it is answered."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    ends, spent = began + seconds, list[float]()
    callers: list[Caller] = []
    for _ in range(clients):
        caller = Caller(request, ends, spent, is_open=rate > 0)
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)  # type: ignore[misc]
        callers.append(caller)
    if rate:
        sent = 0
        while (now := time.perf_counter()) < ends:
            while began + sent / rate <= now:
                callers[sent % clients].send(began + sent / rate)
                sent += 1
            await asyncio.sleep(max(0.0, began + sent / rate - time.perf_counter()))
    else:
        await asyncio.sleep(seconds)
    answered, elapsed = len(spent), time.perf_counter() - began
    await asyncio.sleep(0.2)  # the last answers
    ordered = sorted(spent)
    at = [ordered[int(len(ordered) * share)] * 1000 if ordered else float("nan") for share in (0.5, 0.99)]
    failed = sum(caller.failed for caller in callers)
    return {"rate": answered / elapsed, "answered": len(spent), "failed": failed, "p50": at[0], "p99": at[1]}


def measure(port: int, workload: Workload, seconds: float, rate: float = 0.0) -> dict[str, float]:
    """Loads the server for some seconds from a process on another core."""
    if not rate and shutil.which("wrk"):
        return _wrk(port, workload, seconds)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(raw(workload))
        arguments = [str(port), file.name, str(max(workload.clients, 8 if rate else 1)), str(seconds), str(rate)]
        command = ["taskset", "-c", str(CORE), sys.executable, "-m", "benchmarks.serving.load", *arguments]
        found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return found


def raw(workload: Workload) -> bytes:
    lines = [f"POST {PATH} HTTP/1.1", "Host: localhost", f"Content-Length: {len(workload.body)}"]
    lines += [f"{name}: {value}" for name, value in workload.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + workload.body


_LUA = """
wrk.method = "POST"
local file = io.open(os.getenv("BODY"), "rb")
wrk.body = file:read("*a")
file:close()
%s
done = function(summary, latency)
  local failed = summary.errors.status + summary.errors.read + summary.errors.timeout
  io.write(string.format('{"answered": %%d, "failed": %%d, "seconds": %%f, "p50": %%f, "p99": %%f}\\n',
    summary.requests, failed, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def _wrk(port: int, workload: Workload, seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "load.lua")
        body.write_bytes(workload.body)
        script.write_text(_LUA % "\n".join(f'wrk.headers["{n}"] = "{v}"' for n, v in workload.headers.items()))
        command = ["taskset", "-c", str(CORE), "wrk", "-t1", f"-c{workload.clients}", f"-d{max(1, round(seconds))}s"]
        done = subprocess.run(
            [*command, "-s", str(script), f"http://127.0.0.1:{port}{PATH}"],
            env={"BODY": str(body)},
            capture_output=True,
            check=True,
            text=True,
        )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**found, "rate": found["answered"] / found["seconds"]}


if __name__ == "__main__":
    import uvloop

    port, path, clients, seconds, rate = sys.argv[1:]
    print(
        json.dumps(uvloop.run(generate(int(port), Path(path).read_bytes(), int(clients), float(seconds), float(rate))))
    )
