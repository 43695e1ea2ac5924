"""What is recorded of code, packages and machine."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from lextune.core import provenance
from lextune.core.provenance import TRACKED, code_revision, machine, package_versions


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    code_revision.cache_clear()
    yield
    code_revision.cache_clear()


def git(monkeypatch: pytest.MonkeyPatch, *, describe: str | Exception, tracked: bool = True) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if "ls-files" in command:
            return subprocess.CompletedProcess(command, 0 if tracked else 1)
        if isinstance(describe, Exception):
            raise describe
        return subprocess.CompletedProcess(command, 0, stdout=describe)

    monkeypatch.setattr(provenance.subprocess, "run", run)


def test_versions_are_those_installed() -> None:
    found = package_versions()
    assert set(found) <= set(TRACKED)
    assert found["lextune"] == importlib.metadata.version("lextune")


def test_a_checkout_gives_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    git(monkeypatch, describe="0123456789ab+dirty\n")
    assert code_revision() == "0123456789ab+dirty"


@pytest.mark.parametrize(
    "failure",
    [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git"), subprocess.TimeoutExpired("git", 5)],
)
def test_without_git_the_release_is_named(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    git(monkeypatch, describe=failure)
    assert code_revision() == f"release-{importlib.metadata.version('lextune')}"


def test_another_projects_checkout_around_an_installation_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    git(monkeypatch, describe="feedfeedfeed\n", tracked=False)
    assert code_revision() == f"release-{importlib.metadata.version('lextune')}"


def test_the_machine_is_named_without_its_host() -> None:
    assert platform.machine() in machine()
    assert platform.node() not in machine().split()
