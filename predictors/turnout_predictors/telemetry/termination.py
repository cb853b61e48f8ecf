"""The message a process leaves behind when it can never start: JSON of at most 4096 bytes, as Kubernetes
reads it.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Final

from turnout_predictors.errors import StartError

LIMIT_BYTES: Final = 4096
_DEFAULT: Final = "/dev/termination-log"

log = logging.getLogger(__name__)


def message(fault: StartError) -> bytes:
    """`{"reason", "message"}`, the sentence cut so that the whole fits."""
    text = fault.message
    encoded = _encode(fault.reason, text)
    while len(encoded) > LIMIT_BYTES:
        text = text[: len(text) * LIMIT_BYTES // len(encoded) - 2]
        encoded = _encode(fault.reason, f"{text}…")
    return encoded


def _encode(reason: str, text: str) -> bytes:
    return json.dumps({"reason": reason, "message": text}, ensure_ascii=False).encode()


def leave(fault: StartError) -> None:
    """Writes the message where the platform looks for it, if it may, and logs it in any case."""
    log.error("cannot start: %s: %s", fault.reason, fault.message)
    path = Path(os.environ.get("TURNOUT_TERMINATION_LOG", _DEFAULT))
    try:
        if "TURNOUT_TERMINATION_LOG" in os.environ or path.exists():
            path.write_bytes(message(fault))
    except OSError as denied:
        log.warning("cannot write the termination message to %s: %s", path, denied)
