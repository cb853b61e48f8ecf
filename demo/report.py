"""What was measured: as a page, as JSON, as a summary, and as the verdict whether the story kept its promises."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from demo.callers import Tally
from demo.recorder import BROKEN, CRASHING, FAILING, Recorder
from demo.story import NIGHT, Measured
from demo.teller import wrapped
from turnout import __version__
from turnout.view.account import Account
from turnout.view.story import Closeup, Fact, MarkKind, ModelStory, Outcome, Sample, Story
from turnout.view.tree import ModelView, VersionView

OUT_WITHIN_SECONDS = 1.0
TOLD = (2, FAILING)
"""The versions whose judgement the page shows: one proven good, one proven worse."""
COUNTED_LATE = (
    "Errors stand where they were counted, which is done twice a second: half a second or so after they happened, "
    "so also after the version was out of the traffic."
)
NOTES = {
    ("digits", 1): "naive Bayes, trained on 120 images",
    ("digits", 2): "a support vector machine, trained on 898",
    ("digits", 3): "version 2 in code that raises on one image in twenty, and never crashes",
    ("digits", 4): "version 2 in code that dies of its 12th real image, and at every start after that",
    ("digits", 5): "half of its model file is missing",
    (NIGHT, 1): "version 2 again, for a model that is rarely asked",
}


@dataclass(frozen=True, slots=True)
class Results:
    """The numbers of one run. Times are seconds."""

    turnout: str
    python: str
    cores: int
    began: str
    seconds: float
    requests: int
    failed: int
    failures: tuple[str, ...]
    answered: Mapping[int, int]
    accuracy: Mapping[int, float]
    slowest_seconds: float
    states: Mapping[str, tuple[str, ...]]
    promoted_seconds: float | None
    judged_seconds: float | None
    verdict: str
    crash_to_out_seconds: float | None
    failed_by: Mapping[int, int]
    repeated_on_stable: int
    wake_seconds: float
    page: str

    def broken_promises(self) -> Iterator[str]:
        """Each sentence is something that must not be true."""
        if self.failed:
            yield f"{counted(self.failed, 'request')} failed at their caller: {'; '.join(self.failures)}"
        if self.answered.get(BROKEN):
            yield f"version {BROKEN}, which cannot load, answered {counted(self.answered[BROKEN], 'request')}"
        if self.judged_seconds is None:
            yield f"version {FAILING} was not taken back by the judge"
        if self.crash_to_out_seconds is None:
            yield f"version {CRASHING} was never taken out of the traffic"
        elif self.crash_to_out_seconds > OUT_WITHIN_SECONDS:
            yield f"version {CRASHING} was out only {self.crash_to_out_seconds:.2f} s after its crash"

    def as_json(self) -> Mapping[str, object]:
        return asdict(self)


def results(
    recorder: Recorder, tallies: Mapping[str, Tally], measured: Measured, seconds: float, page: Path
) -> Results:
    """Put together what everybody has counted."""
    tally, night = tallies["digits"], tallies[NIGHT]
    applied = recorder.first("digits", 2, MarkKind.DEPLOYED)
    promoted = recorder.first("digits", 2, MarkKind.PROMOTED)
    shared = recorder.first("digits", FAILING, MarkKind.STEPPED)
    judged = recorder.first("digits", FAILING, MarkKind.JUDGED)
    crashed = recorder.first("digits", CRASHING, MarkKind.CRASHED)
    out = recorder.first("digits", CRASHING, MarkKind.ROLLED_BACK)
    right = {version: tally.accuracy(version) for version in sorted(tally.answered)}
    return Results(
        turnout=__version__,
        python=platform.python_version(),
        cores=os.cpu_count() or 0,
        began=datetime.fromtimestamp(recorder.began, UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        requests=tally.sent + night.sent,
        failed=tally.failed + night.failed,
        failures=tuple(explained(recorder, tallies)),
        answered=dict(sorted(tally.answered.items())),
        accuracy={version: round(share, 4) for version, share in right.items() if share is not None},
        slowest_seconds=round(tally.slowest_seconds, 3),
        states={name: tuple(states) for name, states in sorted(recorder.states.items())},
        promoted_seconds=round(promoted.at - applied.at, 2) if promoted and applied else None,
        judged_seconds=round(judged.at - shared.at, 1) if judged and shared else None,
        verdict=judged.text.partition(": ")[2] if judged else "",
        crash_to_out_seconds=round(out.at - crashed.at, 3) if out and crashed else None,
        failed_by=_failed(recorder),
        repeated_on_stable=_repeated(recorder),
        wake_seconds=round(measured.wake_seconds, 2),
        page=str(page),
    )


def explained(recorder: Recorder, tallies: Mapping[str, Tally]) -> Iterator[str]:
    """Each failed request: when it was sent, who had which share then, and what had happened last."""
    for model, tally in tallies.items():
        for why, (sent_at, failed_at) in zip(tally.failures, tally.failed_at, strict=True):
            at = sent_at - recorder.began
            before = [sample for sample in recorder.samples.get(model, ()) if sample.at <= at]
            shares = ", ".join(f"v{number} {share} %" for number, share in before[-1].shares.items()) if before else ""
            last = max(
                (mark for mark in recorder.marks.get(model, ()) if mark.at <= at),
                key=lambda mark: mark.at,
                default=None,
            )
            phase = f"{at - last.at:.2f} s after: v{last.version} {last.text}" if last else "before anything happened"
            yield (
                f"{model}: sent at {at:.2f} s, failed {failed_at - sent_at:.2f} s later ({why}); "
                f"the split was {shares or 'not made yet'}; {phase}"
            )


def _failed(recorder: Recorder) -> Mapping[int, int]:
    """Requests of `digits` that each version failed, whoever answered them then."""
    models = (model for model in recorder.tree.models if model.model == "digits")
    versions = (version for model in models for version in model.versions)
    return {version.version: version.traffic.errors for version in versions if version.traffic}


def _repeated(recorder: Recorder) -> int:
    versions = (version for model in recorder.tree.models for version in model.versions)
    return sum(version.traffic.repeated for version in versions if version.traffic)


def story(recorder: Recorder, found: Results, tallies: Mapping[str, Tally], accounts: Sequence[Account]) -> Story:
    """The recording as the view draws it."""
    return Story(
        title="Five versions of a model that reads digits",
        summary="Recorded by make demo: real predictor processes behind a real Envoy on one machine, "
        f"{found.requests:,} real requests, each answer checked. Version 2 is better and is promoted, by proof; "
        "version 3 fails now and then and is taken back, by proof; version 4 crashes once it meets callers and is "
        "taken out; version 5 cannot load. Nobody touched anything.",
        began=datetime.fromtimestamp(recorder.began, UTC),
        seconds=found.seconds,
        models=tuple(_model(recorder, model, tallies[model.model], accounts) for model in recorder.tree.models),
        facts=tuple(_facts(found)),
    )


def _facts(found: Results) -> Iterator[Fact]:
    yield Fact(f"{found.requests:,}", "requests sent by callers")
    yield Fact(f"{found.failed:,}", "failed at their caller", good=found.failed == 0)
    if found.judged_seconds is not None:
        yield Fact(
            f"{found.judged_seconds:.0f} s", "of 10 % of the traffic until version 3 was proven worse", good=True
        )
    if found.crash_to_out_seconds is not None:
        quick = found.crash_to_out_seconds <= OUT_WITHIN_SECONDS
        label = f"from the crash of version {CRASHING} until it was out of the traffic"
        yield Fact(f"{found.crash_to_out_seconds:.2f} s", label, good=quick)
    were = "request" if found.repeated_on_stable == 1 else "requests"
    label = f"{were} that versions {FAILING} and {CRASHING} failed, repeated on version 2"
    yield Fact(f"{found.repeated_on_stable:,}", label)
    yield Fact(f"{found.wake_seconds:.1f} s", f"waited the caller who woke {NIGHT}")


def _model(recorder: Recorder, model: ModelView, tally: Tally, accounts: Sequence[Account]) -> ModelStory:
    samples = tuple(recorder.samples.get(model.model, ()))
    crashed = recorder.first(model.model, CRASHING, MarkKind.CRASHED)
    title = f"The moment at which version {CRASHING} breaks"
    closeup = (Closeup(title, crashed.at - 2.5, crashed.at + 2.5, COUNTED_LATE),) if crashed else ()
    return ModelStory(
        model=model.model,
        url=model.url,
        samples=samples,
        marks=tuple(sorted(recorder.marks.get(model.model, ()), key=lambda mark: mark.at)),
        outcomes=tuple(_outcome(model, version, samples, tally) for version in reversed(model.versions)),
        closeups=closeup,
        accounts=tuple(account for account in accounts if account.model == model.model and account.version in TOLD),
    )


def _outcome(model: ModelView, version: VersionView, samples: tuple[Sample, ...], tally: Tally) -> Outcome:
    return Outcome(
        version=version.version,
        note=NOTES.get((model.model, version.version), ""),
        state=version.state,
        reason=version.reason,
        message=version.message,
        greatest_share=max((sample.shares.get(version.version, 0) for sample in samples), default=0),
        requests=tally.answered[version.version],
        errors=version.traffic.errors if version.traffic else 0,
        accuracy=tally.accuracy(version.version),
    )


def summary(found: Results, folder: Path, width: int = 80) -> str:
    """What a person should take along, and what to try next, in lines of at most `width` where words allow."""
    lines = [line for part in _taken_along(found) for line in wrapped(part, width, 13) or [""]]
    return "\n".join((*lines, "", "Try next:", *_tries(folder, width)))


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _taken_along(found: Results) -> Iterator[str]:
    right = {version: f"{share:.1%}" for version, share in found.accuracy.items()}
    yield f"In {found.seconds:.0f} s, {counted(found.requests, 'request')}, {found.failed:,} failed at their caller."
    yield (
        f"  version 2  proven good and promoted {found.promoted_seconds} s after it was applied; right answers "
        f"{right.get(1, '–')} before, {right.get(2, '–')} after"
    )
    yield f"  version 3  taken back after {found.judged_seconds} s of 10 %: {found.verdict}"
    yield (
        f"  version 4  out of the traffic {found.crash_to_out_seconds} s after its crash; "
        f"{_repeats(found)} repeated on version 2"
    )
    yield f"  version 5  could not load and answered {counted(found.answered.get(BROKEN, 0), 'request')}"
    yield f"  {NIGHT}  slept; the caller who woke it waited {found.wake_seconds} s"
    yield ""
    yield f"The whole story as a page: {found.page}"


def _repeats(found: Results) -> str:
    """What versions 3 and 4 failed, and that nobody saw."""
    were = "was" if found.repeated_on_stable == 1 else "were"
    return f"the {counted(found.repeated_on_stable, 'request')} that it and version 3 failed {were}"


def _tries(folder: Path, width: int) -> Iterator[str]:
    """Each command below what it is for; one that is too long goes on in further lines, as a shell reads it."""
    tries = (
        ("what was left", (".venv/bin/turnout status", f"--state {folder}/state")),
        ("what the judge knew of version 3", (".venv/bin/turnout analyze digits 3", f"--state {folder}/state")),
        (
            "go on where it ended; edit a file",
            (".venv/bin/turnout up", f"{folder}/versions", f"--state {folder}/state"),
        ),
        ("the first ten minutes", ("less docs/getting-started.md",)),
    )
    for why, parts in tries:
        line = f"    {' '.join(parts)}"
        yield f"  # {why}"
        yield line if len(line) <= width else "    " + " \\\n      ".join(parts)
