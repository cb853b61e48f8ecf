"""What the judge cannot see, and why.

What keeps it from a proof is said with every verdict that is none, so that nobody waits in vain. What may hide from it
is shown.
"""

from collections.abc import Iterator

from turnout.api.analysis import Against
from turnout.judge import words
from turnout.judge.answers import counted, have_same_bins, published
from turnout.judge.latency import NEAR, slower_than
from turnout.judge.memory import DRIFT_GIVEN_UP, LATENCY_GIVEN_UP
from turnout.judge.protocol import Poll
from turnout.judge.verdict import Case

MOST_SAID, LONGEST = 5, 253
NEARLY_ALL = 0.9
LEFT_OUT = " is not judged: "
"""In the sentence of what somebody asked for and is not judged at all."""


def spots(case: Case) -> list[str]:
    """A sentence each; none without a poll."""
    poll = case.poll
    if poll is None:
        return []
    found = [*_memory(case, poll), *_latency(case, poll)]
    if case.terms.drift_output is not None:
        found += _drift(case, poll, case.terms.drift_output)
    return [sentence[:LONGEST] for sentence in found[:MOST_SAID]]


def unseen(case: Case) -> list[str]:
    """What may hide between two bounds where nearly all of stable lies; a limit of every such model, and no fault."""
    edges, memory = case.poll.edges if case.poll else (), case.memory
    if not edges or case.terms.latency_ratio is None or case.question.stable_unhealthy or not memory.cuts:
        return []
    cut = memory.cuts[case.terms.pass_edge]
    known = sum(memory.window)
    if not known or memory.window[cut] < NEARLY_ALL * known:
        return []
    if not cut:
        return [f"what stays below {edges[0]:g} s, the first bound, is not told from stable, which is below it too"]
    low, high = edges[cut - 1], edges[cut]
    said = f"nearly all of stable's answers take {low:g} to {high:g} s, with no bound in between"
    return [f"{said}: what takes less than {high / low:.2f} times as long may not be seen to be slower"]


def _memory(case: Case, poll: Poll) -> list[str]:
    memory, found = case.memory, list[str]()
    read = case.question.poll or poll
    pods = max(len(read.canary), len(read.stable))
    if pods > memory.groups:
        found.append(
            f"the judge's memory has room for {memory.groups} pods a side: more are counted together, "
            "and an interval is lost when one of them comes or goes"
        )
    if memory.gave_up & DRIFT_GIVEN_UP:
        found.append("drift is not judged: its counts do not fit the judge's memory")
    if memory.gave_up & LATENCY_GIVEN_UP:
        found.append("latency is not judged: its counts do not fit the judge's memory")
    return found


def _latency(case: Case, poll: Poll) -> list[str]:
    terms, memory = case.terms, case.memory
    if terms.latency_ratio is None or case.question.stable_unhealthy or memory.gave_up & LATENCY_GIVEN_UP:
        return []
    if not poll.edges:
        return ["latency is not judged: the pods count no times to answer"]
    if not any(memory.window) or slower_than(memory.window, memory.cuts[terms.pass_edge]) <= NEAR * terms.slow_part:
        return []
    part = words.percent(terms.slow_part)
    last = f"{poll.edges[-1]:g} s, the last bound"
    return [f"latency cannot pass: more than {part} of stable's answers take longer than {last}"]


def _drift(case: Case, poll: Poll, name: str) -> Iterator[str]:
    wanted = case.terms.drift_from
    if case.question.stable_unhealthy or case.memory.gave_up & DRIFT_GIVEN_UP:
        return
    output = f"output {name}" if name else "its first output"
    sides = {"the candidate": poll.canary, "stable": poll.stable}
    missing = [side for side, pods in sides.items() if not counted(name, pods)]
    for side in missing:
        yield f"drift is not judged: {side} counts no answers of {output} by bin"
    if missing:
        return
    if Against.STABLE in wanted and not have_same_bins(name, poll):
        yield f"drift from stable is not judged: the two versions count {output} over other bins; publish with like="
    if Against.REFERENCE in wanted and not published(name, poll.canary):
        yield f"drift from the reference is not judged: the candidate was published without rows of {output}"
