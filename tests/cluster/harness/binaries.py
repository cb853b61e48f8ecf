"""Compiles everything the cluster runs from Go modules, once per version, and keeps the manifests beside it.

A component is complete when its folder `bin/<name>-<version>` exists: it is put there by one rename. An
interrupted build goes on where it was, since Go keeps every package it compiled. Refuses to download any
prebuilt binary.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from harness.errors import CommandError
from harness.layout import Layout
from harness.lock import exclusive
from harness.machine import ensure_go
from harness.shell import run, say
from harness.versions import Component, components


def binary(layout: Layout, name: str) -> Path:
    """Where a built program lies, e.g. `kubectl`."""
    for component in components():
        if name in component.binaries:
            return layout.binaries / component.key / name
    raise KeyError(name)


def manifests(layout: Layout, component_name: str, module: str = "") -> Path:
    """The folder with a component's YAML files, in the places they have in their module."""
    component = next(one for one in components() if one.name == component_name)
    return layout.binaries / component.key / "manifests" / (module or component.module)


def missing(layout: Layout) -> list[Component]:
    return [one for one in components() if not (layout.binaries / one.key).is_dir()]


def build(layout: Layout) -> None:
    """Make every binary be there; at once if they are, about 11 minutes on two cores if none is."""
    if not missing(layout):
        return
    layout.cache.mkdir(parents=True, exist_ok=True)
    with exclusive(layout.cache / "build.lock", "compiling the cluster", wait=True):
        todo = missing(layout)
        if not todo:
            return
        say(f"to compile: {', '.join(one.key for one in todo)} (once; some 11 minutes for all on two cores)")
        go = ensure_go(layout)
        with ThreadPoolExecutor(1) as ahead:  # modules of the next are fetched while this one compiles
            prepared = [(one, ahead.submit(_prepare, layout, go, one)) for one in todo]
            for component, ready in prepared:
                _compile(layout, go, component, ready)


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -buildvcs=false", "GOWORK": "off"}


def _prepare(layout: Layout, go: Path, component: Component) -> Path:
    """Write the wrapper module and fetch what it needs."""
    folder = layout.builds / component.key
    folder.mkdir(parents=True, exist_ok=True)
    if component.main:
        (folder / "main.go").write_text(component.main)
    else:
        imports = "".join(f'\t_ "{command}"\n' for command in component.commands)
        (folder / "tools.go").write_text(f"//go:build tools\n\npackage tools\n\nimport (\n{imports})\n")
    repeated = replaces(_go_mod(go, component), component) if component.repeats else ""
    (folder / "go.mod").write_text(wrapper(component, repeated))
    run(go, "mod", "tidy", cwd=folder, env=_environment())
    return folder


def wrapper(component: Component, repeated: str = "") -> str:
    """The go.mod of a wrapper module."""
    require = f"require {component.module} v{component.version}\n" if component.module else ""
    return f"module build/{component.name}\n\ngo 1.25.8\n\n{require}\n{repeated}"


def _go_mod(go: Path, component: Component) -> str:
    arguments = ("mod", "download", f"{component.module}@v{component.version}")
    run(go, *arguments, env=_environment())
    cache = Path(run(go, "env", "GOMODCACHE").strip())
    return (cache / f"{component.module}@v{component.version}" / "go.mod").read_text()


def replaces(go_mod: str, component: Component) -> str:
    """The replace lines a wrapper must repeat, as text for its go.mod."""
    if component.repeats == "staging":  # Kubernetes points at folders; their releases are v0.<minor>.<patch>
        release = "v0." + component.version.split(".", 1)[1]
        modules = sorted(set(re.findall(r"(k8s\.io/[\w-]+) => \./staging", go_mod)))
        return "".join(f"replace {module} => {module} {release}\n" for module in modules)
    pairs = re.findall(r"^\s*(?:replace )?(\S+(?: v\S+)?) => (\S+ v\S+)$", go_mod, re.MULTILINE)
    return "".join(f"replace {old} => {new}\n" for old, new in pairs)


def _compile(layout: Layout, go: Path, component: Component, ready: Future[Path]) -> None:
    began = time.monotonic()
    folder = ready.result()
    target = layout.binaries / component.key
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    flags = " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in component.stamps)])
    packages = component.commands or (".",)
    command = [str(go), "build", "-v", "-ldflags", flags, "-o", f"{partial}/", *packages]
    _watch(component.key, command, folder)
    for built in list(partial.iterdir()):
        built.rename(partial / (component.prefix + built.name))
    _keep_manifests(go, folder, component, partial / "manifests")
    partial.rename(target)
    say(f"compiled {component.key} ({', '.join(component.binaries)}) in {time.monotonic() - began:.0f} s")


def _watch(name: str, command: list[str], folder: Path) -> None:
    """Run a compiler and say every quarter of a minute how far it is."""
    began = told = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=folder, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as compiler:
        assert compiler.stdout
        for line in compiler.stdout:
            lines.append(line)
            if time.monotonic() - told > 15:
                told = time.monotonic()
                say(f"  {name}: {len(lines)} packages in {told - began:.0f} s, now {line.strip()}")
    if compiler.returncode:
        raise CommandError(f"go build of {name}", compiler.returncode, "".join(lines[-30:]))


def _keep_manifests(go: Path, folder: Path, component: Component, target: Path) -> None:
    for module, pattern in component.manifests:
        source = Path(run(go, "list", "-m", "-f", "{{.Dir}}", module, cwd=folder, env=_environment()).strip())
        for file in source.glob(pattern):
            if file.is_file():
                kept = target / module / file.relative_to(source)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(file.read_bytes())
