"""The ModelVersions of a cluster, read once, for people and programs that look and change nothing.

The synchronous client, with the rights and the context that `kubectl` would use.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from turnout.api.version import GROUP, PLURAL, VERSION, ModelVersion

REQUEST_SECONDS = 10


class ListingError(Exception):
    """The cluster cannot be read; one sentence for a person."""


def list_versions(
    kubeconfig: Path | None, context: str | None, namespace: str | None
) -> tuple[tuple[ModelVersion, ...], str]:
    """Every ModelVersion of a namespace (None: that of the context; "": of all), and the cluster's name in words."""
    from kubernetes import client, config

    try:
        contexts, current = config.list_kube_config_contexts(config_file=_text(kubeconfig))
        chosen = next((each for each in contexts if each["name"] == context), None) if context else current
        if chosen is None:
            raise ListingError(f"kubeconfig has no context {context}; see: kubectl config get-contexts")
        config.load_kube_config(config_file=_text(kubeconfig), context=context)
    except config.ConfigException as fault:
        place = kubeconfig or "the kubeconfig"
        raise ListingError(f"{place} cannot be used: {str(fault).rstrip('.')}") from None
    space = chosen["context"].get("namespace", "default") if namespace is None else namespace
    place = f"cluster {chosen['context']['cluster']}, " + (f"namespace {space}" if space else "all namespaces")
    return _read(client.CustomObjectsApi(), space, place), place


def _text(path: Path | None) -> str | None:
    return str(path.expanduser()) if path else None


def _read(api: object, namespace: str, place: str) -> tuple[ModelVersion, ...]:
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    options = {"group": GROUP, "version": VERSION, "plural": PLURAL, "_request_timeout": REQUEST_SECONDS}
    try:
        if namespace:
            answer = api.list_namespaced_custom_object(namespace=namespace, **options)  # type: ignore[attr-defined]
        else:
            answer = api.list_cluster_custom_object(**options)  # type: ignore[attr-defined]
    except ApiException as fault:
        raise ListingError(_refusal(fault.status, fault.reason, place)) from None
    except HTTPError as fault:
        raise ListingError(f"{place} does not answer: {fault}") from None
    return tuple(_version(item) for item in cast("Mapping[str, list[object]]", answer)["items"])


def _refusal(status: int, reason: str, place: str) -> str:
    if status == 404:
        return f"{place} does not know ModelVersions; install them: turnout crd | kubectl apply --server-side -f -"
    if status in (401, 403):
        return f"{place} does not let you list {PLURAL}.{GROUP}: ask for the verb list on it"
    return f"{place} answered {status} {reason}"


def _version(item: object) -> ModelVersion:
    try:
        return ModelVersion.model_validate(item)
    except ValidationError as fault:
        name = cast("Mapping[str, Mapping[str, str]]", item)["metadata"]["name"]
        first = fault.errors()[0]
        raise ListingError(
            f"ModelVersion {name} cannot be read by this release: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None
