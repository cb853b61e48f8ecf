"""How a client's script tells what it tried: a line of JSON for each case. Needs nothing but Python."""

import json
import traceback
from collections.abc import Callable

CASES: dict[str, Callable[..., object]] = {}


def case(name: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """The function is a case of that name; it raises where the client was not served."""

    def add(tried: Callable[..., object]) -> Callable[..., object]:
        CASES[name] = tried
        return tried

    return add


def run(version: str, *given: object) -> None:
    """Every case, and what it said; then the client's version."""
    for name, tried in CASES.items():
        said = ""
        try:
            tried(*given)
        except BaseException:  # of whatever library
            said = traceback.format_exc(limit=-3)
        print(json.dumps({"case": name, "said": said}), flush=True)
    print(json.dumps({"version": version}), flush=True)
