"""The kinds that this engine looks at, and how little of them it asks the API server for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind. `selector` narrows what is listed and watched, at the server. `needed`: no serving without it."""

    group: str
    version: str
    plural: str
    kind: str
    selector: str = ""
    needed: bool = True

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if namespace else ""
        return root + within + f"/{self.plural}" + (f"/{name}" if name else "") + (f"/{sub}" if sub else "")

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


MODEL = "turnout.dev/model"
OURS = MODEL  # a selector: the label exists

VERSIONS = Resource("turnout.dev", "v1alpha1", "modelversions", "ModelVersion")
INFERENCE_SERVICES = Resource("serving.kserve.io", "v1beta1", "inferenceservices", "InferenceService")
REVISIONS = Resource("serving.knative.dev", "v1", "revisions", "Revision", OURS)
PODS = Resource("", "v1", "pods", "Pod", OURS)
AUTOSCALERS = Resource("autoscaling.internal.knative.dev", "v1alpha1", "podautoscalers", "PodAutoscaler", OURS)
# The next three also tell which names are taken by others; what Knative makes for its own is left out.
ROUTES = Resource("serving.knative.dev", "v1", "routes", "Route", "!serving.knative.dev/service")
KNATIVE_SERVICES = Resource("serving.knative.dev", "v1", "services", "Service", "!serving.kserve.io/inferenceservice")
SERVICES = Resource("", "v1", "services", "Service", "!serving.knative.dev/route,!serving.knative.dev/revision")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")  # of the operator itself; read, never watched

WATCHED = (VERSIONS, INFERENCE_SERVICES, ROUTES, REVISIONS, AUTOSCALERS, PODS, KNATIVE_SERVICES, SERVICES)
