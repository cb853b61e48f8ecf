"""The command line of a predictor process: ours, and kserve's where it has a meaning here.

Flags of kserve's server that mean nothing to ours are accepted and named in the log; any other unknown flag
ends the process, so that a typo is never a silent default.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from .errors import SETTINGS_INVALID, StartError
from .server.settings import ServerSettings, parted

_OF_KSERVE: Final = (
    "model_dir",
    "workers",
    "max_threads",
    "max_asyncio_workers",
    "enable_docs_url",
    "enable_latency_logging",
    "configure_logging",
    "log_config_file",
    "access_log_format",
    "event_loop",
    "event-loop",
    "timeout-keep-alive",
    "predictor_host",
    "protocol",
    "predictor_protocol",
    "predictor_use_ssl",
    "predictor_request_timeout_seconds",
    "grpc_max_send_message_length",
    "grpc_max_receive_message_length",
    "predictor_request_retries",
    "enable_predictor_health_check",
    "ssl_certfile",
    "ssl_keyfile",
)


@dataclass(frozen=True, slots=True)
class Arguments:
    model_name: str
    model_version: str
    runtime: str
    entrypoint: str
    artifact_uri: str
    artifact_digest: str | None
    settings: Mapping[str, Any]
    server: ServerSettings
    timeout_seconds: float
    http_host: str
    http_port: int
    grpc_port: int
    grpc_tls_cert: str
    grpc_tls_key: str
    grpc_tls_client_ca: str
    drain_delay: float
    trust_tenant: bool
    trust_attempt: bool
    tenant_settings: str
    revision: str
    ignored: tuple[str, ...] = ()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise StartError(SETTINGS_INVALID, f"{message}; `python -m turnout_predictors --help` lists the flags")


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    ours = _Parser(
        prog="python -m turnout_predictors", description="Serves one version of one model over V2.", allow_abbrev=False
    )
    add = ours.add_argument
    add("--model_name", required=True, help="the model's V2 name")
    add(
        "--model_version",
        default=environment.get("MODEL_VERSION", "1"),
        help="default $MODEL_VERSION, else 1",
    )
    add("--runtime", required=True, help="sklearn, sentence-transformers or custom")
    add("--entrypoint", default="", help="package.module:Class; custom only")
    add("--artifact_uri", default="", help="where it was published: file, pvc, s3, gs, oci, https or hf://…")
    add("--artifact_digest", default="", help="sha256:<hex> of the artifact's manifest.json")
    add(
        "--settings",
        default="{}",
        help="a JSON object, checked against the runtime's own settings; `server` in it holds the server's",
    )
    add("--timeout_seconds", type=float, default=60.0, help="longest time for one request; default 60")
    add("--http_host", default="0.0.0.0", help="default 0.0.0.0")
    add("--http_port", type=int, default=_port(environment), help="default $PORT, else 8080")
    add("--grpc_port", type=int, default=0, help="serve gRPC there too; default 0, no gRPC")
    add("--enable_grpc", type=_yes, default=True, help="false: no gRPC, whatever the port")
    add(
        "--grpc_tls_cert",
        default="",
        help="a certificate's PEM file: gRPC speaks TLS, and reads it anew when it changes",
    )
    add("--grpc_tls_key", default="", help="its key's PEM file")
    add(
        "--grpc_tls_client_ca", default="", help="callers must show a certificate that this PEM file's authority signed"
    )
    add("--drain_delay", type=float, default=0.0, help="seconds to go on accepting after SIGTERM; default 0")
    for name, what in (("tenant", "the header X-Tenant comes"), ("attempt", "the header X-Turnout-Attempt comes")):
        trusted = f"{what} from a gateway that takes away what callers write there; else it is ignored"
        add(f"--trust_{name}", type=_yes, nargs="?", const=True, default=False, help=trusted)
    add("--tenant_settings", default="", help="a JSON file of settings by tenant, read anew when it changes")
    for name in _OF_KSERVE:
        add(f"--{name}", dest=f"kserve_{name}", nargs="?", const="true", default=None, help=argparse.SUPPRESS)
    return ours


def _yes(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "1", "yes")


def _port(environment: Mapping[str, str]) -> int:
    value = environment.get("PORT", "8080")
    if not value.isdigit():
        raise StartError(SETTINGS_INVALID, f"the environment's PORT {value!r} is no number; unset it")
    return int(value)


def parse(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Arguments:
    """StartError names the flag that is wrong."""
    environment = os.environ if environment is None else environment
    given = parser(environment).parse_args(list(argv))
    digest = given.artifact_digest or None
    if digest is not None and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise StartError(SETTINGS_INVALID, f"--artifact_digest {digest!r} must be sha256: and 64 hex digits")
    if not 0 < given.timeout_seconds <= 600:
        raise StartError(SETTINGS_INVALID, f"--timeout_seconds {given.timeout_seconds:g} must be in (0, 600]")
    if not given.drain_delay >= 0:
        raise StartError(SETTINGS_INVALID, f"--drain_delay {given.drain_delay:g} must be at least 0")
    if bool(given.grpc_tls_cert) != bool(given.grpc_tls_key) or (given.grpc_tls_client_ca and not given.grpc_tls_cert):
        raise StartError(SETTINGS_INVALID, "TLS of gRPC needs --grpc_tls_cert and --grpc_tls_key, both")
    if given.tenant_settings and not given.trust_tenant:
        raise StartError(
            SETTINGS_INVALID, "--tenant_settings needs --trust_tenant: nobody else may say who a tenant is"
        )
    server, settings = parted(_settings(given.settings))
    return Arguments(
        model_name=given.model_name,
        model_version=given.model_version,
        runtime=given.runtime,
        entrypoint=given.entrypoint,
        artifact_uri=given.artifact_uri,
        artifact_digest=digest,
        settings=settings,
        server=server,
        timeout_seconds=given.timeout_seconds,
        http_host=given.http_host,
        http_port=given.http_port,
        grpc_port=given.grpc_port if given.enable_grpc else 0,
        grpc_tls_cert=given.grpc_tls_cert,
        grpc_tls_key=given.grpc_tls_key,
        grpc_tls_client_ca=given.grpc_tls_client_ca,
        drain_delay=given.drain_delay,
        trust_tenant=given.trust_tenant,
        trust_attempt=given.trust_attempt,
        tenant_settings=given.tenant_settings,
        revision=environment.get("K_REVISION", "local"),
        ignored=tuple(name for name in _OF_KSERVE if getattr(given, f"kserve_{name}") is not None),
    )


def _settings(text: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text or "{}")
    except ValueError as fault:
        raise StartError(SETTINGS_INVALID, f"--settings is not JSON: {fault}") from None
    if not isinstance(values, dict):
        raise StartError(SETTINGS_INVALID, "--settings must be a JSON object")
    return values
