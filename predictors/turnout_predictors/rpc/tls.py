"""Certificates of the gRPC port, read anew when their files change: whoever renews them restarts nothing."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from turnout_predictors.errors import SETTINGS_INVALID, StartError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tls:
    """`client_ca`: callers must show a certificate that it signed; empty: anybody may call."""

    certificate: str
    key: str
    client_ca: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(Path(name) for name in (self.certificate, self.key, self.client_ca) if name)


class Certificates:
    """What handshakes are made with."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._seen = _stamps(tls)
        self._first = _configuration(tls)

    def credentials(self) -> Any:
        return grpc.dynamic_ssl_server_credentials(self._first, self.renewed, bool(self._tls.client_ca))

    def renewed(self) -> Any:
        """The present files if they have changed since they were last asked for, else None. Called by handshakes."""
        try:
            stamps = _stamps(self._tls)
            if stamps == self._seen:
                return None
            configuration = _configuration(self._tls)
        except (OSError, StartError) as fault:  # half-written, perhaps: the next handshake looks again
            log.warning("the new certificates cannot be used, the old ones stay: %s", fault)
            return None
        self._seen = stamps
        log.info("the certificates of gRPC were read anew")
        return configuration


def _stamps(tls: Tls) -> tuple[int, ...]:
    try:
        return tuple(path.stat().st_mtime_ns for path in tls.files)
    except OSError as fault:
        raise StartError(SETTINGS_INVALID, f"TLS of gRPC: {fault.filename}: {fault.strerror}") from None


def _configuration(tls: Tls) -> Any:
    """StartError where they do not belong together."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca:
            context.load_verify_locations(tls.client_ca)
        certificate, key = Path(tls.certificate).read_bytes(), Path(tls.key).read_bytes()
        authority = Path(tls.client_ca).read_bytes() if tls.client_ca else None
    except OSError as fault:  # ssl.SSLError is one
        names = ", ".join(map(str, tls.files))
        raise StartError(SETTINGS_INVALID, f"TLS of gRPC: {names} cannot be used: {fault}") from None
    return grpc.ssl_server_certificate_configuration([(key, certificate)], authority)
