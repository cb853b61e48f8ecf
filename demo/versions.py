"""The ModelVersion files of the demo, as a person would write them."""

from pathlib import Path

from turnout_predictors import Published

FIRST = """\
apiVersion: turnout.dev/v1alpha1
kind: ModelVersion
metadata: {{name: {model}-{version}}}
spec:
  model: {model}
  version: {version}
  predictor:
    runtime: sklearn
    artifact:
      uri: {artifact.uri}
      digest: {artifact.digest}
  scaling:
    minReplicas: {floor}
    scaleToZeroRetention: {retention}
"""
ROLLOUT = """\
  rollout:
    steps:
    - warmup: {{requests: 20, timeout: 1m}}
    - setWeight: 10
    - pause: {{duration: {pause}}}
    - setWeight: 50
    - pause: {{duration: {pause}}}
    promotedScaleDownDelay: 5s
    abortScaleDownDelay: 2s
"""
SHAKY = """\
    runtime: custom
    entrypoint: shaky_digits:Digits
    settings: {{journal: {journal}, crash_after: 12}}
"""


def first(model: str, artifact: Published, *, floor: int = 1, retention: str = "30s") -> str:
    """Version 1: it takes all traffic at once, for there is nothing to compare it with."""
    return FIRST.format(model=model, version=1, artifact=artifact, floor=floor, retention=retention)


def next_one(version: int, artifact: Published, pause: str) -> str:
    """A further version of `digits`: 10 %, 50 %, then all."""
    head = FIRST.format(model="digits", version=version, artifact=artifact, floor=1, retention="30s")
    return head + ROLLOUT.format(pause=pause)


def shaky(version: int, artifact: Published, pause: str, journal: Path) -> str:
    """A further version whose own code serves the model."""
    custom = SHAKY.format(journal=journal)
    return next_one(version, artifact, pause).replace("    runtime: sklearn\n", custom)
