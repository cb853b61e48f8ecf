"""A thread beside the event loop, for what is large and needs no model: packing, unpacking, counting.

Only what lets go of the interpreter's lock (zlib, numpy) gains anything there, and only from some size on: the crossing
costs as much as packing some kilobytes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

log = logging.getLogger(__name__)

PACKED_BYTES: Final = 1 << 10  # a body of so many may unpack to a thousand times as many
REPLY_BYTES: Final = 128 << 10

EXECUTOR: Final = ThreadPoolExecutor(1, thread_name_prefix="aside")


def run(task: Callable[[], None]) -> None:
    """For what nobody waits for; that it raised is told in the log."""
    EXECUTOR.submit(task).add_done_callback(_tell)


def _tell(done: Future[None]) -> None:
    fault = done.exception()
    if fault is not None:
        log.error("what was done aside raised", exc_info=fault)
