"""What makes a version the version that was measured: one hash over everything that reaches its pods."""

import hashlib
import json

from turnout.api.version import ModelVersion


def spec_hash(version: ModelVersion) -> str:
    """16 hex digits over model, version, predictor and containerConcurrency, as written with their defaults.

    Never over the operator's own defaults: upgrading the operator must move nothing.
    """
    spec = version.spec
    facts = {
        "model": spec.model,
        "version": spec.version,
        "predictor": spec.predictor.body(),
        "containerConcurrency": spec.scaling.container_concurrency,
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
