"""Effective settings: who gave what, in which order it counts, what answers say of it, and what nobody else sees."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.predictors.echo import INFER, Echo, ask
from turnout_predictors.errors import StartError
from turnout_predictors.server.contract import Contract
from turnout_predictors.server.effective import of_version
from turnout_predictors.server.tenants import TenantSettings


class Tenants:
    """A server whose tenants have settings of their own, from a file."""

    def __init__(self, in_process: Any, path: Path) -> None:
        self.path = path
        self.stamp = 0
        self.write({"acme": {"scale": 3}, "umbra": {"scale": 4, "top": 2}})
        self.server = in_process(Echo(), trust_tenant=True)
        self.settings = TenantSettings(path, Contract.of(Echo.signature, Echo.settings).base)
        serving = self.server.lifecycle.serving
        object.__setattr__(serving, "tenants", self.settings)

    def write(self, content: Any) -> None:
        self.path.write_text(content if isinstance(content, str) else json.dumps(content))
        self.stamp += 10**9
        os.utime(self.path, ns=(self.stamp, self.stamp))

    async def ask(self, tenant: str, **parameters: Any) -> tuple[float, str]:
        """The factor that was used, and where it is said to come from."""
        body = ask(1, 2, parameters=parameters) if parameters else ask(1, 2)
        answer = (await self.server.ask("POST", INFER, body, {"X-Tenant": tenant})).json
        return answer["outputs"][0]["data"][0], answer["parameters"]["settings_source"]


@pytest.fixture
async def tenants(in_process: Any, tmp_path: Path) -> Tenants:
    return Tenants(in_process, tmp_path / "tenants.json")


SAID = {
    "nobody says anything": ("", {}, 2.0, "default"),
    "a tenant without settings": ("other", {}, 2.0, "default"),
    "a tenant has its own": ("acme", {}, 3.0, "tenant"),
    "the request counts more": ("acme", {"settings.scale": 5}, 5.0, "request,tenant"),
    "the request, for nobody": ("", {"settings": '{"scale": 5}'}, 5.0, "request"),
}


@pytest.mark.parametrize(("tenant", "parameters", "scale", "source"), SAID.values(), ids=SAID.keys())
async def test_what_counts(tenants: Tenants, tenant: str, parameters: Any, scale: float, source: str) -> None:
    assert await tenants.ask(tenant, **parameters) == (scale, source)


async def test_a_request_changes_only_what_it_names(tenants: Tenants) -> None:
    assert (await tenants.ask("umbra", **{"settings.top": 7}))[0] == 4.0


def test_the_version_s_own_settings_are_told_as_such() -> None:
    assert of_version(Echo.Bounds(scale=1)).told["settings_source"] == "version"
    assert of_version(Echo.Bounds(path="/")).told["settings_source"] == "default"
    assert of_version(None).told == {}


async def test_equal_settings_have_one_digest_whoever_gave_them(in_process: Any) -> None:
    server = in_process(Echo())

    async def digest(**parameters: Any) -> str:
        answer = await server.ask("POST", INFER, ask(1, 2, **({"parameters": parameters} if parameters else {})))
        return str(answer.json["parameters"]["settings_digest"])

    plain = await digest()
    assert len(plain) == 16
    assert await digest(**{"settings.scale": 2}) == plain
    assert await digest(**{"settings.scale": 3}) != plain


async def test_the_file_is_read_anew_and_a_broken_one_leaves_the_last_in_force_and_says_so(tenants: Tenants) -> None:
    tenants.write({"acme": {"scale": 6}})
    assert await tenants.ask("acme") == (3.0, "tenant")
    tenants.settings.look()
    assert await tenants.ask("acme") == (6.0, "tenant")
    for broken in ("{", "[]", {"acme": {"scale": 99}}, {"acme": {"colour": 1}}):
        tenants.write(broken)
        tenants.settings.look()
        assert await tenants.ask("acme") == (6.0, "tenant:stale")
    assert await tenants.ask("other") == (2.0, "default")
    tenants.write({})
    tenants.settings.look()
    assert await tenants.ask("acme") == (2.0, "default")


async def test_who_only_claims_to_be_a_tenant_gets_nothing_of_it(in_process: Any, tmp_path: Path) -> None:
    tenants = Tenants(in_process, tmp_path / "tenants.json")
    serving = tenants.server.lifecycle.serving
    untrusting = in_process(Echo())
    object.__setattr__(untrusting.lifecycle.serving, "tenants", serving.tenants)
    answer = await untrusting.ask("POST", INFER, ask(1, 2), {"X-Tenant": "acme"})
    assert answer.json["outputs"][0]["data"] == [2, 4]


UNUSABLE = {
    "not there": (None, "No such file"),
    "no JSON": ("{", "Expecting"),
    "no objects": ('{"a": 1}', "JSON object of objects"),
    "an unknown setting": ('{"a": {"colour": 1}}', "a: setting 'colour'"),
    "a load setting": ('{"a": {"path": "/"}}', "a: setting 'path'"),
    "out of bounds": ('{"a": {"scale": 11}}', "a: parameters.settings.scale"),
}


@pytest.mark.parametrize(("text", "said"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_file_that_cannot_be_used_ends_the_start(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "tenants.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StartError, match=said):
        TenantSettings(path, of_version(Echo.settings))
