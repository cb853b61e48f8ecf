"""The local engine: versions as processes behind one Envoy, on one machine, without a cluster."""

from turnout.platform.local.engine import LocalEngine
from turnout.platform.local.folder import FolderError, HeldError
from turnout.platform.local.machine import Settings
from turnout.platform.local.traffic import LocalTraffic, VersionTraffic

__all__ = ["FolderError", "HeldError", "LocalEngine", "LocalTraffic", "Settings", "VersionTraffic"]
