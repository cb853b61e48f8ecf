"""What the judge knows as a part of a page: both kinds of evidence over time, both sides, the answers."""

from collections.abc import Iterator
from html import escape
from math import log

from turnout.judge.words import percent, spaced
from turnout.view.account import Account, Bet, Count, Moved, amount, bound_words, published_words
from turnout.view.evidence_chart import Line, draw_answers, draw_evidence, kind_of

HARM_NOTE = (
    "Each line is what a bettor has who began with 1 and stakes on the candidate having more than its share of the bad "
    "events; nobody wins on average against a version that is no worse. The thick line is all of them together: only "
    "it decides, and it may be looked at after every poll."
)
PASS_NOTE = "Proof that it is good enough. It begins anew with each share of the traffic, and all lines must get there."


def account_section(account: Account) -> str:
    """Charts and tables of one attempt, to stand in any page."""
    parts = [*_harm(account), *_passing(account), _table(account)]
    if account.moved and sum(account.moved.canary) and sum(account.moved.stable):
        parts += _answers(account.moved)
    parts += [f'<p class="note">{escape(note)}</p>' for note in _further(account)]
    return "\n".join(parts)


def _harm(account: Account) -> Iterator[str]:
    lines = [
        *(
            Line(bet.bad, kind_of(index), tuple((m.at, m.metrics.get(bet.name, 0.0)) for m in account.moments))
            for index, bet in enumerate(account.rows)
        ),
        Line("all together", "all", tuple((m.at, m.harm) for m in account.moments)),
    ]
    if len(account.moments) > 1 and account.began:
        yield "<h3>Evidence that it is worse than stable</h3>"
        yield f'<p class="note">{HARM_NOTE}</p>'
        yield _legend(lines)
        shares = [(moment.at, moment.weight) for moment in account.moments]
        chart = draw_evidence(lines, account.threshold, account.began, shares, words="rolled back", proof=False)
        yield f'<div class="scroll">{chart}</div>'


def _passing(account: Account) -> Iterator[str]:
    ways = [(bet.name, bet.wanted) for bet in account.bets] + [(each.name, each.wanted) for each in account.near]
    lines = [
        Line(wanted, kind_of(index), tuple((m.at, m.passing.get(name, 0.0)) for m in account.moments))
        for index, (name, wanted) in enumerate(ways)
        if wanted
    ]
    if len(account.moments) > 1 and account.began and lines:
        yield "<h3>Evidence that it is good enough</h3>"
        yield f'<p class="note">{PASS_NOTE}</p>'
        yield _legend(lines)
        shares = [(moment.at, moment.weight) for moment in account.moments]
        chart = draw_evidence(lines, log(1 / account.beta), account.began, shares, words="proven", proof=True)
        yield f'<div class="scroll">{chart}</div>'


def _legend(lines: list[Line]) -> str:
    keys = "".join(f'<span class="key {line.kind}">{escape(line.name)}</span>' for line in lines)
    return f'<div class="legend">{keys}</div>'


def _table(account: Account) -> str:
    rows = "".join(_row(account, index, bet) for index, bet in enumerate(account.rows))
    return f"""<h3>Both sides, over the same intervals</h3>
<div class="scroll"><table><thead><tr><th></th><th class="number">candidate</th><th class="number">stable</th>
<th class="number">evidence of harm</th><th class="number">of a pass</th></tr></thead>
<tbody>{rows}</tbody></table></div>"""


def _row(account: Account, index: int, bet: Bet) -> str:
    needed = log(1 / account.beta)
    proof = "–" if bet.proof is None else f"{amount(bet.proof * needed)} of {amount(needed)}"
    cells = (_side(bet.canary), _side(bet.stable), amount(bet.evidence), proof)
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    wanted = f"<small>to pass: {escape(bet.wanted)}</small>" if bet.wanted else ""
    return f'<tr><td><span class="key {kind_of(index)}">{escape(bet.bad)}</span>{wanted}</td>{numbers}</tr>'


def _side(count: Count) -> str:
    return f"{percent(count.rate)}<small>{spaced(count.bad)} of {spaced(count.requests)}</small>"


def _answers(moved: Moved) -> Iterator[str]:
    surely = f"surely by more than {moved.at_least:.2f}" if moved.at_least > 0 else "which may be chance"
    yield "<h3>The answers</h3>"
    yield (
        f'<p class="note">They moved by {moved.distance:.2f} (Kolmogorov-Smirnov), {surely}; '
        f"{moved.tolerance:g} is tolerated.</p>"
    )
    yield '<div class="legend"><span class="key s1">candidate</span><span class="key s0">stable</span></div>'
    yield f'<div class="scroll">{draw_answers(moved)}</div>'


def _further(account: Account) -> Iterator[str]:
    if account.published:
        yield f"{published_words(account.published)}."
    yield from (bound_words(metric) for metric in account.custom)
    if account.finds:
        yield f"{account.finds[:1].upper()}{account.finds[1:]}."
    yield from account.notes
