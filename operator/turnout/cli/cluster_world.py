"""A cluster, by its ModelVersions. The rights that it uses: list to look, patch to ask; nothing more."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from turnout.api.base import JsonObject
from turnout.api.version import ModelVersion
from turnout.cli.command import UserError
from turnout.cli.worlds import ChangedMeanwhileError
from turnout.platform.kubernetes.resources import VERSIONS
from turnout.view.tree import Tree, tree_of

if TYPE_CHECKING:
    from turnout.platform.kubernetes.client import Cluster


def open_cluster(kubeconfig: Path | None, context: str | None) -> "Cluster":
    """The cluster that kubectl would talk to."""
    try:
        from turnout.platform.kubernetes.client import Cluster, ClusterError

        try:
            return Cluster(kubeconfig, context)
        except ClusterError as fault:
            raise UserError(str(fault)) from None
    except ModuleNotFoundError as missing:
        sentence = f"to talk to a cluster, the package {missing.name} is needed: pip install 'turnout[operator]'"
        raise UserError(sentence) from None


class ClusterWorld:
    """One namespace of a cluster, or with an empty one all of them; None is the context's own."""

    def __init__(self, kubeconfig: Path | None, context: str | None, namespace: str | None) -> None:
        self._cluster = open_cluster(kubeconfig, context)
        self._namespace = self._cluster.namespace if namespace is None else namespace

    @property
    def place(self) -> str:
        return self._cluster.place(self._namespace)

    @property
    def caution(self) -> str:
        return ""

    def versions(self) -> tuple[ModelVersion, ...]:
        return self._look(self._namespace)[0]

    def version(self, version: ModelVersion) -> ModelVersion | None:
        found, _ = self._look(version.namespace, f"metadata.name={version.name}")
        return next((each for each in found if each.uid == version.uid), None)

    def tree(self) -> Tree:
        versions, problems = self._look(self._namespace)
        return tree_of(versions, source=self.place, problems=problems)

    def change(self, version: ModelVersion, spec: JsonObject) -> None:
        from turnout.platform.kubernetes.client import AbsentError, StaleError

        body = {"metadata": {"resourceVersion": version.metadata.resource_version}, "spec": spec}
        with self._sentences():
            try:
                self._cluster.merge(VERSIONS, version.namespace, version.name, body)
            except (StaleError, AbsentError) as fault:
                raise ChangedMeanwhileError(str(fault)) from None

    def _look(self, namespace: str, fields: str = "") -> tuple[tuple[ModelVersion, ...], tuple[str, ...]]:
        """What can be read, and a sentence for each that cannot: one broken object hides no other."""
        with self._sentences():
            items = self._cluster.list_all(VERSIONS, namespace, fields)
        versions, problems = [], []
        for item in items:
            try:
                versions.append(ModelVersion.model_validate(item))
            except ValidationError as fault:
                problems.append(_unreadable(item, fault))
        return tuple(versions), tuple(problems)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """What the cluster says, in the words of a command."""
        from turnout.platform.kubernetes.client import AbsentError, ClusterError

        try:
            yield
        except AbsentError:
            way_out = "turnout crd | kubectl apply --server-side -f -"
            raise UserError(f"{self.place} does not know ModelVersions; install them: {way_out}") from None
        except ClusterError as fault:
            raise UserError(str(fault)) from None


def _unreadable(item: object, fault: ValidationError) -> str:
    name = cast("dict[str, dict[str, str]]", item)["metadata"]["name"]
    first = fault.errors()[0]
    field = ".".join(map(str, first["loc"]))
    return f"ModelVersion {name} cannot be read by this release: {field}: {first['msg']}"
