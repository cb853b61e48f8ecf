"""The gRPC port beside the HTTP one: opened and drained with it."""

from __future__ import annotations

from typing import Any

import grpc.aio

from turnout_predictors.server.inference import Limits
from turnout_predictors.server.lifecycle import Lifecycle
from turnout_predictors.telemetry.metrics import Metrics

from .reflection import Reflection
from .service import Service
from .stubs import messages
from .tls import Certificates, Tls

__all__ = ["Tls", "open_port"]


async def open_port(
    address: str,
    model: str,
    version: str,
    lifecycle: Lifecycle,
    metrics: Metrics,
    limits: Limits,
    tls: Tls | None = None,
) -> Any:
    """A started grpc.aio server. OSError if the port is taken, StartError if the certificates cannot be used."""
    credentials = Certificates(tls).credentials() if tls is not None else None
    bounds = limits.server
    server = grpc.aio.server(
        options=(
            # Room for our own sentence; what is larger still gets a status of grpc's own, and is not read.
            ("grpc.max_receive_message_length", 2 * bounds.max_body_bytes),
            ("grpc.max_metadata_size", bounds.max_head_bytes),
            ("grpc.absolute_max_metadata_size", bounds.max_head_bytes),
            ("grpc.max_connection_idle_ms", int(bounds.idle_seconds * 1000)),
            ("grpc.server_handshake_timeout_ms", int(min(bounds.head_seconds, limits.timeout_seconds) * 1000)),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        )
    )
    server.add_generic_rpc_handlers(Service(model, version, lifecycle, metrics, limits).handlers())
    reflection = Reflection(messages().DESCRIPTOR.serialized_pb, lambda: lifecycle.is_draining)
    server.add_generic_rpc_handlers(reflection.handlers())
    try:
        if credentials is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, credentials)
    except RuntimeError as fault:
        raise OSError(f"gRPC port {address} cannot be opened") from fault
    await server.start()
    return server
