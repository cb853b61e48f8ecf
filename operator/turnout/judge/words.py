"""What the judge says to a person: which side did what, how sure that is, and what is still missing."""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil, exp

from turnout.api.analysis import Judge
from turnout.judge.memory import Memory
from turnout.judge.terms import LATENCY, Stream, Terms

LARGEST_SHOWN = 1e6


def percent(part: float) -> str:
    """`2.4 %`, `0.038 %`: two digits that count."""
    value = part * 100
    if value >= 10 or value == 0:
        return f"{value:.0f} %"
    return f"{value:.2g} %" if value >= 0.001 else "< 0.001 %"


def spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def evidence(log_evidence: float) -> str:
    """Wealth as a decimal string; what is beyond all bounds is not told apart."""
    value = exp(min(log_evidence, 50.0))
    return f"{LARGEST_SHOWN:.0f}" if value >= LARGEST_SHOWN else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def rate(requests: int, bad: int) -> float:
    return bad / requests if requests else 0.0


def compared(terms: Terms, memory: Memory, stream: Stream, edge: float | None) -> str:
    """ "canary 2.4 % errors of 410, stable 0.4 % of 3 690"."""
    n_c, x_c, n_s, x_s = memory.totals[terms.streams.index(stream)]
    bad = " errors"
    if stream.metric == LATENCY:
        bad = f" slower than {edge:g} s (stable's {stream.name.removeprefix('latency ')})" if edge else " slow"
    return f"canary {percent(rate(n_c, x_c))}{bad} of {spaced(n_c)}, stable {percent(rate(n_s, x_s))} of {spaced(n_s)}"


def promise(terms: Terms, memory: Memory) -> str:
    """The false-alarm budget as it stands: a memory that was lost has spent it once more."""
    return percent(terms.alpha * (1 + memory.anew))


def proven_worse(terms: Terms, memory: Memory, stream: Stream, edge: float | None) -> str:
    facts = compared(terms, memory, stream, edge)
    return f"{facts}: worse than stable, proven within a false-alarm budget of {promise(terms, memory)}"


def fails(limit: float) -> str:
    return f"more than {percent(limit)} of stable's own requests fail: nothing is rolled back by comparison with it"


def passed(memory: Memory, judge: Judge) -> str:
    counted = f"{spaced(memory.step_requests[0])} requests of its own"
    if judge is Judge.THRESHOLD:
        return f"within its bounds in {counted}; a threshold carries no guarantee"
    return f"proven good enough by {counted}"


def enough(requests: int, wanted: int, elapsed: timedelta, weight: int) -> str:
    """What would do instead, at the traffic that was seen."""
    if not requests:
        return "nobody asked it"
    times = wanted / requests
    longer = timedelta(seconds=round(elapsed.total_seconds() * times))
    heavier = ceil(weight * times)
    by_weight = f", or a weight of {heavier} %" if weight < heavier <= 99 else ""
    return f"{longer} at this weight would do{by_weight}"


def decimal(part: float) -> str:
    return f"{part:.4g}"


def undecided(memory: Memory, missing: Sequence[str]) -> str:
    canary, stable = memory.step_requests
    counted = f"{spaced(canary)} requests, stable {spaced(stable)}"
    return f"{counted}; still to prove: {', '.join(missing)}" if missing else counted
