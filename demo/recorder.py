"""Watches the engine ten times a second: draws the tree, tells what is new, and keeps it all for the page."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from demo.callers import Tally
from demo.engine import Engine, Happening
from turnout.view.story import Mark, MarkKind, Sample
from turnout.view.tree import Clients, ModelView, Tree

LOOK_EVERY_SECONDS = 0.1
FAILING, CRASHING, BROKEN = 3, 4, 5
"""The versions of `digits` that are not to be promoted: found out by the judge, by the crash, by their loading."""
PROVEN = "proven within a false-alarm budget"
TELLING = {
    "RolloutStarted": (MarkKind.DEPLOYED, "is applied: its process starts, and no caller can reach it yet"),
    "Promoted": (MarkKind.PROMOTED, "is promoted: all traffic is its own"),
}


class Recorder:
    """`say` gets each mark once; `show` gets every tree. All times are seconds since `began`, which is Unix time."""

    def __init__(
        self,
        engine: Engine,
        tallies: Mapping[str, Tally],
        journal: Path,
        say: Callable[[str, Mark], None],
        show: Callable[[Tree], None],
    ) -> None:
        self.began = time.time()
        self.samples: dict[str, list[Sample]] = {}
        self.marks: dict[str, list[Mark]] = {}
        self.states: dict[str, list[str]] = {}
        self.tree = Tree()
        self._engine, self._tallies, self._journal = engine, tallies, journal
        self._say, self._show = say, show
        self._told = 0
        self._asleep: dict[str, bool] = {}

    @property
    def now(self) -> float:
        return time.time() - self.began

    async def keep_watching(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def look(self) -> None:
        """One sample of everything."""
        tree = self._engine.tree()
        tallies = self._tallies.values()
        clients = Clients(sum(tally.sent for tally in tallies), sum(tally.failed for tally in tallies))
        self.tree = replace(tree, clients=clients if clients.requests else None)
        for model in tree.models:
            self._sample(model)
            self._note_states(model)
        self._note_crash()
        self._note_news()
        self._show(self.tree)

    def mark(self, model: str, mark: Mark) -> None:
        self.marks.setdefault(model, []).append(mark)
        self._say(model, mark)

    def first(self, model: str, version: int, kind: MarkKind) -> Mark | None:
        marks = self.marks.get(model, [])
        return next((mark for mark in marks if mark.version == version and mark.kind is kind), None)

    def _sample(self, model: ModelView) -> None:
        tally = self._tallies.get(model.model, Tally())
        errors = {version.version: version.traffic.errors for version in model.versions if version.traffic}
        before = self.samples.setdefault(model.model, [Sample(at=0.0)])
        shares = {version.version: version.weight for version in model.versions if version.weight}
        if shares and sum(shares.values()) != 100:  # the statuses of both sides are not written at one moment
            shares = dict(before[-1].shares)
        at = self.now if shares == before[-1].shares else max(before[-1].at, self._split_at(model.model))
        sample = Sample(
            at=round(at, 3),
            shares=shares,
            requests=dict(tally.answered),
            errors={number: count for number, count in errors.items() if count},
            failed=tally.failed,
        )
        before.append(sample)

    def _split_at(self, model: str) -> float:
        """When the split was last changed, as the engine told it: a look comes up to a tenth of a second later."""
        changes = [
            each.at for each in self._engine.happenings() if (each.model, each.reason) == (model, "WeightChanged")
        ]
        return changes[-1] - self.began if changes else self.now

    def _note_states(self, model: ModelView) -> None:
        """The order of states, and who falls asleep or wakes."""
        for version in model.versions:
            states = self.states.setdefault(version.name, [])
            if states[-1:] != [version.state]:
                states.append(version.state)
            was, is_asleep = self._asleep.get(version.name, False), version.asleep
            if was is not is_asleep:
                kind = MarkKind.SLEPT if is_asleep else MarkKind.WOKE
                text = "nobody asks for it: its last process ends" if is_asleep else "is asked: a process starts"
                self.mark(model.model, Mark(round(self.now, 3), kind, version.version, text))
            self._asleep[version.name] = is_asleep

    def _note_crash(self) -> None:
        """The moment that version 4 wrote down before it died."""
        if not self.first("digits", CRASHING, MarkKind.CRASHED) and self._journal.exists():
            text = self._journal.read_text("utf-8")
            if text:
                at = float(text) - self.began
                text = "crashes, and crashes again at each start"
                self.mark("digits", Mark(round(at, 3), MarkKind.CRASHED, CRASHING, text))

    def _note_news(self) -> None:
        happenings = self._engine.happenings()
        for happening in happenings[self._told :]:
            mark = self._mark_of(happening)
            if mark:
                self.mark(happening.model, mark)
        self._told = len(happenings)

    def _mark_of(self, happening: Happening) -> Mark | None:
        """Those events that a page needs; the others stand in the engine's log."""
        at, number = round(happening.at - self.began, 3), int(happening.version.rpartition("-")[2])
        if happening.reason in TELLING:
            kind, text = TELLING[happening.reason]
            return Mark(at, kind, number, text)
        if happening.reason == "Failed":
            return Mark(at, MarkKind.FAILED, number, f"fails before any caller meets it: {happening.message}")
        if happening.reason == "RollbackStarted" and PROVEN in happening.message:
            sentence = happening.message[happening.message.index("canary") :].partition(" (found at")[0]
            return Mark(at, MarkKind.JUDGED, number, f"is taken back by the judge: {sentence}")
        if happening.reason == "Dropped":
            crashed = self.first(happening.model, number, MarkKind.CRASHED)
            after = f", {at - crashed.at:.2f} s after its crash" if crashed else ""
            return Mark(at, MarkKind.ROLLED_BACK, number, f"is out of the traffic{after}")
        share = re.search(rf"\b{happening.version} (\d+) %", happening.message)
        if happening.reason == "WeightChanged" and share and int(share[1]) < 100:
            return Mark(at, MarkKind.STEPPED, number, f"takes {share[1]} % of the traffic")
        return None
