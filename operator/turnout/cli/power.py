"""`turnout power`: what the judge can find at this much traffic, and how soon. Asks no engine."""

import argparse
from collections.abc import Sequence
from math import inf, isinf
from typing import TYPE_CHECKING

from turnout.cli.command import Commands, add_command, seconds

if TYPE_CHECKING:
    from turnout.judge.power import Traffic

TEXT = """Says how long the judge needs to find a candidate that fails more often than stable, by how much worse it
is and by its share of the traffic; and the least that is found in the time you have. Times are means at
steady traffic: about half of all attempts take longer."""
EXAMPLES = """  turnout power --rps 20
  turnout power --rps 2 --weight 50 --within 1h
  turnout power --rps 200 --errors 0.1 --assume PodBursts
"""
RATIOS = (1.5, 2.0, 3.0, 6.0, 20.0)
WEIGHTS = (5, 10, 25, 50)
CURVE = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0)
WIDTH = 44
ASSUMPTIONS = ("ClusteredErrors", "IndependentRequests", "PodBursts")


def add_parser(commands: Commands) -> None:
    parser = add_command(
        commands, "power", summary="say what a canary of this much traffic can show", text=TEXT, examples=EXAMPLES
    )
    parser.add_argument("--rps", type=_positive, required=True, metavar="NUMBER", help="requests a second of the model")
    parser.add_argument(
        "--weight", type=_percent, default=10, metavar="PERCENT", help="the candidate's share; default 10"
    )
    parser.add_argument("--within", type=seconds, default="10m", metavar="TIME", help="the time you have; default 10m")
    parser.add_argument("--errors", type=_part, default=0.005, metavar="PERCENT", help="errors of stable; default 0.5")
    parser.add_argument("--alpha", type=_part, default=0.01, metavar="PERCENT", help="false-alarm budget; default 1")
    parser.add_argument("--interval", type=seconds, default="15s", metavar="TIME", help="between polls; default 15s")
    parser.add_argument("--assume", choices=ASSUMPTIONS, default=ASSUMPTIONS[0], help=f"default {ASSUMPTIONS[0]}")
    parser.set_defaults(run=run)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return value


def _percent(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 99:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole percentage, 1 to 99")
    return int(text)


def _part(text: str) -> float:
    value = _positive(text.removesuffix("%").strip())
    if value >= 100:
        raise argparse.ArgumentTypeError(f"{text!r} must be a percentage above 0 and below 100")
    return value / 100


def run(args: argparse.Namespace) -> int:
    from turnout.api.analysis import Assumption
    from turnout.judge.power import Traffic
    from turnout.view.table import render_table

    def at(weight: int) -> "Traffic":
        half = args.alpha / 2  # the other half is latency's
        return Traffic(args.rps, weight / 100, args.errors, half, args.interval, Assumption(args.assume))

    weights = sorted({*WEIGHTS, args.weight})
    print(f"At {args.rps:g} requests a second, of which {_percents(args.errors)} fail on stable:\n")
    heads = ("CANDIDATE FAILS", *(f"AT {weight} %" for weight in weights))
    print(render_table(heads, [_row(ratio, [at(weight) for weight in weights]) for ratio in _possible(args.errors)]))
    print(f"\n{_least(at(args.weight), args.within)}\n")
    print("\n".join(_curve(at(args.weight), args.within)))
    return 0


def _possible(errors: float) -> list[float]:
    return [ratio for ratio in RATIOS if errors * ratio <= 1]


def _row(ratio: float, traffics: "Sequence[Traffic]") -> list[str]:
    from turnout.judge.power import seconds_to_detect

    name = f"{_percents(traffics[0].bad * ratio)}, x {ratio:g}"
    return [name, *(_time(seconds_to_detect(traffic, ratio)) for traffic in traffics)]


def _least(traffic: "Traffic", within: float) -> str:
    """The answer in one sentence."""
    from turnout.judge.power import least_ratio

    found, share = least_ratio(traffic, within), f"{traffic.weight * 100:g} %"
    if isinf(found):
        return (
            f"In {_time(within)} at {share} nothing can be found: there are too few requests. Give it weight or time."
        )
    failing = f"{_percents(traffic.bad * found)} of its requests or more ({found:.1f} times stable)"
    return f"In {_time(within)} at {share} a candidate is found that fails {failing}."


def _curve(traffic: "Traffic", within: float) -> list[str]:
    """Time by ratio; a bar of full width is the time there is."""
    from turnout.judge.power import seconds_to_detect

    lines = [f"time to find it at {traffic.weight * 100:g} %; | is {_time(within)}"]
    for ratio in (each for each in CURVE if traffic.bad * each <= 1):
        needed = seconds_to_detect(traffic, ratio)
        length = min(WIDTH, max(1, round(WIDTH * needed / within)) if needed < inf else WIDTH)
        mark = "|" if needed <= within else ">"
        lines.append(f"  x {ratio:<5g}{'=' * length:<{WIDTH}}{mark} {_time(needed)}")
    return lines


def _percents(part: float) -> str:
    return f"{part * 100:.3g} %"


def _time(needed: float) -> str:
    if needed > 48 * 3600:
        return "> 2 days"
    if needed >= 2 * 3600:
        return f"{needed / 3600:.0f} h"
    return f"{needed / 60:.0f} min" if needed >= 300 else f"{needed:.0f} s"
