"""PDF and zip bombs: parsing happens in a killable child with memory, time, page and character limits."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NoReturn

import pytest

from lextune.core.errors import DocumentError, MachineError
from lextune.text.reading import Limits, child, isolate, read_document
from lextune.text.reading.base import Parsed

Pdf = Callable[[list[str]], bytes]


def refusal(data: bytes, limits: Limits) -> str:
    with pytest.raises(DocumentError) as caught:
        read_document(data, name="a.pdf", limits=limits)
    return str(caught.value)


def test_too_many_pages(pdf_of: Pdf) -> None:
    assert "the document has 4 pages, more than 3" in refusal(pdf_of(["x"] * 4), Limits(max_pages=3))


def test_too_many_characters(pdf_of: Pdf) -> None:
    assert "longer than 10 characters" in refusal(pdf_of(["twelve chars"]), Limits(max_characters=10))


def test_a_pdf_that_keeps_the_processor_busy(raw_pdf_of: Callable[[bytes], bytes]) -> None:
    bomb = raw_pdf_of(b"BT /F1 12 Tf 72 700 Td " + b"(Hello) Tj " * 2_000_000 + b"ET")
    assert len(bomb) < 100_000
    start = time.monotonic()
    message = refusal(bomb, Limits(seconds=0.5))
    assert message == (
        "a.pdf: reading it takes more than 0.5 seconds\n  -> split the document, or raise the limit seconds"
    )
    assert time.monotonic() - start < 3


def test_a_pdf_that_unpacks_to_more_memory_than_allowed(raw_pdf_of: Callable[[bytes], bytes]) -> None:
    bomb = raw_pdf_of(b" " * 120_000_000)
    assert len(bomb) < 150_000
    assert "needs more than 120 MiB of memory" in refusal(bomb, Limits(memory_bytes=120 << 20))


def test_markup_that_needs_more_memory_than_allowed() -> None:
    markup = b"<html>" + b"<p>x" * 500_000
    with pytest.raises(DocumentError, match=r"more than 80 MiB of memory\n  -> .*raise the limit memory_bytes"):
        read_document(markup, limits=Limits(memory_bytes=80 << 20))


def python(code: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-c", code]


def test_a_child_that_sleeps_is_killed(pdf_of: Pdf, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, time; sys.stdin.buffer.read(); time.sleep(60)"
    monkeypatch.setattr(isolate, "child_command", python(code))
    start = time.monotonic()
    assert "takes more than 0.3 seconds" in refusal(pdf_of(["x"]), Limits(seconds=0.3))
    assert time.monotonic() - start < 3


def test_a_child_that_never_reads_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "child_command", python("import time; time.sleep(60)"))
    assert "takes more than 0.3 seconds" in refusal(b"%PDF-" + bytes(1_000_000), Limits(seconds=0.3))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"stopped its parser \(SIGSEGV\)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "takes more than 60 seconds"),
        ("import sys; sys.exit(12)", "needs more than 1,024 MiB of memory"),
    ],
)
def test_how_a_child_ended_is_told(code: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "child_command", python(code))
    with pytest.raises(DocumentError, match=message):
        read_document(b"%PDF-1.7")


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_child_that_somebody_stopped_says_nothing_of_the_document(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"import os, signal; signal.signal(signal.{name}, signal.SIG_DFL); os.kill(os.getpid(), signal.{name})"
    monkeypatch.setattr(isolate, "child_command", python(code))
    with pytest.raises(MachineError) as caught:
        read_document(b"%PDF-1.7")
    assert str(caught.value) == (
        f"the process that reads documents was stopped ({name})\n  -> run the same command again"
    )


def test_a_bug_in_the_child_is_not_blamed_on_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "child_command", python("raise ImportError('no parser')"))
    with pytest.raises(RuntimeError, match="no parser"):
        read_document(b"%PDF-1.7")


def test_the_child_inherits_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXTUNE_TEST_SECRET", "s3cret")
    monkeypatch.setattr(isolate, "child_command", python("import os; raise SystemExit(str(dict(os.environ)))"))
    with pytest.raises(RuntimeError) as caught:
        read_document(b"%PDF-1.7")
    assert "s3cret" not in str(caught.value)
    assert "PYTHONPATH" in str(caught.value)


def test_what_no_parser_should_return_or_raise_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"data")))

    def fail(data: bytes, limits: Limits) -> NoReturn:
        raise KeyError("unforeseen")

    assert child._answer(lambda data, limits: Parsed("a\ud800b"), "pdf", Limits())[1] == "a\ufffdb".encode()
    assert child._answer(fail, "pdf", Limits())[0]["refused"] == "this PDF file is damaged (KeyError)"


def test_the_child_starts_fast_and_light() -> None:
    code = (
        "import sys, lextune.text.reading.child, lextune.text.reading.pdf\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pydantic', 'lxml', 'docx'} & set(sys.modules)\n"
        "raise SystemExit(f'imports {heavy}' if heavy else 0)"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - start < 2  # 0.06 s where nothing else runs
