"""What each tenant was given for itself: settings from a file, such as a ConfigMap's, read anew when it changes.

    {"acme": {"threshold": 0.7}}

A file that cannot be read or used any more leaves the last one in force, and answers say so. Nothing here is on the
path of a request but one look into a mapping.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from turnout_predictors.errors import SETTINGS_INVALID, RequestError, StartError

from .effective import Effective, told_of

log = logging.getLogger(__name__)
LOOK_SECONDS: Final = 2.0


class TenantSettings:
    """`of(tenant)` is what requests of that tenant start from."""

    def __init__(self, path: Path, base: Effective) -> None:
        """StartError if the file cannot be used from the start."""
        self._path = path
        self._base = base
        self._seen = 0
        self._is_stale = False
        try:
            self._seen = path.stat().st_mtime_ns
            self._given = self._read()
        except (OSError, ValueError) as fault:
            raise StartError(SETTINGS_INVALID, f"--tenant_settings {path}: {fault}") from None

    def of(self, tenant: str) -> Effective:
        given = self._given.get(tenant)
        if given is None:
            return self._base
        if not self._is_stale:
            return given
        told = {**given.told, "settings_source": given.told["settings_source"].replace("tenant", "tenant:stale")}
        return Effective(given.values, told)

    def look(self) -> None:
        """Reads the file anew if it has changed."""
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp == self._seen and not self._is_stale:
                return
            self._given = self._read()
        except (OSError, ValueError) as fault:
            if not self._is_stale:
                log.error("%s cannot be used, what tenants had before stays in force: %s", self._path, fault)
            self._is_stale = True
            return
        self._seen, self._is_stale = stamp, False

    def _read(self) -> Mapping[str, Effective]:
        """ValueError names the tenant and what is wrong."""
        document = json.loads(self._path.read_text("utf-8"))
        if not isinstance(document, dict) or not all(isinstance(values, dict) for values in document.values()):
            raise ValueError("it must be a JSON object of objects, one for each tenant")
        return {tenant: self._bound(tenant, values) for tenant, values in document.items() if values}

    def _bound(self, tenant: str, values: dict[str, Any]) -> Effective:
        from turnout_predictors.settings import override

        if self._base.values is None:
            raise ValueError(f"{tenant}: the model has no settings")
        try:
            settings = override(self._base.values, values)
        except RequestError as fault:
            raise ValueError(f"{tenant}: {fault.message}") from None
        below = self._base.told.get("settings_source", "default")
        return Effective(settings, told_of(settings, "tenant" if below == "default" else f"tenant,{below}"))
