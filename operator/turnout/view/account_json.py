"""An account of the judge for programs: evidence as numbers, moments in ISO 8601."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import exp

from turnout.rollout.trail import Moment
from turnout.view.account import Account, Asked, Bet, Moved


def account_json(account: Account) -> Mapping[str, object]:
    """The whole."""
    return {
        **{name: getattr(account, name) for name in ("namespace", "model", "name", "version", "attempt", "weight")},
        "state": account.state,
        "sentence": account.sentence,
        "verdict": account.verdict,
        "polledAt": _moment(account.polled_at),
        "falseAlarmBudget": account.promise,
        "harm": {"evidence": _number(account.harm), "needed": _number(account.threshold)},
        "metrics": [_bet_json(bet) for bet in account.bets],
        "custom": [metric.body() for metric in account.custom],
        "near": [{"name": each.name, "proof": round(each.proof, 4), "wanted": each.wanted} for each in account.near],
        "answers": account.moved and _moved_json(account.moved),
        "published": account.published and account.published.body(),
        "step": account.asked and _asked_json(account.asked),
        "finds": account.finds,
        "notes": account.notes,
        "moments": [_moment_json(account, moment) for moment in account.moments],
    }


def _bet_json(bet: Bet) -> Mapping[str, object]:
    sides = {"canary": bet.canary, "stable": bet.stable}
    return {
        "name": bet.name,
        "bad": bet.bad,
        **{side: {"requests": count.requests, "bad": count.bad} for side, count in sides.items()},
        "harm": _number(bet.evidence),
        "proof": bet.proof if bet.proof is None else round(bet.proof, 4),
        "wanted": bet.wanted,
    }


def _moved_json(moved: Moved) -> Mapping[str, object]:
    return {
        "canary": moved.canary,
        "stable": moved.stable,
        "distance": round(moved.distance, 4),
        "atLeast": round(moved.at_least, 4),
        "tolerance": moved.tolerance,
        "evidence": _number(moved.evidence),
    }


def _asked_json(asked: Asked) -> Mapping[str, object]:
    return {
        "display": asked.display,
        "requests": {"canary": asked.requests, "needed": asked.needed},
        "seconds": {"ran": asked.ran.total_seconds(), "atLeast": asked.shortest.total_seconds()},
        "deadline": _moment(asked.deadline),
        "expectedAt": _moment(asked.expected_at),
    }


def _moment_json(account: Account, moment: Moment) -> Mapping[str, object]:
    at = (account.began or datetime.fromtimestamp(0, UTC)) + timedelta(seconds=moment.at)
    return {
        "at": _moment(at),
        "weight": moment.weight,
        "harm": _number(moment.harm),
        "metrics": {name: _number(value) for name, value in moment.metrics.items()},
        "passing": {name: _number(value) for name, value in moment.passing.items()},
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def _number(log_evidence: float) -> float:
    return float(f"{exp(min(log_evidence, 50.0)):.4g}")
