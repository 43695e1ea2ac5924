"""The entry: help that answers at once, exit codes, and one clear message for each kind of failure."""

from __future__ import annotations

import errno
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lextune.apps.cli import inspect
from lextune.apps.cli.main import COMMANDS
from lextune.core.errors import GateRefused, MachineError, UserError

HEAVY = {"torch", "transformers", "peft", "trl", "sklearn", "scipy", "openvino", "matplotlib", "datasets", "fastapi"}


def lextune(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lextune.apps.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_answers_in_half_a_second() -> None:
    lextune("--help")  # the first call may have to compile
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        assert lextune("--help").returncode == 0
        seconds.append(time.perf_counter() - started)
    spare = 2.0 if (os.getloadavg()[0] > (os.cpu_count() or 1)) else 1.0  # others are using the machine
    assert statistics.median(seconds) < 0.5 * spare, seconds


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["extract", "--help"], ["data", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from lextune.apps.cli.main import main\n"
        f"try: main({words})\n"
        "except SystemExit: pass\n"
        "print('IMPORTED', *{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: lextune" in done.stdout
    assert set(done.stdout.split("IMPORTED")[1].split()) & HEAVY == set()


def test_help_lists_every_command(cli: Any) -> None:
    shown = cli("--help")
    assert shown.code == 0
    for name, (_, text) in COMMANDS.items():
        assert name in shown.out
        assert text in shown.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(cli: Any, name: str) -> None:
    shown = cli(name, "--help")
    assert shown.code == 0
    assert f"Usage: lextune {name}" in shown.out
    assert cli(name, "-h").out == shown.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["show"], "Missing argument"),
        (["run", "a.yaml", "--fast"], "No such option: --fast"),
        (["data", "synth"], "Missing option '--out'"),
        (
            ["extract", "a.pdf", "--min-confidence", "2"],
            "Invalid value for '--min-confidence': Input should be less than or equal to 1",
        ),
        (
            ["evaluate", "--data", "d", "--limit", "0"],
            "Invalid value for '--limit': Input should be greater than or equal to 1",
        ),
        (["serve", "--port", "70000"], "Invalid value for '--port': Input should be less than or equal to 65535"),
    ],
)
def test_what_cannot_be_parsed_is_the_users_mistake(cli: Any, words: list[str], message: str) -> None:
    found = cli(*words)
    assert found.code == 2
    assert message in found.err
    assert found.out == ""


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def examine() -> None:
        raise error

    monkeypatch.setattr("lextune.apps.cli.machine.examine", examine)


FULL = os.strerror(errno.ENOSPC)
MEMORY = "error: out of memory\n  -> close other programs, or do less at once (in training: a smaller train.batch)\n"
DISK = "error: the disk is full\n  -> free space, then run the same command again\n"
OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {})  # as torch.cuda has it


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (GateRefused("recall fell", where="gate", do="look"), 1, "error: gate: recall fell\n  -> look\n"),
        (UserError("wrong", where="a.txt:3", do="mend it"), 2, "error: a.txt:3: wrong\n  -> mend it\n"),
        (MachineError("no network"), 3, "error: no network\n"),
        (MemoryError(), 3, MEMORY),
        (OutOfMemoryError("CUDA out of memory"), 3, MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 10 bytes"), 3, MEMORY),
        (OSError(errno.ENOSPC, FULL), 3, DISK),
        (RuntimeError(f"I/O error: {FULL} (os error 28)"), 3, DISK),
        (KeyboardInterrupt(), 130, "stopped; run the same command again to continue\n"),
    ],
)
def test_a_failure_has_its_exit_code_and_no_traceback(
    cli: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    failing(monkeypatch, error)
    found = cli("doctor")
    assert (found.code, found.err, found.out) == (code, message, "")


def test_a_bug_is_shown_with_its_traceback(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ZeroDivisionError("division by zero"))
    found = cli("doctor")
    assert found.code == 70
    assert "Traceback (most recent call last)" in found.err
    assert "ZeroDivisionError: division by zero" in found.err
    assert found.err.endswith("this is a bug in lextune: please report it with the lines above\n")


def test_the_command_of_a_module_can_be_asked_for_by_name() -> None:
    assert inspect.command("show").name == "show"


def test_the_installed_command_works(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("lextune")
    if not script.is_file():
        pytest.skip("lextune is not installed beside this interpreter")
    done = subprocess.run([script, "show", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}: not an artifact: no manifest.json")
