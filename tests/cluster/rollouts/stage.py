"""Turnout installed on the real cluster, and a namespace to play in: the words in which the tests speak."""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.stream import Stream, rows
from harness import Cluster
from harness.audit import AuditEvent
from tests.cluster.rollouts import gateway

MODEL = "signals"
OPERATOR_NAMESPACE = "turnout"
OPERATOR = f"system:serviceaccount:{OPERATOR_NAMESPACE}:turnout"
"""Who the operator is to the API server's audit log."""
MODELS = Path(__file__).parents[1] / "models"
CRASH, HANG = 666.0, 667.0  # see tests/cluster/models/faulty.py
PATIENCE = 120.0
"""Seconds for whatever must come: nobody waits for them where it does, and a machine with other work to do is slow."""


def body(number: int = 0) -> Mapping[str, Any]:
    """A harmless request."""
    return rows([[1.0]])


def mver(
    number: int, *, model: str = MODEL, name: str = "", runtime: Mapping[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    """A ModelVersion of the predictor that misbehaves on command, answering with its version."""
    predictor = {
        "runtime": "custom",
        "entrypoint": "faulty:Faulty",
        "settings": {"answer": number},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        "timeoutSeconds": 10,
    }
    return {
        "apiVersion": "turnout.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": name or f"{model}-{number}"},
        "spec": {"model": model, "version": number, "predictor": dict(runtime or predictor), **spec},
    }


def baked(name: str) -> dict[str, str]:
    """The artifact that lies in the test's image as it lies in tests/cluster/models."""
    digest = hashlib.sha256((MODELS / name / "manifest.json").read_bytes()).hexdigest()
    return {"uri": f"file:///models/{name}", "digest": f"sha256:{digest}"}


def steps(*weights: int, pause: str = "5s", **rollout: Any) -> dict[str, Any]:
    """`rollout` that holds each weight for `pause`; scale-down delays short enough for a test."""
    held = [step for weight in weights for step in ({"setWeight": weight}, {"pause": {"duration": pause}})]
    delays = {"promotedScaleDownDelay": "20s", "abortScaleDownDelay": "5s"}
    return {"steps": [{"warmup": {"requests": 5}}, *held], **delays, **rollout}


UNTIL_TOLD = [{"setWeight": 30}, {"pause": {}}]
"""A plan that stays at 30 % until somebody promotes it, however long a machine takes to look at it."""


@dataclass(frozen=True)
class Stage:
    """One namespace of the cluster, watched by the installed operator."""

    cluster: Cluster
    namespace: str

    # -- what people do

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        for manifest in manifests:
            self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def patch(self, name: str, **spec: Any) -> None:
        """Merge into a ModelVersion's spec."""
        self.kubectl("patch", "mver", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    # -- what they read

    def object(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.object("mver", name).get("status", {})
        return found

    def statuses(self) -> dict[str, dict[str, Any]]:
        """The status of every ModelVersion, by its name."""
        found = json.loads(self.kubectl("get", "mver", "-o", "json"))["items"]
        return {item["metadata"]["name"]: item.get("status", {}) for item in found}

    def state(self, name: str) -> str:
        return str(self.status(name).get("state", ""))

    def split(self, model: str = MODEL) -> dict[str, int]:
        """What callers meet, by ModelVersion name; empty while there is no Route, and while a change is on its way.

        A moment after it was seen nobody is sent elsewhere any more: what has been taken out cannot be met.
        """
        return _by_version(gateway.split(self.cluster, self.namespace, model))

    def written(self, model: str = MODEL) -> dict[str, int]:
        """The split as the Route's spec says it: what Turnout wants, or somebody's hand, whatever the ground does."""
        found = self.kubectl("get", gateway.ROUTES, model, "-o", "json", "--ignore-not-found")
        traffic = json.loads(found or "{}").get("spec", {}).get("traffic", [])
        return _by_version({entry["revisionName"]: entry.get("percent", 0) for entry in traffic})

    def writes(self, mark: int) -> list[AuditEvent]:
        """What the operator has written here after a mark of the audit log."""
        every = self.cluster.audit.writes(OPERATOR, mark)
        return [event for event in every if event.namespace == self.namespace]

    def quiet(self, seconds: float, patience: float = 240) -> int:
        """Wait until the operator has written nothing here for so long; the mark at which that began."""
        mark, since = self.cluster.audit.mark(), time.monotonic()
        end = since + patience
        while time.monotonic() < since + seconds:
            assert time.monotonic() < end, "\n".join(map(str, self.writes(mark)))
            time.sleep(1)
            if self.writes(mark):
                mark, since = self.cluster.audit.mark(), time.monotonic()
        return mark

    def given(self, name: str, mark: int, model: str = MODEL) -> list[int]:
        """The shares of a version in the order in which the operator has written them, by the audit log after a mark.

        What was written is there for good, however short it held: nobody must come in time to see it.
        """
        bodies = (event.body for event in self.writes(mark) if _is_split(event, model))
        shares = ({t["revisionName"]: t.get("percent", 0) for t in body["spec"]["traffic"]} for body in bodies)
        told = [split.get(f"{name}-predictor-00001", 0) for split in shares]
        return [percent for percent, _ in itertools.groupby(told)]

    def events(self, name: str) -> set[str]:
        """The reasons of all that was told about a version."""
        found = json.loads(
            self.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}", "-o", "json")
        )
        return {event["reason"] for event in found["items"]}

    def wait(self, what: str, true: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Until it is true; the error says what every version is up to."""
        try:
            self.cluster.wait(what, true, seconds)
        except Exception as fault:
            raise AssertionError(f"{what}: not within {seconds} s\n{self.story()}") from fault

    def wait_told(self, name: str, reason: str) -> None:
        """Until an event about a version has that reason."""
        self.wait(f"{name} is told: {reason}", lambda: reason in self.events(name))

    def wait_split(self, split: Mapping[str, int], model: str = MODEL) -> None:
        """Until it is written, and callers meet it."""
        self.wait(f"the split is {split}", lambda: self.split(model) == split == self.written(model))

    def wait_state(self, name: str, state: str, seconds: float = PATIENCE) -> None:
        self.wait(f"{name} is {state}", lambda: self.state(name) == state, seconds)

    def wait_weight(self, name: str, percent: int, seconds: float = PATIENCE) -> None:
        """Until it has that share or, where a slow machine looks late, one of a later step."""
        self.wait(
            f"{name} has {percent} %",
            lambda: self.status(name).get("weight", {}).get("observed", 0) >= percent,
            seconds,
        )

    def story(self) -> str:
        """What a person would look at first."""
        events = self.kubectl(
            "get",
            "events",
            "--sort-by=.lastTimestamp",
            "-o",
            "custom-columns=O:.involvedObject.name,R:.reason,M:.message",
        )
        return self.kubectl("get", "mver", "-o", "wide") + "\n" + "\n".join(events.splitlines()[-25:])

    # -- requests

    def stream(self, model: str = MODEL, **options: Any) -> Stream:
        """A caller of the model's Route, from outside."""
        url = f"{self.cluster.gateway}/v2/models/{model}/infer"
        return Stream(url, options.pop("body", body), host=f"{model}.{self.namespace}.example.com", **options)

    def call(self, model: str = MODEL, timeout: float = 30) -> tuple[int, str]:
        """One request through the Route: HTTP status, 0 if there was none, and the version that answered."""
        return self._post(self.cluster.gateway, f"{model}.{self.namespace}.example.com", model, 1.0, timeout)

    def answers(self, *versions: str, model: str = MODEL) -> bool:
        """Every pod of the gateway gets an answer for a caller of the model, and from each of these versions."""
        outside, inside = gateway.addresses(self.cluster), gateway.addresses(self.cluster, gateway.INTERNAL_PORT)
        asked = [(at, f"{model}.{self.namespace}.example.com") for at in outside]
        asked += [(at, self._inside(name)) for name in versions for at in inside]
        return bool(asked) and all(self._post(*each, model, 1.0, timeout=2)[0] == 200 for each in asked)

    def poison(self, name: str, feature: float, model: str = MODEL) -> float:
        """Make a version crash or hang through its own address; the moment at which it was told to."""
        moment = time.time()
        self._post(self.cluster.internal_gateway, self._inside(name), model, feature, timeout=1)
        return moment

    def _inside(self, name: str) -> str:
        """The host of a version's own address."""
        return f"{name}-predictor.{self.namespace}.svc.cluster.local"

    def poison_pod(self, pod: str, feature: float, model: str = MODEL) -> None:
        """The same, past gateway and queue-proxy, at one pod."""
        address = self.object("pod", pod)["status"]["podIP"]
        self._post(f"http://{address}:8080", address, model, feature, timeout=1)

    def _post(self, gateway: str, host: str, model: str, feature: float, timeout: float) -> tuple[int, str]:
        request = urllib.request.Request(
            f"{gateway}/v2/models/{model}/infer",
            data=json.dumps(rows([[feature]])).encode(),
            headers={"Host": host, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                response.read()
                return response.status, response.headers.get("X-Model-Version", "")
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:  # no answer in time, or none at all
            return 0, ""

    # -- what happens to it

    def pods(self, name: str) -> list[str]:
        return self.cluster.pods(self.namespace, f"serving.knative.dev/service={name}-predictor")

    def signal(self, name: str, number: signal.Signals) -> None:
        """Signal every process of every pod of a version, past Kubernetes."""
        for pod in self.pods(name):
            self.cluster.signal_pod(number, self.namespace, pod)

    def crash(self, name: str) -> float:
        """Kill every process of a version as an out-of-memory kill would, and each that follows: a crash loop."""
        self._mark(name, "crashed")
        self.signal(name, signal.SIGKILL)
        return time.time()

    def hurry(self, name: str) -> None:
        """Let a version answer at once what it is slow to answer."""
        self._mark(name, "hurried")

    def _mark(self, name: str, mark: str) -> None:
        """Leave a file in every pod of a version: tests/cluster/models/faulty.py looks for it."""
        for pod in self.pods(name):
            for pid in self.cluster.pod_pids(self.namespace, pod):
                Path(f"/proc/{pid}/root/tmp/{mark}").touch()

    def evict(self, name: str, grace_seconds: int = 1) -> None:
        """Take a version's pods away, as a drained node would."""
        for pod in self.pods(name):
            self.kubectl("delete", "pod", pod, "--wait=false", f"--grace-period={grace_seconds}")

    def kill_operator_in(self, **states: str) -> None:
        """Kill the one that leads while versions are in these states beyond doubt, and wait until another leads."""
        versions = {name.replace("_", "-"): state for name, state in states.items()}
        for name, state in versions.items():
            self.wait_state(name, state)
        before = self._lease()
        self.kill_operator()
        assert {name: self.state(name) for name in versions} == versions, self.story()  # dead, it cannot write another
        self._wait_led_since(before)

    def kill_operator(self, *, wait: bool = False) -> None:
        """kill -9 the one that leads, as an out-of-memory kill would; that another one leads may be waited for."""
        before = self._lease()
        leader = OPERATOR_NAMESPACE, before["holderIdentity"], "operator"
        # one that has just come back leads before the kubelet has told which container it is now
        self.wait("the leader's process is found", lambda: bool(self.cluster.pod_pids(*leader)))
        self.cluster.signal_pod(signal.SIGKILL, *leader)
        if wait:
            self._wait_led_since(before)

    def _wait_led_since(self, before: Mapping[str, Any]) -> None:
        self.wait("somebody leads anew", lambda: self._lease()["acquireTime"] != before["acquireTime"])

    def leader(self) -> str:
        """The operator's pod that works; the others stand by."""
        return str(self._lease()["holderIdentity"])

    def _lease(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.cluster.get("-n", OPERATOR_NAMESPACE, "lease", "turnout")["spec"]
        return spec

    def renew_operator(self) -> None:
        """New pods: the kubelet forgets how often the old one has been killed, and does not make it wait."""
        self.cluster.restart_controller(OPERATOR_NAMESPACE, "turnout")
        pods = self.cluster.pods(OPERATOR_NAMESPACE, "app.kubernetes.io/name=turnout")
        self.cluster.wait("a new pod leads", lambda: self.leader() in pods, PATIENCE)


def _by_version(shares: Mapping[str, int]) -> dict[str, int]:
    return {revision.removesuffix("-predictor-00001"): percent for revision, percent in shares.items()}


def _is_split(event: AuditEvent, model: str) -> bool:
    return (event.resource, event.name) == ("routes", model) and event.code < 300


def first_version(stage: Stage, number: int = 1, **spec: Any) -> str:
    """Apply the first version of the model and wait until it serves; its name."""
    manifest = mver(number, **{"scaling": {"minReplicas": 1}, **spec})
    stage.apply(manifest)
    name = str(manifest["metadata"]["name"])
    stage.wait_state(name, "Live")
    return name


def condition(status: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One condition of a status; empty while there is none of that type."""
    return next((each for each in status.get("conditions", ()) if each["type"] == kind), {"status": "", "reason": ""})


def moment(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()
