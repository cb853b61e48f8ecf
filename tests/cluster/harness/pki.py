"""A certificate authority of the cluster's own, and what it signs: API server, kubelet, people, a webhook.

KServe's install leans on cert-manager; one certificate signed here replaces it.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.layout import API_SERVICE_ADDRESS, NODE, NODE_ADDRESS
from harness.shell import run

_NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"  # made in no time, unlike RSA's
_EXTENSIONS = """basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName={names}
"""

# Kubeconfigs: who -> subject. `component` is not `admin`: the audit log tells the cluster's own controllers from a
# person or a test.
PEOPLE = {
    "admin": "/O=system:masters/CN=admin",
    "component": "/O=system:masters/CN=component",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
}


def create(folder: Path, server: str) -> None:
    """Everything the node needs, in a second; replaces what a former cluster left."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    usage = "-addext keyUsage=critical,keyCertSign,cRLSign"  # Python 3.13 trusts no authority without it
    _openssl(f"req -x509 {_NEW_KEY} -days 365 -subj /CN=cluster-ca {usage} -keyout ca.key -out ca.crt", folder)
    local = f"IP:127.0.0.1,IP:{NODE_ADDRESS},IP:{API_SERVICE_ADDRESS}"
    names = ",".join(f"DNS:{name}" for name in ("localhost", "kubernetes.default", "kubernetes.default.svc"))
    _sign(folder, "apiserver", "/CN=kube-apiserver", f"{local},{names}")
    _sign(folder, "kserve-webhook", "/CN=kserve-webhook", "DNS:kserve-webhook-server-service.kserve.svc")
    for who, subject in PEOPLE.items():
        _sign(folder, who, subject, f"DNS:{NODE},IP:{NODE_ADDRESS}")
        (folder / f"{who}.kubeconfig").write_text(json.dumps(kubeconfig(folder, who, server), indent=1))
    _openssl("ecparam -name prime256v1 -genkey -noout -out sa.key", folder)
    _openssl("ec -in sa.key -pubout -out sa.pub", folder)


def _openssl(arguments: str, folder: Path) -> None:
    run("openssl", *arguments.split(), cwd=folder)


def _sign(folder: Path, name: str, subject: str, alternative_names: str) -> None:
    (folder / f"{name}.ext").write_text(_EXTENSIONS.format(names=alternative_names))
    request = f"{_NEW_KEY} -subj {subject} -keyout {name}.key -out {name}.csr"
    _openssl(f"req {request}", folder)
    authority = "-CA ca.crt -CAkey ca.key -CAcreateserial"
    _openssl(f"x509 -req -days 365 -in {name}.csr -extfile {name}.ext {authority} -out {name}.crt", folder)


def kubeconfig(folder: Path, who: str, server: str) -> dict[str, object]:
    """How `who` reaches the API server; paths are absolute, so the file works from any folder."""
    cluster = {"server": server, "certificate-authority": str(folder / "ca.crt")}
    user = {"client-certificate": str(folder / f"{who}.crt"), "client-key": str(folder / f"{who}.key")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "turnout",
        "clusters": [{"name": "turnout", "cluster": cluster}],
        "users": [{"name": who, "user": user}],
        "contexts": [{"name": "turnout", "context": {"cluster": "turnout", "user": who}}],
    }
