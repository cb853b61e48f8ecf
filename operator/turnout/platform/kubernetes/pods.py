"""What pods tell: who is ready, who leaves, who ended by itself, and why a version does not come up.

Pure readings of what the kubelet reports. Conditions of Knative are read only where no pod exists that could tell,
since they stay as they were through a crash loop.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

from turnout.api.reasons import Reason
from turnout.evidence.pods import Target
from turnout.platform.kubernetes.objects import Condition, Container, Pod, Revision, Terminated
from turnout.rollout import snapshot
from turnout.rollout.rendering import CONTAINER, PORT
from turnout.rollout.snapshot import Crash, Problem

A_POD_OF_MANY = re.compile(r'^pods "[^"]*" is forbidden: ')
"""Each try has another name: told with it, the same hindrance would be recorded anew each time."""
PERMANENT_EXIT = 78  # EX_CONFIG: the predictor says that another start would end the same way
SPOKEN = 300  # characters of a container's own words that are shown
GIVEN_UP_AFTER = 3  # restarts without ever having been ready
IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
TRIED_AGAIN = re.compile(r'^Back-off pulling image "[^"]*"(?:: (?:\w+: )?)?')
"""The kubelet takes turns: it pulls (ErrImagePull), waits (ImagePullBackOff), pulls again. The cause is the same."""
HARMLESS_WAITS = frozenset({"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"})
SAID_BY_PREDICTOR = frozenset(
    {
        Reason.ArtifactNotFound,
        Reason.ArtifactDigestMismatch,
        Reason.ArtifactInvalid,
        Reason.ArtifactDenied,
        Reason.ArtifactNoRoom,
        Reason.ArtifactUnreachable,
        Reason.SettingsInvalid,
        Reason.EntrypointInvalid,
        Reason.RuntimeNotServed,
        Reason.DependencyMissing,
        Reason.LoadFailed,
    }
)


def is_ready(pod: Pod) -> bool:
    ready = pod.status.condition("Ready")
    return ready is not None and ready.status == "True" and not is_leaving(pod)


def is_leaving(pod: Pod) -> bool:
    """Deleted, evicted, preempted, or lost with its node: the pod's fate, not the version's fault."""
    if pod.metadata.deletion_timestamp is not None or pod.status.phase == "Failed":
        return True
    target = pod.status.condition("DisruptionTarget")
    return target is not None and target.status == "True"


def was_ready(pod: Pod) -> bool:
    """It has been ready before: its Ready condition turned after the kubelet had first set it."""
    ready, began = pod.status.condition("Ready"), pod.status.start_time
    if ready is None or ready.last_transition_time is None or began is None:
        return False
    return ready.status == "True" or ready.last_transition_time - began > timedelta(seconds=1)


def endings(pod: Pod) -> tuple[Terminated, ...]:
    """Every end of the model's container that the pod still remembers, of its own accord; newest last."""
    if is_leaving(pod):
        return ()
    container = _model_container(pod)
    if container is None:
        return ()
    states = (container.last_state.terminated, container.state.terminated)
    return tuple(ended for ended in states if ended is not None and ended.finished_at is not None)


def crash(ended: Terminated) -> Crash | None:
    if ended.finished_at is None:
        return None
    return Crash(ended.finished_at, ended.exit_code, _words(ended))


def as_pod(pod: Pod) -> snapshot.Pod:
    """The pod as a decision sees it."""
    ended = endings(pod)
    return snapshot.Pod(
        name=pod.name,
        ready=is_ready(pod),
        leaving=is_leaving(pod),
        crash=crash(ended[-1]) if ended else None,
    )


def target(pod: Pod) -> Target | None:
    """Where its counters are read; None while its process does not run."""
    container = _model_container(pod)
    running = container.state.running if container else None
    if container is None or running is None or running.started_at is None or not pod.status.pod_ip:
        return None
    host = f"[{pod.status.pod_ip}]" if ":" in pod.status.pod_ip else pod.status.pod_ip
    return Target(
        pod=pod.name,
        revision=pod.revision,
        url=f"http://{host}:{PORT}/metrics",
        started_at=running.started_at,
        replaced=container.restart_count > 0,
    )


def problem(
    pods: Iterable[Pod], revision: Revision | None, reported: Condition | None = None, wanted: int = 0
) -> Problem | None:
    """Why pods are missing or not ready, the most telling first; None where nothing is wrong or all are ready.

    `reported`: what KServe says while there is no revision yet. `wanted`: how many pods the autoscaler asks for.
    """
    staying = tuple(pod for pod in pods if not is_leaving(pod))
    serving = any(is_ready(pod) for pod in staying)
    found = sorted(
        (finding for pod in staying for finding in _findings(pod, serving)), key=lambda each: not each.permanent
    )
    if found:
        first = found[0]
        return Problem(first.reason, first.message, permanent=first.permanent and not serving)
    if revision is not None and len(staying) < max(1, wanted):
        return _without_pods(revision)
    return _reported(reported) if revision is None else None


def _findings(pod: Pod, serving: bool) -> Iterator[Problem]:
    if is_ready(pod):
        return
    scheduled = pod.status.condition("PodScheduled")
    if scheduled and scheduled.status == "False":
        yield Problem(Reason.CannotSchedule, f"pod {pod.name}: {scheduled.message or scheduled.reason}")
    for container in pod.status.container_statuses:
        yield from _of_container(pod, container, serving or was_ready(pod))


def _of_container(pod: Pod, container: Container, has_served: bool) -> Iterator[Problem]:
    waiting = container.state.waiting
    if waiting and waiting.reason in IMAGE_REASONS:
        cause = TRIED_AGAIN.sub("", waiting.message)[:SPOKEN] or waiting.reason
        yield Problem(Reason.ImagePullFailed, f"pod {pod.name}: its image cannot be pulled: {cause}")
    elif waiting and waiting.reason not in HARMLESS_WAITS:  # a missing Secret, a refused security context
        yield Problem(Reason.AwaitingPods, f"pod {pod.name}: {waiting.reason}: {waiting.message[:SPOKEN]}")
    ended = container.state.terminated or container.last_state.terminated
    if ended is None or container.name != CONTAINER:
        return
    if said := _said(ended):
        yield said
    else:
        times = "once" if container.restart_count == 0 else f"{container.restart_count + 1} times"
        message = f"its process ended {times} before it was ready, last with exit code {ended.exit_code}"
        if has_served:  # and waits for as long as it takes: a count would be recorded at each restart
            message = f"the process of pod {pod.name} ended with exit code {ended.exit_code}"
        words = _words(ended)
        yield Problem(
            Reason.CrashedWhileStarting,
            f"{message}: {words}" if words else message,
            permanent=container.restart_count >= GIVEN_UP_AFTER,
        )


def _said(ended: Terminated) -> Problem | None:
    """What the predictor itself wrote down before it gave up (its termination message)."""
    try:
        told = json.loads(ended.message)
        reason = Reason(told["reason"])
    except (ValueError, KeyError, TypeError):
        return None
    if reason not in SAID_BY_PREDICTOR:
        return None
    return Problem(reason, str(told.get("message", ""))[:SPOKEN], permanent=ended.exit_code == PERMANENT_EXIT)


def _words(ended: Terminated) -> str:
    said = ended.message.strip()
    if not said:
        return "" if ended.reason in {"", "Error", "Completed"} else ended.reason  # OOMKilled
    return said[-SPOKEN:]


def _without_pods(revision: Revision) -> Problem | None:
    """A pod could not be made; here the Revision is the only one that tells."""
    for kind in ("ResourcesAvailable", "ContainerHealthy"):
        condition = revision.status.condition(kind)
        if condition is None or condition.status == "True" or not condition.message:
            continue
        said = A_POD_OF_MANY.sub("", condition.message)[:SPOKEN]
        if "exceeded quota" in said:
            return Problem(Reason.QuotaExceeded, said)
        if condition.reason == "ContainerMissing":
            return Problem(Reason.ImagePullFailed, said)
        if condition.reason == "FailedCreate" or "forbidden" in condition.message:
            return Problem(Reason.AdmissionDenied, said)
    return None


def _reported(condition: Condition | None) -> Problem | None:
    """KServe could not make a Knative Service, most often because Knative's webhook refuses it."""
    if condition is None or condition.status != "False" or not condition.message:
        return None
    denied = "denied the request" in condition.message
    return Problem(Reason.AdmissionDenied, condition.message[:SPOKEN], permanent=denied)


def _model_container(pod: Pod) -> Container | None:
    return next((each for each in pod.status.container_statuses if each.name == CONTAINER), None)
