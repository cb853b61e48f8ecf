"""What the operator can be told at its start: one flag each, no file, no environment."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

if TYPE_CHECKING:  # `turnout --help` has these flags too, and answers at once
    from turnout.evidence.prometheus import Entry


@dataclass(frozen=True, slots=True)
class Settings:
    """Resolved flags. `namespaces`: empty means all. `images`: default image by runtime. `sources`: by their name."""

    namespaces: tuple[str, ...]
    images: Mapping[str, str]
    health_port: int
    workers: int
    version_gateway: str
    cluster_domain: str
    lease: str
    lease_namespace: str
    sources: "Mapping[str, Entry]"
    verbose: bool


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Read flags; ends the process with a sentence where one is wrong."""
    parser = argparse.ArgumentParser(prog="turnout operator", description=__doc__)
    add_flags(parser)
    return resolve(parser.parse_args(arguments), parser.error)


def resolve(flags: argparse.Namespace, wrong: Callable[[str], NoReturn]) -> Settings:
    """What flags mean together; `wrong` is told where they contradict each other."""
    from turnout.evidence.prometheus import Entry

    tokens = dict(flags.prometheus_token)
    for name in tokens.keys() - dict(flags.prometheus).keys():
        wrong(f"--prometheus-token {name}: there is no --prometheus {name}=URL")
    namespaces = {name.strip() for listed in flags.namespaces for name in listed.split(",")}
    return Settings(
        namespaces=tuple(sorted(name for name in namespaces if name)),
        images=dict(flags.image),
        health_port=flags.health_port,
        workers=flags.workers,
        version_gateway=flags.version_gateway.rstrip("/"),
        cluster_domain=flags.cluster_domain.strip("."),
        lease=flags.lease,
        lease_namespace=flags.lease_namespace,
        sources={name: Entry(name, url, tokens.get(name)) for name, url in flags.prometheus},
        verbose=flags.verbose,
    )


WORKERS = "models that are worked on at once (default: 4)"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Every flag; nothing heavy is imported for it."""
    add = parser.add_argument
    add("--namespaces", action="append", default=[], metavar="A,B", help="namespaces to serve; all if not given")
    add("--image", action="append", default=[], type=_image, metavar="RUNTIME=IMAGE", help="default image of a runtime")
    add(
        "--health-port",
        type=int,
        default=8081,
        metavar="PORT",
        help="port of /livez, /readyz and /metrics (default: 8081)",
    )
    add("--workers", type=_positive, default=4, metavar="NUMBER", help=WORKERS)
    add(
        "--version-gateway",
        default="",
        metavar="URL",
        help="where versions' own addresses are reached, for an operator that runs outside of the cluster",
    )
    add(
        "--cluster-domain",
        default="cluster.local",
        metavar="DOMAIN",
        help="under which the cluster's DNS knows its Services, as the kubelet is told (default: cluster.local)",
    )
    add(
        "--lease",
        default="turnout",
        metavar="NAME",
        help="Lease that the operators of one cluster share: its holder works, the others wait (default: turnout)",
    )
    add("--lease-namespace", default="", metavar="NAMESPACE", help="where the Lease is (default: the pod's namespace)")
    add(
        "--prometheus",
        action="append",
        default=[],
        type=prometheus,
        metavar="NAME=URL",
        help="a Prometheus that an analysis may name as its source; without one it reads the pods",
    )
    add(
        "--prometheus-token",
        action="append",
        default=[],
        type=token_file,
        metavar="NAME=FILE",
        help="the file with the bearer token for it, read anew for each query",
    )
    add("--verbose", action="store_true", help="log each pass")


def _image(text: str) -> tuple[str, str]:
    runtime, separator, image = text.partition("=")
    if not (runtime and separator and image):
        raise argparse.ArgumentTypeError(f"{text!r} is no RUNTIME=IMAGE, such as sklearn=example.com/predictor:1")
    return runtime, image


def prometheus(text: str) -> tuple[str, str]:
    """`NAME=URL` of an option, as its two parts."""
    name, _, url = text.partition("=")
    if not name or not url.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=URL, such as cluster=http://prometheus.monitoring:9090")
    if urlsplit(url).username is not None:  # the address is told in status, for everybody to read
        raise argparse.ArgumentTypeError(f"the address of {name} carries a secret: give it by --prometheus-token")
    return name, url


def token_file(text: str) -> tuple[str, Path]:
    """`NAME=FILE` of an option, as its two parts."""
    name, _, path = text.partition("=")
    if not (name and path):
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=FILE, such as cluster=/var/run/prometheus/token")
    return name, Path(path)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no positive number")
    return number
