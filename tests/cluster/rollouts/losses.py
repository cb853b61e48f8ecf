"""What callers lost when something was broken on purpose: the table of docs/what-happens-if.md.

One line here for each fault that a test of this folder brings about, in a person's words. The test says what may be
lost; the page shows what was lost, in a run that is kept in losses.json:

    LOSSES=tests/cluster/rollouts/losses.json pytest -m cluster tests/cluster/rollouts
    python -m tests.cluster.rollouts.losses
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.stream import Answer, Stream

ROOT = Path(__file__).parents[3]
MEASURED = Path(__file__).with_name("losses.json")
PAGE = ROOT / "docs" / "what-happens-if.md"
BEGIN, END = "<!-- losses: begin -->\n", "<!-- losses: end -->\n"


@dataclass(frozen=True)
class Fault:
    """`when` something happens, Turnout `does` this; `why` somebody lost something, empty where nobody may."""

    when: str
    does: str
    why: str = ""


@dataclass(frozen=True)
class Run:
    """What a caller sent and lost while a fault was brought about, when, and on what.

    `load`: of the minute before; of the runs of the first day nobody has noted it.
    """

    sent: int
    failed: int
    day: str
    cores: int
    load: float | None = None


UNTIL_DROPPED = "sent before its share was gone"
UNTIL_BACK = "sent to a share that nothing stood behind, before an operator was back"

FAULTS: Mapping[str, Fault] = {
    "route-edited": Fault(
        "somebody edits the model's Route",
        "puts the split back; after three times in five minutes says `Contended` and waits a minute before the next",
    ),
    "route-deleted": Fault(
        "somebody deletes the model's Route",
        "makes it again with the same split as soon as the old one is gone",
        "Knative clears the gateway of the old Route before it puts the new one in",
    ),
    "canary-inferenceservice-deleted": Fault(
        "somebody deletes a canary's InferenceService",
        "drops it from the split, makes it again, warms it up and takes it through its plan again",
        UNTIL_DROPPED,
    ),
    "stable-inferenceservice-deleted": Fault(
        "somebody deletes the stable version's InferenceService in a rollout",
        "hands everything to the canary, makes it again, and returns to the step",
        UNTIL_DROPPED,
    ),
    "stopped": Fault(
        "somebody stops the only version (`serving.kserve.io/stop`) and resumes it",
        "leaves it to them; pins the new revision when it comes",
        "sent while it was stopped, or came up",
    ),
    "canary-remade": Fault(
        "a canary's InferenceService is restored as Turnout's under a new uid while no operator runs",
        "takes it for another version: drops it, warms it up, takes it through its plan again",
        UNTIL_BACK,
    ),
    "canary-made-by-others": Fault(
        "somebody deletes a canary's InferenceService and creates their own of its name while no operator runs",
        "drops it, fails the version with `NameTaken`, leaves the other alone",
        UNTIL_BACK,
    ),
    "controllers-restarted": Fault(
        "KServe's and all of Knative's controllers are killed in a rollout",
        "goes on when they are back",
        "sent to an activator that was gone: a controller of Knative that could not give its lease back is replaced "
        "after a minute, and nobody tells the gateway of the new activator until then",
    ),
    "webhook-gone": Fault(
        "Knative's webhook is gone for a minute in a rollout",
        "says `TrafficUnwritable`, keeps the split, tries again every second",
    ),
    "api-server-restarted": Fault("the API server is killed and started again in a rollout", "goes on"),
    "node-killed": Fault(
        "every pod of the only node is killed, the gateway and Turnout with them",
        "goes on where it was; a canary whose process was killed counts as crashed",
        "nothing runs on the node until it is all up again",
    ),
    "quota": Fault(
        "a quota leaves no room for a canary's pods", "fails it at its progress deadline with `QuotaExceeded`"
    ),
    "quota-of-a-later-step": Fault(
        "a quota leaves no room for the pods that a later step needs",
        "keeps the share, names the quota, and goes on when there is room",
    ),
    "image": Fault("a canary's image cannot be pulled", "fails it at its progress deadline with `ImagePullFailed`"),
    "two-models": Fault("two models of a namespace roll out at once", "takes each along its own plan"),
    "evicted-canary": Fault(
        "a canary's pods are evicted, and new ones are not ready within three seconds",
        "takes its share away until they are, and returns to the step",
        UNTIL_DROPPED,
    ),
    "unplanned-revision": Fault(
        "a label put on an InferenceService by hand makes Knative mint a second revision of the version",
        "stays on the pinned one, and says `UnplannedRevision`",
    ),
    "aborted": Fault("a person aborts a rollout", "takes the share away in one write; retries on a new token only"),
    "paused": Fault("a person pauses a rollout, and lets it go on", "keeps the share meanwhile"),
    "approved": Fault("a plan pauses or asks for approval", "waits, however long, for a token, which acts once"),
    "promoted-fully": Fault("a person promotes fully", "gives everything as soon as the pods for it are ready"),
    "queued": Fault(
        "a newer version should queue, or be refused, behind a running rollout", "lets the running one end first"
    ),
    "superseded-twice": Fault(
        "a newer version comes in mid-rollout, and then one more",
        "drops each from the split before the next gets a share",
    ),
    "rolled-back-far": Fault(
        "three versions are withdrawn at once", "returns to the one before them, which needs its pods and no plan"
    ),
    "archived-returns": Fault(
        "the versions after an archived one are withdrawn",
        "makes it again from the recorded image, and hands over when its pods are ready",
    ),
    "live-crashes-beside-warm": Fault(
        "the live version crash-loops, and the one before it is kept warm",
        "hands everything to the warm one; promotes it when a person withdraws the other",
        UNTIL_DROPPED,
    ),
    "deleted-canary": Fault(
        "a canary's ModelVersion is deleted", "gives its share to stable, then deletes what ran it"
    ),
    "deleted-stable": Fault(
        "the stable ModelVersion is deleted in a rollout", "lets it serve on until the canary has replaced it"
    ),
    "all-deleted": Fault(
        "every ModelVersion of a model is deleted in a rollout",
        "leaves nothing behind, the model's Route neither",
        "sent after the deletion, to a model that is no more",
    ),
}


def lost(key: str, caller: Stream) -> list[Answer]:
    """Keep what was lost for the page, and return it; of a fault without a `why` nothing may be."""
    fault, failed = FAULTS[key], caller.failures
    if path := os.environ.get("LOSSES"):
        today = datetime.now(UTC).date().isoformat()
        _keep(
            Path(path),
            key,
            Run(len(caller.answers), len(failed), today, os.cpu_count() or 1, round(os.getloadavg()[0], 1)),
        )
    assert fault.why or not failed, caller.explain()
    return failed


def _keep(path: Path, key: str, run: Run) -> None:
    kept = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**kept, key: asdict(run)}, indent=1, sort_keys=True) + "\n")


def measured() -> dict[str, Run]:
    """The kept runs."""
    return {key: Run(**run) for key, run in json.loads(MEASURED.read_text()).items()}


def told(runs: Collection[Run]) -> str:
    """When it was measured, and how much else the machine had to do."""
    days, loads = sorted({run.day for run in runs}), [run.load for run in runs if run.load is not None]
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    cores = " or ".join(str(number) for number in sorted({run.cores for run in runs}))
    noted = "" if len(loads) == len(runs) else " where it was noted"
    return (
        f"Measured on {when}, one run a line, {cores} cores, at a load of {min(loads):.0f} to {max(loads):.0f}{noted}."
    )


def rows(runs: Mapping[str, Run]) -> Iterable[str]:
    """The table, a fault a line, in the order of FAULTS; what was never measured has no line."""
    yield told(runs.values())
    yield ""
    yield "| if … | Turnout … | lost |"
    yield "|---|---|---|"
    for key, fault in FAULTS.items():
        if key in runs:
            run = runs[key]
            because = f": {fault.why}" if run.failed else ""
            yield f"| {fault.when} | {fault.does} | {run.failed} of {run.sent}{because} |"


def page(text: str) -> str:
    """The page with the table of the kept run."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    table = "\n".join(rows(measured()))
    return f"{before}{BEGIN}{table}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
