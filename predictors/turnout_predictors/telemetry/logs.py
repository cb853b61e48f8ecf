"""Logs are JSON lines on stderr: `time`, `level`, `logger`, `message`, and `error` with a traceback.

No line per request: errors only. What a model prints is its own business.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(level: int = logging.INFO) -> None:
    """Routes every logger to stderr. kserve and uvicorn bring handlers of their own; they are not
    installed.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for noisy in ("uvicorn", "uvicorn.error", "httpx", "sentence_transformers"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
