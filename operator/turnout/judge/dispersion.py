"""How much more bad events vary than single, independent ones would: 1 for those, about k for bursts of k."""

from typing import NamedTuple

from turnout.judge.harm import Tally, share

SCALE = 1_000_000
LEAST_EVENTS = 4
"""Fewer say nothing about how they come."""


CAUTION = 2
"""What passes below a limit by chance alone has had fewer events than the limit says, often half of them."""

PRIOR_EVENTS = 5
"""So many events of an equal candidate are assumed to have been seen before the first."""


class Spread(NamedTuple):
    """Sums over a side's intervals: how many, requests, bad events, and bad² / requests in millionths."""

    intervals: int = 0
    requests: int = 0
    bad: int = 0
    squares: int = 0

    def plus(self, requests: int, bad: int) -> "Spread":
        if not requests:
            return self
        return Spread(
            self.intervals + 1,
            self.requests + requests,
            self.bad + bad,
            self.squares + bad * bad * SCALE // requests,
        )

    @property
    def factor(self) -> float:
        """Variance over mean of the counts per interval, at least 1."""
        if self.bad < LEAST_EVENTS or self.intervals < 2:
            return 1.0
        rate = self.bad / self.requests
        chi_square = self.squares / SCALE / rate - self.bad
        return max(1.0, chi_square / (self.intervals - 1) / max(0.05, 1 - rate))

    def factor_at(self, limit: float) -> float:
        """The same of a side that is at `limit`, at least 1; more bad events never lower it.

        Beside the rate that was seen, as in `factor`, single events make a burst look less like one: one more of them
        could complete a proof.
        """
        return max(1.0, CAUTION * self.squares / SCALE / self.intervals / limit) if self.intervals else 1.0


class Split(NamedTuple):
    """Squared surprises of the candidate's part of the bad events, each relative to that of single events.

    Surprise is against the candidate going on as it did: `seen` of its bad events, `due` (in millionths) if it were
    equal; so a candidate that is better or worse does not look like clusters.
    """

    intervals: int = 0
    surprise: int = 0
    seen: int = 0
    due: int = 0

    def plus(self, canary: Tally, stable: Tally) -> "Split":
        events = canary[1] + stable[1]
        if not events or not canary[0] or not stable[0]:
            return self
        ratio = (self.seen + PRIOR_EVENTS) / (self.due / SCALE + PRIOR_EVENTS)
        expected = share(ratio, canary[0], stable[0])
        squared = (canary[1] - events * expected) ** 2 / (events * expected * (1 - expected))
        due = self.due + int(events * share(1.0, canary[0], stable[0]) * SCALE)
        return Split(self.intervals + 1, self.surprise + int(squared * SCALE), self.seen + canary[1], due)

    @property
    def factor(self) -> float:
        return max(1.0, self.surprise / SCALE / self.intervals) if self.intervals >= LEAST_EVENTS else 1.0
