"""`python -m turnout_predictors`: serves one version of one model. Plans threads before numpy is imported."""

from __future__ import annotations

import sys

from . import threads
from .errors import EX_CONFIG, StartError


def main(argv: list[str] | None = None) -> int:
    planned = threads.plan()
    threads.apply(planned)
    from . import arguments
    from .telemetry import logs, termination

    logs.configure()
    given = sys.argv[1:] if argv is None else argv
    sys.argv = sys.argv[:1]  # kserve parses the command line when it is imported
    try:
        parsed = arguments.parse(given)
    except StartError as fault:
        termination.leave(fault)
        return EX_CONFIG
    from . import process

    return process.run(parsed, planned)


if __name__ == "__main__":
    sys.exit(main())
