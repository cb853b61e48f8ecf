"""A small API server for commands: it lists and patches ModelVersions, and answers what else it is told to."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

ROOT = "/apis/turnout.dev/v1alpha1"
Raw = dict[str, Any]


class ApiServer(ThreadingHTTPServer):
    """`versions` by name; `answers`: (code, body) by path, before all else; `patches`: what was asked, in order."""

    def __init__(self, *versions: Raw) -> None:
        self.versions = {each["metadata"]["name"]: deepcopy(each) for each in versions}
        for number, each in enumerate(self.versions.values()):
            each["metadata"] = {"uid": f"uid-{number}", "resourceVersion": "1", "generation": 1, **each["metadata"]}
        self.answers: dict[str, tuple[int, Raw]] = {}
        self.seen: list[tuple[str, str]] = []
        self.patches: list[tuple[str, Raw]] = []
        self.on_patch: Callable[[str, Raw], tuple[int, Raw] | None] = lambda name, patch: None
        self.on_post: Callable[[str, Raw], Raw] = lambda path, body: {}
        super().__init__(("127.0.0.1", 0), _Handler)

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Raw]:
        if path in self.answers:
            return self.answers[path]
        if not path.startswith(ROOT) or not path.endswith("/modelversions"):
            return 404, {"message": f"no {path} here"}
        space = path.removeprefix(ROOT).removeprefix("/namespaces/").removesuffix("/modelversions").strip("/")
        chosen = query.get("fieldSelector", [""])[0].removeprefix("metadata.name=")
        items = [
            each
            for name, each in self.versions.items()
            if space in ("", each["metadata"].get("namespace", "default")) and chosen in ("", name)
        ]
        return 200, {"items": items, "metadata": {"resourceVersion": "9"}}

    def patch(self, path: str, patch: Raw) -> tuple[int, Raw]:
        name = path.rpartition("/")[2]
        if (answer := self.on_patch(name, patch)) is not None:
            return answer
        version = self.versions[name]
        metadata = version["metadata"]
        if patch["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            return 409, {"message": f"the object {name} has been modified"}
        self.patches.append((name, patch["spec"]))
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        metadata["generation"] += 1
        version["spec"] = merged(version["spec"], patch["spec"])
        return 200, version


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._say(*self.server.get(parts.path, parse_qs(parts.query)))

    def do_PATCH(self) -> None:
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        self._say(*self.server.patch(urlsplit(self.path).path, self._body()))

    def do_POST(self) -> None:
        self._say(201, self.server.on_post(urlsplit(self.path).path, self._body()))

    def _body(self) -> Raw:
        body: Raw = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body

    def _say(self, code: int, body: Raw) -> None:
        self.server.seen.append((self.command, self.path))
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


def merged(base: Any, patch: Any) -> Any:
    """RFC 7386 without null."""
    if not (isinstance(base, dict) and isinstance(patch, dict)):
        return patch
    return {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}


@contextmanager
def serving(server: ApiServer, folder: Path) -> Iterator[ApiServer]:
    """It answers, and the kubeconfig of `folder` leads to it."""
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        kubeconfig(folder, f"http://127.0.0.1:{server.server_address[1]}")
        yield server
        server.shutdown()


def kubeconfig(folder: Path, server: str) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "staging",
        "clusters": [{"name": "north", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "staging", "context": {"cluster": "north", "user": "me", "namespace": "support"}}],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file
