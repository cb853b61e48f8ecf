"""What can go wrong on the data side, and what the caller is told.

    PredictorError
    ├── RequestError            one request; has an HTTP status, a code and, where it helps, the field
    │   ├── InvalidInput        400: the caller must change the request
    │   ├── BeyondLimit         413, or 400 of a document's form: more than the version's settings take
    │   ├── ModelError          500: the model raised or lied about its outputs; its text stays in the log
    │   ├── Overloaded          429: come back after `retry_after` seconds
    │   ├── Unavailable         503: not ready yet, or draining
    │   └── DeadlineExceeded    504: the request's time is over
    ├── Interrupted             a transfer stopped for what may pass: it goes on where it was cut
    └── StartError              the process cannot start; has a reason the control side knows

This module writes nothing and knows no protocol but the numbers of HTTP.
"""

from __future__ import annotations

from typing import Final

STATUS_OF_CODE: Final = {
    "invalid_input": 400,
    "unknown_setting": 400,
    "unknown_model": 404,
    "unknown_version": 404,
    "unknown_route": 404,
    "method_not_allowed": 405,
    "wrong_space": 409,
    "too_large": 413,
    "unsupported_encoding": 415,
    "queue_full": 429,
    "model_error": 500,
    "unsupported": 501,
    "not_ready": 503,
    "draining": 503,
    "deadline": 504,
}

EX_CONFIG: Final = 78  # sysexits.h: starting again changes nothing
EX_TEMPFAIL: Final = 75  # sysexits.h: starting again may help

ARTIFACT_NOT_FOUND: Final = "ArtifactNotFound"  # nothing lies where the URI points
ARTIFACT_DIGEST_MISMATCH: Final = "ArtifactDigestMismatch"  # a byte differs from what was published
ARTIFACT_INVALID: Final = "ArtifactInvalid"  # the folder is no artifact, or is one we refuse to load
ARTIFACT_DENIED: Final = "ArtifactDenied"  # whoever keeps it wants credentials, or others
ARTIFACT_NO_ROOM: Final = "ArtifactNoRoom"  # larger than the cache may be or than the disk is, or nowhere to write
ARTIFACT_UNREACHABLE: Final = "ArtifactUnreachable"  # whoever keeps it did not answer, again and again; may pass
SETTINGS_INVALID: Final = "SettingsInvalid"  # a flag or a setting is unknown or out of bounds
ENTRYPOINT_INVALID: Final = "EntrypointInvalid"  # package.module:Class cannot be imported or is no model
RUNTIME_NOT_SERVED: Final = "RuntimeNotServed"  # this build has no such runtime
DEPENDENCY_MISSING: Final = "DependencyMissing"  # the image lacks the model's library
LOAD_FAILED: Final = "LoadFailed"  # the model's own code raised while loading or on an example
START_REASONS: Final = (
    ARTIFACT_NOT_FOUND,
    ARTIFACT_DIGEST_MISMATCH,
    ARTIFACT_INVALID,
    ARTIFACT_DENIED,
    ARTIFACT_NO_ROOM,
    ARTIFACT_UNREACHABLE,
    SETTINGS_INVALID,
    ENTRYPOINT_INVALID,
    RUNTIME_NOT_SERVED,
    DEPENDENCY_MISSING,
    LOAD_FAILED,
)


class PredictorError(Exception):
    """Root of everything this package raises on purpose."""


class RequestError(PredictorError):
    """One request cannot be answered. `code` is one of STATUS_OF_CODE; `field` is a path into the request.

    `allowed`: the methods of a route that was asked by another.
    """

    allowed: tuple[str, ...] = ()

    def __init__(self, code: str, message: str, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        return STATUS_OF_CODE[self.code]


class InvalidInput(RequestError):  # noqa: N818 - named as the fact
    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__("invalid_input", message, field=field)


class BeyondLimit(RequestError):  # noqa: N818 - named as the fact
    """`limit`: the setting of the server that bounds it; the sentence has its value."""

    def __init__(self, limit: str, message: str, *, field: str | None = None, code: str = "too_large") -> None:
        super().__init__(code, f"{message} (server.{limit})", field=field)
        self.limit = limit


class ModelError(RequestError):
    """The caller learns the exception's type only: its text may hold another caller's data."""

    def __init__(self, message: str) -> None:
        super().__init__("model_error", message)


class Overloaded(RequestError):  # noqa: N818 - named as the fact
    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__("queue_full", message, retry_after=retry_after)


class Unavailable(RequestError):  # noqa: N818 - named as the fact
    def __init__(self, message: str, code: str = "not_ready", retry_after: int = 1) -> None:
        super().__init__(code, message, retry_after=retry_after)


class DeadlineExceeded(RequestError):  # noqa: N818 - named as the fact
    def __init__(self, message: str) -> None:
        super().__init__("deadline", message)


class Interrupted(PredictorError):  # noqa: N818 - named as the fact
    """A transfer stopped: a cut, a stall, an overloaded server. `retry_after`: seconds it asked for."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StartError(PredictorError):
    """The process cannot become ready with these arguments: it exits and says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message

    @property
    def exit_code(self) -> int:
        """EX_CONFIG, unless another start may find what this one did not."""
        return EX_TEMPFAIL if self.reason == ARTIFACT_UNREACHABLE else EX_CONFIG
