"""Turnout's control side: ModelVersions become canary rollouts, on KServe or on one machine."""

__version__ = "0.1.0"
