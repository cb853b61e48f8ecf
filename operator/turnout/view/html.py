"""A story as one HTML page that needs nothing else: no server, no network, no script to be read.

Style, charts, tables and the samples are all inside; a small script adds what lies under the pointer.
"""

import json
from html import escape
from importlib.resources import files

from turnout import __version__
from turnout.api.reasons import State
from turnout.view import chart
from turnout.view.account import Account
from turnout.view.account_section import account_section
from turnout.view.ink import UNICODE
from turnout.view.story import Fact, Mark, ModelStory, Outcome, Story, story_json
from turnout.view.text import RED_STATES, state_sign


def render_page(story: Story) -> str:
    """The whole page."""
    script = files("turnout.view").joinpath("page.js").read_text("utf-8")
    sections = "\n".join(_section(number, model, story.seconds) for number, model in enumerate(story.models))
    body = f"""<main>
<h1>{escape(story.title)}</h1>
<p>{escape(story.summary)}</p>
<div class="facts">{"".join(map(fact, story.facts))}</div>
{sections}
<footer>Recorded {story.began:%Y-%m-%d %H:%M} UTC in {story.seconds:.0f} seconds by Turnout {__version__}.
Every number is counted, none is made up; the samples are inside this file.</footer>
</main>
<div id="tip" hidden></div>
<script type="application/json" id="story">{_embedded(story)}</script>
<script>
{script}</script>"""
    return document(story.title, body)


def document(title: str, body: str) -> str:
    """A page with the style of all of them inside."""
    style = files("turnout.view").joinpath("page.css").read_text("utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _embedded(story: Story) -> str:
    """JSON that cannot end its element, whatever a message says."""
    return json.dumps(story_json(story), separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def fact(known: Fact) -> str:
    """A tile."""
    mood = {True: " good", False: " bad", None: ""}[known.good]
    return f'<div class="fact{mood}"><b>{escape(known.value)}</b><span>{escape(known.label)}</span></div>'


def _section(number: int, model: ModelStory, seconds: float) -> str:
    name = f"chart-{number}"
    parts = [
        f'<div class="head"><h2>{escape(model.model)}</h2><code>{escape(model.url)}</code></div>',
        _legend(model),
        _drawn(model, 0, seconds, name),
    ]
    for index, closeup in enumerate(model.closeups):
        parts.append(f"<h3>{escape(closeup.title)}</h3>")
        parts.append(f'<p class="note">{escape(closeup.note)}</p>' if closeup.note else "")
        parts.append(_drawn(model, closeup.start, closeup.end, f"{name}-{index}"))
    parts += [_outcomes(model), _happenings(model), *map(_judgement, model.accounts)]
    return f"<section>{''.join(parts)}</section>"


def _judgement(account: Account) -> str:
    """Folded away unless it ended badly: the story is told without it."""
    title = f"What the judge knew of version {account.version}: {account.sentence}"
    opened = " open" if account.harm >= account.threshold else ""
    return f"<details{opened}><summary>{escape(title)}</summary>{account_section(account)}</details>"


def _drawn(model: ModelStory, start: float, end: float, name: str) -> str:
    """A chart that scrolls where the window is too narrow for its words."""
    return f'<div class="scroll">{chart.draw(model, start, end, name=name)}</div>'


def _legend(model: ModelStory) -> str:
    keys = [(chart.series_class(model, version), f"version {version}") for version in model.versions]
    if any(outcome.errors for outcome in model.outcomes):
        keys.append(("repeated", "failed on its version, repeated on the stable one"))
    if model.samples and model.samples[-1].failed:
        keys.append(("failed", "failed at the caller"))
    spans = "".join(f'<span class="key {kind}">{text}</span>' for kind, text in keys)
    return f'<div class="legend">{spans}</div>'


def _outcomes(model: ModelStory) -> str:
    measured = any(outcome.accuracy is not None for outcome in model.outcomes)
    accuracy = '<th class="number">right answers</th>' if measured else ""
    rows = "".join(_outcome(model, outcome, measured=measured) for outcome in model.outcomes)
    return f"""<h3>What became of each version</h3>
<div class="scroll"><table class="outcomes"><thead><tr><th>version</th><th>outcome</th>
<th class="number">greatest share</th><th class="number">answered</th><th class="number">errors</th>
{accuracy}</tr></thead>
<tbody>{rows}</tbody></table></div>"""


def _outcome(model: ModelStory, outcome: Outcome, *, measured: bool) -> str:
    sign, mood = state_sign(outcome.state, UNICODE), mood_of(outcome.state)
    why = " · ".join(part for part in (outcome.reason, outcome.message) if part)
    right = "–" if outcome.accuracy is None else f"{outcome.accuracy:.1%}"
    accuracy = f'<td class="number">{right}</td>' if measured else ""
    key = chart.series_class(model, outcome.version)
    return (
        f'<tr><td><span class="key {key}">version {outcome.version}</span>'
        f"<small>{escape(outcome.note)}</small></td>"
        f'<td><span class="state {mood}">{sign} {outcome.state}</span><small>{escape(why)}</small></td>'
        f'<td class="number">{outcome.greatest_share} %</td><td class="number">{outcome.requests:,}</td>'
        f'<td class="number">{outcome.errors:,}</td>{accuracy}</tr>'
    )


def mood_of(state: State) -> str:
    """The class that its state has on a page."""
    if state in RED_STATES:
        return "bad"
    return "good" if state is State.Live else "rest"


def _happenings(model: ModelStory) -> str:
    rows = "".join(_happening(model, number, mark) for number, mark in enumerate(model.marks, start=1))
    return f"""<h3>What happened</h3>
<div class="scroll"><table><tbody>{rows}</tbody></table></div>"""


def _happening(model: ModelStory, number: int, mark: Mark) -> str:
    kind, key = chart.SIGNS[mark.kind], chart.series_class(model, mark.version)
    cells = (
        f'<td><span class="num">{number}</span></td>',
        f'<td class="number">{mark.at:.2f} s</td>',
        f'<td class="kind">{mark.kind}</td>',
        f'<td><span class="key {key}">version {mark.version}</span> {escape(mark.text)}</td>',
    )
    return f'<tr class="{kind}">{"".join(cells)}</tr>'
