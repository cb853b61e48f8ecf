"""One replica: a predictor process that is started again, with back-off, for as long as it is wanted.

A pod knows its process and whether that is ready; it decides nothing about traffic. Its readiness is asked for
twice a second, so that a process that hangs or was stopped is seen within three seconds, and one that ends at
once.
"""

import asyncio
import json
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from urllib.parse import quote

import aiohttp

from turnout.api.predictor import Artifact, EnvVar
from turnout.api.reasons import Reason
from turnout.api.version import ModelVersion
from turnout.evidence.pods import Target
from turnout.platform.local.folder import Folder
from turnout.platform.local.ports import LOOPBACK, Ports
from turnout.platform.local.process import Child, Ledger, last_words, spawn
from turnout.rollout.snapshot import Crash, Pod, Problem

EX_CONFIG = 78  # the predictor says: it can never start like this
EX_TEMPFAIL = 75  # it says: not now
FIRST_BACK_OFF, LONGEST_BACK_OFF, FORGIVEN_AFTER = 0.5, 30.0, 60.0  # seconds
HOPELESS_BACK_OFF = 3.0  # reached by three ends in a row
STARTING_PERIOD, READY_PERIOD = 0.1, 0.5  # seconds between two looks at readiness
PROBE_TIMEOUT = 1.0
FAILURES_TO_UNREADY = 2  # of timeouts; an answer that says "not ready" counts at once
GRACE_SECONDS = 20.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every pod of the engine shares."""

    folder: Folder
    ledger: Ledger
    ports: Ports
    session: aiohttp.ClientSession
    command: tuple[str, ...]


class Replica:
    """One slot of a revision. `changed` is called whenever what it is has changed."""

    def __init__(
        self,
        name: str,
        version: ModelVersion,
        revision: str,
        cwd: Path,
        around: Surroundings,
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.port = 0  # of the running process; 0 while there is none
        self.ready = False
        self.was_ready = False  # the running process has been
        self.leaving = False
        self.crash: Crash | None = None
        self.problem: Problem | None = None
        self.starts = 0
        self.started_at = datetime.now(UTC)
        self._version, self._revision, self._cwd = version, revision, cwd
        self._around = around
        self._changed = changed
        self._child: Child | None = None
        self._failures = 0
        self._back_off = FIRST_BACK_OFF
        self._given_up = False  # the running process is being ended because it hangs
        self._task = asyncio.create_task(self._keep_running(), name=f"pod-{name}")

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    @property
    def hopeless(self) -> str:
        """Why it is not worth waiting for; empty while it is."""
        if self.problem is not None:
            return self.problem.message
        if self.crash is not None and self._back_off > HOPELESS_BACK_OFF:
            return f"{self.name} ends again and again, last with exit code {self.crash.exit_code}: {self.crash.message}"
        return ""

    def seen(self) -> Pod:
        return Pod(self.name, self.ready, self.leaving, self.crash)

    def target(self) -> Target:
        """Where its counters are read."""
        url = f"http://{LOOPBACK}:{self.port}/metrics"
        return Target(self.name, self._revision, url, self.started_at, replaced=self.starts > 1)

    async def leave(self, drained: float) -> None:
        """End it: out of traffic first, `drained` seconds for that to take effect, then SIGTERM, then SIGKILL."""
        self.leaving = True
        self._changed()
        if self.ready:
            await asyncio.sleep(drained)
        await self.end()

    async def end(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """SIGTERM, then SIGKILL after the grace."""
        self.leaving = True
        self._task.cancel()
        if self._child is not None:
            await self._child.stop(grace_seconds)
        await asyncio.gather(self._task, return_exceptions=True)
        self.ready = False
        self.port = 0

    async def start_over(self, grace_seconds: float) -> None:
        """End a process that hangs, for those who wait in it; started again as after any end, and not ready before.

        That is no crash: it did not end by itself.
        """
        if self._child is not None and not self._given_up:
            self._given_up = True
            log.warning(
                "%s hangs: its process %d is ended, which frees those who wait in it", self.name, self._child.pid
            )
            await self._child.stop(grace_seconds)

    async def _keep_running(self) -> None:
        """Start it, watch it, and start it again: at once never, later and later while it keeps ending."""
        self._back_off = FIRST_BACK_OFF
        while True:
            began = monotonic()
            code, log = await self._run_once()
            self._note_end(code, log)
            if self._lived_well(began):
                self._back_off = FIRST_BACK_OFF
            self.was_ready = False
            self._changed()
            await asyncio.sleep(LONGEST_BACK_OFF if code == EX_CONFIG else self._back_off)
            self._back_off = min(LONGEST_BACK_OFF, self._back_off * 2)

    def _lived_well(self, began: float) -> bool:
        return self.was_ready and monotonic() - began >= FORGIVEN_AFTER

    async def _run_once(self) -> tuple[int, Path]:
        """One life of the process; its exit code and log."""
        self.starts += 1
        self.started_at = datetime.now(UTC)
        log = self._around.folder.log_of(self.name)
        self.port = self._around.ports.free()
        try:
            self._around.folder.fresh_log(self.name)
            self._last_words_file.unlink(missing_ok=True)
            self._child = await spawn(
                [*self._around.command, *arguments(self._version, self.port, self._cwd)],
                env=self._environment(),
                cwd=self._cwd,
                log=log,
                ledger=self._around.ledger,
            )
        except OSError as fault:
            with suppress(OSError):  # a full disk has no room for that either
                log.write_text(f"cannot start {self._around.command[0]} in {self._cwd}: {fault}\n", "utf-8")
            return 127, log
        watch = asyncio.create_task(self._watch_readiness())
        try:
            return await asyncio.shield(self._child.ended), log
        finally:
            watch.cancel()

    def _note_end(self, code: int, log: Path) -> None:
        self._child = None
        self.port = 0
        self.ready = False
        self._failures = 0
        self.problem = self._last_words(code)
        if self._given_up:
            self._given_up = False
            return
        said = self.problem.message if self.problem else last_words(log)
        self.crash = Crash(datetime.now(UTC), code, f"{said} (log: {log})" if said else f"log: {log}")

    @property
    def _last_words_file(self) -> Path:
        return self._around.folder.run / f"{self.name}.termination"

    def _last_words(self, code: int) -> Problem | None:
        """Why it cannot start, in its own words; None for any other end."""
        if code not in (EX_CONFIG, EX_TEMPFAIL):
            return None
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(self._last_words_file.read_text("utf-8"))
            return Problem(Reason(said["reason"]), str(said["message"]), permanent=code == EX_CONFIG)
        if code == EX_TEMPFAIL:
            return None
        return Problem(Reason.LoadFailed, f"{self.name} ended with exit code {code} and no reason", permanent=True)

    def _environment(self) -> dict[str, str]:
        spec = self._version.spec
        ours = {
            "MODEL_VERSION": str(spec.version),
            "K_REVISION": self._revision,
            "TURNOUT_TERMINATION_LOG": str(self._last_words_file),
            "PYTHONUNBUFFERED": "1",
        }
        return dict(os.environ) | thread_plan() | module_path() | dict(map(_assigned, spec.predictor.env)) | ours

    async def _watch_readiness(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(READY_PERIOD if self.was_ready else STARTING_PERIOD)

    async def _look(self) -> None:
        said = await self._ask()
        if self._given_up:
            return
        self._failures = 0 if said is not None else self._failures + 1
        ready = said if said is not None else self.ready and self._failures < FAILURES_TO_UNREADY
        if ready != self.ready:
            self.ready = ready
            self.was_ready = self.was_ready or ready
            if ready:
                self.problem = None
            self._changed()

    async def _ask(self) -> bool | None:
        """What it says of its readiness; None where it says nothing."""
        url = f"http://{LOOPBACK}:{self.port}/v2/models/{self._version.model}/ready"
        try:
            async with self._around.session.get(url, timeout=aiohttp.ClientTimeout(total=PROBE_TIMEOUT)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    def signal(self, sign: signal.Signals) -> None:
        """For tests and demonstrations: hurt the running process."""
        if self._child is not None:
            self._child.signal(sign)


def arguments(version: ModelVersion, port: int, folder: Path) -> tuple[str, ...]:
    """The command line, as a container gets it. `folder`: where the version's file stands."""
    predictor = version.spec.predictor
    args = {
        "model_name": version.model,
        "model_version": str(version.version),
        "runtime": predictor.runtime.value,
        "entrypoint": predictor.entrypoint,
        "artifact_uri": artifact_uri(predictor.artifact, folder) if predictor.artifact else "",
        "artifact_digest": predictor.artifact.digest if predictor.artifact else "",
        "settings": json.dumps(dict(predictor.settings)) if predictor.settings else "",
        "timeout_seconds": str(predictor.timeout_seconds),
        "http_port": str(port),
        "http_host": LOOPBACK,
        "trust_attempt": "true",  # our gateway stands in front, and takes the mark away from what callers send
    }
    return tuple(f"--{name}={value}" for name, value in args.items() if value)


def artifact_uri(artifact: Artifact, folder: Path) -> str:
    """The URI that a process is given: `file://models/7` is a folder beside the version's file."""
    if artifact.scheme != "file" or artifact.path.startswith("/"):
        return artifact.uri
    return f"file://{os.path.normpath(f'{quote(str(folder))}/{artifact.path}')}"


def thread_plan() -> dict[str, str]:
    """Threads of numeric libraries: half of the cores each, since stable and candidate run side by side."""
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {name: os.environ.get(name, threads) for name in pools}


def module_path() -> dict[str, str]:
    """PYTHONPATH as it was meant where the engine was started: its processes run in other folders."""
    path = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))} if path else {}


def _assigned(variable: EnvVar) -> tuple[str, str]:
    return variable.name, variable.value or os.environ.get(variable.name, "")
