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
    - analysis: {{minDuration: 5s, maxDuration: 2m, minRequests: 60}}
    - setWeight: 50
    - analysis: {{minDuration: 5s, maxDuration: 2m, minRequests: 100}}
    promotedScaleDownDelay: 5s
    abortScaleDownDelay: 2s
  analysis:
    interval: 5s
    errors: {{passBelow: "0.05"}}      # must be proven; and no more than stable's, or it goes
    latency: {{enabled: false}}        # the demo shares this machine with everything else
"""
FLAWED = """\
    runtime: custom
    entrypoint: flawed_digits:Digits
"""
SHAKY = """\
    runtime: custom
    entrypoint: shaky_digits:Digits
    settings: {{journal: {journal}, crash_after: 12}}
"""
SKLEARN = "    runtime: sklearn\n"


def first(model: str, artifact: Published, *, floor: int = 1, retention: str = "30s") -> str:
    """Version 1: it takes all traffic at once, for there is nothing to compare it with."""
    return FIRST.format(model=model, version=1, artifact=artifact, floor=floor, retention=retention)


def next_one(version: int, artifact: Published) -> str:
    """A further version of `digits`: 10 %, 50 %, then all, as soon as it is proven good enough."""
    head = FIRST.format(model="digits", version=version, artifact=artifact, floor=1, retention="30s")
    return head + ROLLOUT.format()


def flawed(version: int, artifact: Published) -> str:
    """A further version whose own code serves the model, and fails now and then."""
    return next_one(version, artifact).replace(SKLEARN, FLAWED)


def shaky(version: int, artifact: Published, journal: Path) -> str:
    """The same, in code that dies."""
    return next_one(version, artifact).replace(SKLEARN, SHAKY.format(journal=journal))
