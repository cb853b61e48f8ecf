"""What the gateway is to do, in the words of rollouts; `clusters` and `routes` say the same to Envoy.

Equal topologies render to equal bytes, so that nothing is written at rest.
"""

from dataclasses import dataclass
from datetime import timedelta

from turnout.rollout.snapshot import ModelKey, Split

Resource = dict[str, object]
"""One Envoy resource, as the JSON of its protobuf message."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address of a backend."""

    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Backend:
    """One revision of a version. `timeout` bounds a single try.

    `relayed`: where first tries go that are repeated elsewhere when they fail; empty: to `endpoints` like all others.
    """

    namespace: str
    revision: str
    version: str
    model: str
    endpoints: tuple[Endpoint, ...]
    timeout: timedelta
    relayed: tuple[Endpoint, ...] = ()

    @property
    def cluster(self) -> str:
        return cluster_name(self.namespace, self.revision)


@dataclass(frozen=True, slots=True)
class Fork:
    """The split of a model. What fails on another revision than `fallback` is repeated there once."""

    key: ModelKey
    split: Split
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Topology:
    """All that one Envoy serves. Models of `bare_namespace` also answer without a Host, by path alone.

    `wake_patience`: a cold start may hold a request that long, on top of its timeout.
    """

    backends: tuple[Backend, ...] = ()
    forks: tuple[Fork, ...] = ()
    bare_namespace: str = "default"
    domain: str = "localhost"
    wake_patience: timedelta = timedelta(seconds=60)


def cluster_name(namespace: str, revision: str) -> str:
    """The cluster of a revision's requests that nobody else would answer."""
    return f"{namespace}/{revision}"


def relayed_name(namespace: str, revision: str) -> str:
    """The same pods, for first tries that are repeated elsewhere: these may be refused where others have to wait."""
    return f"{namespace}/{revision}/relayed"


def repeat_name(namespace: str, revision: str) -> str:
    """The same endpoints, for requests that failed elsewhere before; thus they are counted apart."""
    return f"{namespace}/{revision}/repeats"


def relay_name(namespace: str, revision: str, fallback: str) -> str:
    """First try on `revision`, second on `fallback`."""
    return f"{namespace}/{revision}/then/{fallback}"


def model_host(key: ModelKey, domain: str) -> str:
    """The host name at which clients call a model."""
    return f"{key.model}.{key.namespace}.{domain}"


def version_host(namespace: str, version: str, domain: str) -> str:
    """A version's own address, whatever its share; the name that it reserves in a cluster too."""
    return f"{version}-predictor.{namespace}.{domain}"
