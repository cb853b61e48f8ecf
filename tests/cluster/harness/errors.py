"""What the harness says when it cannot go on: the fact and the next action, never a traceback."""

from __future__ import annotations


class HarnessError(Exception):
    """Something on this machine stands in the way; the message says what, and what to do."""


class MissingError(HarnessError):
    """The machine lacks something the cluster needs and the harness may not or cannot install."""


class InUseError(HarnessError):
    """Somebody else on this machine changes or uses the cluster; the message names them."""


class CommandError(HarnessError):
    """A program that the harness started ended badly; carries what it printed."""

    def __init__(self, command: str, returncode: int, output: str) -> None:
        self.returncode = returncode
        self.output = output
        super().__init__(f"{command}: exit status {returncode}\n{output.strip()[-3000:]}")
