"""Everything that is generated from the models, at once: `python -m turnout.api.generate [--check]`, at the root.

`make generate` writes it; a test and CI compare it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from turnout.api import crd, reference
from turnout.api.generated import main as one

FILES: tuple[tuple[Callable[[], str], str], ...] = (
    (crd.render, crd.PATH),
    (crd.render, "charts/turnout/files/modelversions.yaml"),  # a chart can read only what lies in it
    (reference.render, reference.PATH),
)


def main(arguments: Sequence[str]) -> int:
    """Write every file, or with `--check` say which are others; 1 if any is."""
    option = "--check" if "--check" in arguments else "--write"
    return max([one(render, path, [option]) for render, path in FILES])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
