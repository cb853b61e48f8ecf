"""A real one-node Kubernetes with KServe, Knative Serving and Kourier, from package registries alone.

For tests and benchmarks (`Cluster`) and for hands (`python tests/cluster/harness --help`). Nothing here is
part of Turnout: it imports neither `turnout` nor `turnout_predictors`, and they do not know it.
"""

from harness.audit import AuditEvent, AuditLog
from harness.builder import Recipe
from harness.cluster import Cluster
from harness.errors import CommandError, HarnessError, InUseError, MissingError

__all__ = ["AuditEvent", "AuditLog", "Cluster", "CommandError", "HarnessError", "InUseError", "MissingError", "Recipe"]
