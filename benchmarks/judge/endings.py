"""How a step with `analysis` ends: harm or a pass, whichever is proven first; nothing proven; or too few requests.

With the default analysis and the default step: from two minutes and 200 requests on, at most fifteen minutes.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from benchmarks.judge.tables import BETA, THRESHOLD
from benchmarks.judge.traffic import POLL_SECONDS, Cell, simulate
from benchmarks.judge.twin import combined, log_mean, passing, passing_latency, wealth
from benchmarks.report import Row
from turnout.api.analysis import Analysis
from turnout.api.rollout import AnalysisStep
from turnout.judge.budget import SUSPICION
from turnout.judge.terms import terms_of

STEP, ANALYSIS = AnalysisStep(), Analysis()
CANDIDATES = {
    "equal": (1.0, 1.0),
    "errors x 1.5": (1.5, 1.0),
    "errors x 3": (3.0, 1.0),
    "errors x 6": (6.0, 1.0),
    "slower x 1.2": (1.0, 1.2),
}
"""How many times as many errors as stable's 0.5 %, and how many times as slow."""


def endings(runs: int) -> list[Row]:
    """Shares in percent; `held`: of the attempts without proof, those that look too much like harm to go on."""
    rows = []
    for (rps, weight), (name, (ratio, slower)) in product(product((2, 20, 200), (0.1, 0.5)), CANDIDATES.items()):
        shares = ended(Cell(rps, weight, 0.005, ratio=ratio, slower=slower), runs)
        row: dict[str, str | int | float] = {"rps": f"{rps:g}", "weight": f"{100 * weight:g} %", "candidate": name}
        rows.append({**row, **{ending: f"{100 * share:.1f}" for ending, share in shares.items()}})
    return rows


def ended(cell: Cell, runs: int) -> dict[str, float]:
    """By ending, which part of the attempts."""
    terms = terms_of(ANALYSIS)
    first, last = (round(each.seconds / POLL_SECONDS) for each in (STEP.min_duration, STEP.max_duration))
    traffic = simulate(cell, runs, seed=17, polls=last)
    streams = wealth(traffic, terms.assume)
    harm = combined(streams) >= THRESHOLD
    requests = np.cumsum(traffic.canary.total().requests[..., 0], 1)
    good = passing(traffic, terms.error_limit or 0.0, terms.robust) >= BETA
    good &= passing_latency(traffic, cell, terms.latency_ratio or 0.0, terms.robust) >= BETA
    good &= requests >= STEP.min_requests
    good[:, : first - 1] = False
    condemned, proven = (np.where(hits.any(1), hits.argmax(1), last) for hits in (harm, good))
    over = (condemned == last) & (proven == last)
    few = over & (requests[:, -1] < STEP.min_requests)
    unproven = over & ~few
    suspect = unproven & (np.maximum(streams[0], log_mean(streams[1:]))[:, -1] >= SUSPICION)
    parts = {
        "rolled back, %": condemned < np.minimum(proven + 1, last),
        "passed, %": proven < condemned,
        "inconclusive, %": unproven,
        "of them held, %": suspect,
        "too few requests, %": few,
    }
    return {ending: float(attempts.mean()) for ending, attempts in parts.items()}
