"""The command line: what is taken from where, and what is refused by name."""

from __future__ import annotations

import pytest

from turnout_predictors.arguments import Arguments, parse
from turnout_predictors.errors import StartError
from turnout_predictors.server.settings import DEFAULTS, ServerSettings

GIVEN = ["--model_name=m", "--runtime=sklearn"]


def test_defaults() -> None:
    assert parse(GIVEN, {}) == Arguments(
        model_name="m",
        model_version="1",
        runtime="sklearn",
        entrypoint="",
        artifact_uri="",
        artifact_digest=None,
        settings={},
        server=DEFAULTS,
        timeout_seconds=60.0,
        http_host="0.0.0.0",
        http_port=8080,
        grpc_port=0,
        grpc_tls_cert="",
        grpc_tls_key="",
        grpc_tls_client_ca="",
        drain_delay=0.0,
        trust_tenant=False,
        trust_attempt=False,
        tenant_settings="",
        revision="local",
    )


def test_the_environment_fills_what_knative_knows() -> None:
    given = parse(GIVEN, {"PORT": "9000", "MODEL_VERSION": "7", "K_REVISION": "m-7-00001"})
    assert (given.http_port, given.model_version, given.revision) == (9000, "7", "m-7-00001")


def test_a_flag_beats_the_environment() -> None:
    given = parse([*GIVEN, "--http_port=1", "--model_version=8"], {"PORT": "9000", "MODEL_VERSION": "7"})
    assert (given.http_port, given.model_version) == (1, "8")


def test_flags_of_kserves_server_are_ignored_by_name() -> None:
    given = parse([*GIVEN, "--workers=1", "--enable_docs_url", "True", "--event-loop", "uvloop"], {})
    assert given.ignored == ("workers", "enable_docs_url", "event-loop")


def test_the_servers_own_settings_are_parted_from_the_models() -> None:
    given = parse([*GIVEN, '--settings={"server": {"max_rows": 9}, "trusted": []}'], {})
    assert (given.server, given.settings) == (ServerSettings(max_rows=9), {"trusted": []})


GRPC = {
    "a port": (["--grpc_port=9"], 9),
    "a port, and yes": (["--grpc_port=9", "--enable_grpc", "true"], 9),
    "a port, and no": (["--grpc_port=9", "--enable_grpc", "False"], 0),
    "no port": (["--enable_grpc=true"], 0),
}


@pytest.mark.parametrize(("given", "port"), GRPC.values(), ids=GRPC.keys())
def test_grpc_is_served_at(given: list[str], port: int) -> None:
    assert parse([*GIVEN, *given], {}).grpc_port == port


REFUSED = {
    "no model name": (["--runtime=sklearn"], "--model_name"),
    "no runtime": (["--model_name=m"], "--runtime"),
    "a typo": ([*GIVEN, "--modle_name=x"], "unrecognized arguments: --modle_name=x"),
    "an abbreviation": ([*GIVEN, "--http_po=1"], "--http_po"),
    "a port that is a word": ([*GIVEN, "--http_port=web"], "--http_port"),
    "a short digest": ([*GIVEN, "--artifact_digest=sha256:12"], "64 hex digits"),
    "an upper-case digest": ([*GIVEN, f"--artifact_digest=sha256:{'A' * 64}"], "64 hex digits"),
    "settings that are no JSON": ([*GIVEN, "--settings={"], "--settings is not JSON"),
    "settings that are a list": ([*GIVEN, "--settings=[]"], "must be a JSON object"),
    "a timeout of zero": ([*GIVEN, "--timeout_seconds=0"], "must be in (0, 600]"),
    "a timeout beyond ten minutes": ([*GIVEN, "--timeout_seconds=601"], "must be in (0, 600]"),
    "a timeout that is not a number": ([*GIVEN, "--timeout_seconds=nan"], "must be in (0, 600]"),
    "a certificate without its key": ([*GIVEN, "--grpc_tls_cert=/c"], "--grpc_tls_cert and --grpc_tls_key, both"),
    "an authority without a certificate": ([*GIVEN, "--grpc_tls_client_ca=/c"], "both"),
    "settings of tenants that anybody may claim to be": ([*GIVEN, "--tenant_settings=/f"], "--trust_tenant"),
    "a body of nothing": ([*GIVEN, '--settings={"server": {"max_body_bytes": 1}}'], "settings.server.max_body_bytes: "),
    "a limit that is none": (
        [*GIVEN, '--settings={"server": {"max_cows": 1}}'],
        "max_cows is unknown; allowed: cache_bytes",
    ),
    "a server that is a number": ([*GIVEN, '--settings={"server": 1}'], "settings.server must be an object"),
    "gRPC enabled by a word": ([*GIVEN, "--enable_grpc=perhaps"], "neither true nor false"),
    "a delay that is not a number": ([*GIVEN, "--drain_delay=nan"], "--drain_delay nan must be at least 0"),
    "a negative delay": ([*GIVEN, "--drain_delay=-1"], "--drain_delay -1 must be at least 0"),
}


@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(given: list[str], said: str) -> None:
    with pytest.raises(StartError) as caught:
        parse(given, {})
    assert caught.value.reason == "SettingsInvalid"
    assert said in caught.value.message


def test_a_port_of_the_environment_that_is_no_number_is_named() -> None:
    with pytest.raises(StartError, match="PORT"):
        parse(GIVEN, {"PORT": "tcp://10.0.0.1:80"})
