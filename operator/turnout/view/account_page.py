"""What the judge knows as one HTML page that needs nothing else: no server, no network, no script."""

import re
from collections.abc import Iterator
from html import escape

from turnout import __version__
from turnout.judge.words import percent, spaced
from turnout.view.account import Account, amount
from turnout.view.account_section import account_section
from turnout.view.html import document, fact, mood_of
from turnout.view.story import Fact


def render_account_page(account: Account) -> str:
    """The whole page."""
    title = f"{account.name}, version {account.version} of {account.model}: what the judge knows"
    body = f"""<main>
<h1>{escape(title)}</h1>
<p>{escape(account.sentence)}</p>
<div class="facts">{"".join(map(fact, facts(account)))}</div>
<section>{account_section(account)}</section>
<footer>{_footer(account)}</footer>
</main>"""
    return document(title, body)


def facts(account: Account) -> Iterator[Fact]:
    """The numbers worth a tile."""
    is_worse = account.harm >= account.threshold
    standing = re.sub(r"(?<=[a-z])[A-Z]", lambda found: f" {found[0].lower()}", account.state)
    yield Fact(standing, f"attempt {account.attempt}", good={"good": True, "bad": False}.get(mood_of(account.state)))
    label = f"evidence of harm; {amount(account.threshold)} is a rollback"
    yield Fact(amount(account.harm), label, good=False if is_worse else None)
    for bet in account.bets[:1]:
        yield Fact(percent(bet.canary.rate), f"{bet.bad} of {spaced(bet.canary.requests)} requests of the candidate")
        yield Fact(percent(bet.stable.rate), f"{bet.bad} of {spaced(bet.stable.requests)} requests of stable")
    yield Fact(account.promise, "at most, the chance of ever taking back a version that is no worse")


def _footer(account: Account) -> str:
    counted = f"Counted until {account.polled_at:%Y-%m-%d %H:%M:%S} UTC. " if account.polled_at else ""
    return f"{counted}Drawn by Turnout {__version__} from the version's status; every number is counted."
