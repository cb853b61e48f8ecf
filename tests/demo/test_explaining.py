"""A failed request is told with its moment, the split of that moment, and what had happened last."""

from types import SimpleNamespace
from typing import Any, cast

from demo.callers import Tally
from demo.report import explained
from turnout.view.story import Mark, MarkKind, Sample


def test_a_failure_names_its_moment_its_split_and_what_came_before() -> None:
    marks = [Mark(2.0, MarkKind.STEPPED, 3, "takes 10 % of the traffic"), Mark(9.0, MarkKind.CRASHED, 3, "crashes")]
    samples = [Sample(at=0.0), Sample(at=2.0, shares={3: 10, 2: 90}), Sample(at=9.1, shares={2: 100})]
    recorder: Any = SimpleNamespace(began=1000.0, marks={"digits": marks}, samples={"digits": samples})
    tally = Tally(failed=1, failures=["503: gone"], failed_at=[(1009.05, 1019.05)])
    assert list(explained(recorder, {"digits": tally})) == [
        "digits: sent at 9.05 s, failed 10.00 s later (503: gone); "
        "the split was v3 10 %, v2 90 %; 0.05 s after: v3 crashes"
    ]
    empty = cast("Any", SimpleNamespace(began=1000.0, marks={}, samples={}))
    (told,) = explained(empty, {"digits": tally})
    assert told.endswith("the split was not made yet; before anything happened")
