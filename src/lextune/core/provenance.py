"""What produced an artifact: code revision, package versions, machine. Recorded, compared, warned about."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path

TRACKED = (
    "lextune",
    "torch",
    "transformers",
    "peft",
    "trl",
    "openvino",
    "openvino-genai",
    "optimum-intel",
    "scikit-learn",
    "tokenizers",
)


@functools.cache
def package_versions() -> dict[str, str]:
    """Return the installed version of each package in `TRACKED` that is installed."""
    found = {}
    for name in TRACKED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def code_revision() -> str:
    """Return the git revision of a source checkout (with `+dirty`), else `release-VERSION`."""
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+dirty", "--abbrev=12", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name],
            cwd=here,
            capture_output=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return f"release-{package_versions().get('lextune', 'unknown')}"
    if tracked.returncode != 0:
        return f"release-{package_versions().get('lextune', 'unknown')}"
    return done.stdout.strip()


def machine() -> str:
    """Return one line that names the machine's platform and processor, without its host name."""
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
