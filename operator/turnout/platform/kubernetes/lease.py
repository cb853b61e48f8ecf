"""The Lease object of coordination.k8s.io, as `kubectl get lease` shows it. Bound to what was read; decides nothing."""

from datetime import UTC, datetime

from pydantic import Field, ValidationError

from turnout.api.base import JsonObject, Observed
from turnout.platform.kubernetes.calls import Calls, NotFound, Raw
from turnout.platform.kubernetes.objects import Meta
from turnout.platform.kubernetes.resources import LEASES
from turnout.platform.lease import Lease
from turnout.platform.protocol import Unavailable


class Spec(Observed):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None


class Object(Observed):
    metadata: Meta
    spec: Spec = Field(default=Spec())


class KubernetesLease:
    """One Lease, by namespace and name."""

    def __init__(self, calls: Calls, namespace: str, name: str) -> None:
        self._calls = calls
        self._namespace = namespace
        self._name = name

    async def read(self) -> Lease | None:
        try:
            return _read(await self._calls.get(LEASES, self._namespace, self._name))
        except NotFound:
            return None

    async def write(self, lease: Lease, onto: Lease | None) -> Lease:
        metadata: JsonObject = {"name": self._name, "namespace": self._namespace}
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        taken = onto is None or onto.epoch != lease.epoch
        spec: JsonObject = {
            "holderIdentity": lease.holder,
            "leaseDurationSeconds": lease.seconds,
            "leaseTransitions": lease.epoch,
            "acquireTime": now if taken else lease.acquired,
            "renewTime": now,
        }
        if onto is None:
            kind: JsonObject = {"apiVersion": LEASES.api_version, "kind": LEASES.kind}
            body: JsonObject = {**kind, "metadata": metadata, "spec": spec}
            return _read(await self._calls.create(LEASES, self._namespace, body))
        body = {"metadata": {"resourceVersion": onto.version}, "spec": spec}
        return _read(await self._calls.merge(LEASES, self._namespace, self._name, body))


def _read(raw: Raw) -> Lease:
    try:
        found = Object.model_validate(raw)
    except ValidationError as fault:
        raise Unavailable(f"the Lease cannot be read; delete it: {fault.errors()[0]['msg']}") from fault
    spec = found.spec
    return Lease(
        holder=spec.holder_identity or "",
        seconds=spec.lease_duration_seconds or 0,
        epoch=spec.lease_transitions or 0,
        acquired=spec.acquire_time or "",
        renewed=spec.renew_time or "",
        version=found.metadata.resource_version,
    )
