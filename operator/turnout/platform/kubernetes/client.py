"""A cluster as a person's commands see it: with the rights, the context and the namespace that kubectl would use.

Synchronous, and nothing but single requests: the operator's own connection is `connection`. Every failure becomes
one sentence that names the verb and the resource.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turnout.platform.kubernetes.resources import Resource

REQUEST_SECONDS = 10
PAGE = 500
MERGE = "application/merge-patch+json"
FIELD_MANAGER = "turnout-cli"

Raw = dict[str, Any]


class ClusterError(Exception):
    """The cluster cannot be read or written; one sentence for a person."""


class ForbiddenError(ClusterError):
    """The right to do it is missing, or an admission policy says no."""


class AbsentError(ClusterError):
    """There is no such object, or no such kind."""


class StaleError(ClusterError):
    """The object has changed since it was read."""


class Cluster:
    """One context of a kubeconfig. `name`: the cluster's; `namespace`: the context's own."""

    def __init__(self, kubeconfig: Path | None = None, context: str | None = None) -> None:
        from kubernetes import client, config

        file = str(kubeconfig.expanduser()) if kubeconfig else os.environ.get("KUBECONFIG") or "~/.kube/config"
        connection = client.Configuration()
        try:
            contexts, current = config.list_kube_config_contexts(config_file=file)
            chosen = next((each for each in contexts if each["name"] == context), None) if context else current
            if chosen is None:
                raise ClusterError(f"kubeconfig has no context {context}; see: kubectl config get-contexts")
            config.load_kube_config(config_file=file, context=context, client_configuration=connection)
        except config.ConfigException as fault:
            place = kubeconfig or "the kubeconfig"
            raise ClusterError(f"{place} cannot be used: {str(fault).rstrip('.')}") from None
        self.name = str(chosen["context"]["cluster"])
        self.namespace = str(chosen["context"].get("namespace", "default"))
        connection.retries = False
        self._client = client.ApiClient(connection)

    def place(self, namespace: str) -> str:
        """In words; an empty namespace is all of them."""
        return f"cluster {self.name}, " + (f"namespace {namespace}" if namespace else "all namespaces")

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Raw:
        return self._request("GET", path, f"cluster {self.name}: get {path}", query=query)

    def list_all(self, resource: Resource, namespace: str = "", fields: str = "") -> list[Raw]:
        """Every page; `fields`: a field selector."""
        what = f"list {resource}"
        items: list[Raw] = []
        query = {"limit": str(PAGE)} | ({"fieldSelector": fields} if fields else {})
        while True:
            page = self._request("GET", resource.path(namespace), self._does(what, namespace), query=query)
            items += page["items"]
            if not (more := page.get("metadata", {}).get("continue")):
                return items
            query["continue"] = more

    def merge(self, resource: Resource, namespace: str, name: str, body: Mapping[str, object]) -> Raw:
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        does = self._does(f"patch {resource}", namespace)
        return self._request("PATCH", resource.path(namespace, name), does, body, MERGE, query)

    def ask(self, path: str, body: Mapping[str, object]) -> Raw:
        """Post a review, which stores nothing."""
        return self._request("POST", path, f"cluster {self.name}: create {path.rpartition('/')[2]}", body)

    def _does(self, what: str, namespace: str) -> str:
        return f"{self.place(namespace)}: {what}"

    def _request(
        self,
        method: str,
        path: str,
        does: str,
        body: Mapping[str, object] | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Raw:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            prepared = self._client.param_serialize(
                method, path, query_params=list((query or {}).items()), header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            response = self._client.call_api(*prepared, _request_timeout=REQUEST_SECONDS)
            data = response.read()
        except (HTTPError, ApiException, OSError) as fault:
            raise ClusterError(f"{does.partition(': ')[0]} does not answer: {fault}") from None
        if not 200 <= response.status <= 299:
            raise _error(response.status, str(response.reason), data, does)
        try:
            raw: Raw = json.loads(data)
        except ValueError:
            raise ClusterError(f"{does.partition(': ')[0]} answered what is no JSON to {method} {path}") from None
        return raw


_DENIED = re.compile(r"\bdenied (?:the )?request: ")  # what the API server puts before an admission policy's own words


def _error(status: int, reason: str, body: bytes, does: str) -> ClusterError:
    place, _, what = does.partition(": ")
    verb, _, resource = what.partition(" ")
    said = _message(body)
    if status == 401:
        return ForbiddenError(f"{place} does not know who you are: log in again ({said or reason})")
    if status == 403 and (denied := _DENIED.search(said)):  # by a policy or a webhook: who may patch, and not this
        return ForbiddenError(f"{place}: {said[denied.end() :]}")
    if status == 403:
        way_out = f"{place} does not let you {what}: ask for the verb {verb} on {resource}"
        return ForbiddenError(f"{way_out} ({said})" if said else way_out)
    if status == 404:
        return AbsentError(f"{place} has no such thing: {what}")
    if status == 409:
        return StaleError(f"{place}: {said or reason}")
    return ClusterError(f"{place} answered {status} {said or reason} to {what}")


def _message(body: bytes) -> str:
    """The server's own sentence: which user, or which policy."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("message") or "") if isinstance(found, dict) else ""
