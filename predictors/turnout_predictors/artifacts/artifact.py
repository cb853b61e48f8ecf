"""A verified, local artifact, as a runtime sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from turnout_predictors.errors import ARTIFACT_INVALID, StartError
from turnout_predictors.signature import Signature, signature_from_json

from .examples import Example, read_examples
from .fetch import fetch
from .manifest import digest_of
from .reference import Reference, read_references

SIGNATURE: Final = "signature.json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """`pinned`: the one who deployed it named the digest. Only then may code in it be run, and only by
    consent.
    """

    path: Path
    digest: str
    pinned: bool
    signature: Signature | None
    examples: tuple[Example, ...]
    references: tuple[Reference, ...] = ()

    def file(self, *names: str) -> Path | None:
        """The first of the named files that exists."""
        return next((self.path / name for name in names if (self.path / name).is_file()), None)

    def require_signature(self) -> Signature:
        if self.signature is None:
            raise StartError(ARTIFACT_INVALID, f"artifact {self.path} has no {SIGNATURE}; publish it again")
        return self.signature


def open_artifact(uri: str, digest: str | None) -> Artifact:
    """Fetches, verifies every byte, reads signature and examples; StartError otherwise."""
    folder = fetch(uri, digest)
    return Artifact(
        path=folder,
        digest=digest or digest_of(folder),
        pinned=digest is not None,
        signature=_signature(folder),
        examples=read_examples(folder),
        references=read_references(folder),
    )


def _signature(folder: Path) -> Signature | None:
    path = folder / SIGNATURE
    if not path.exists():
        return None
    try:
        return signature_from_json(json.loads(path.read_bytes()))
    except ValueError as fault:
        raise StartError(ARTIFACT_INVALID, f"{path}: {fault}; publish it again") from None
