"""A batch over a folder that changes, with documents that fail, and what it refuses."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace as Tools
from typing import Any

import pytest

from lextune.core.errors import ContextError, DataError, MachineError, ModelError, UserError
from lextune.core.files import one_at_a_time
from lextune.core.journal import Journal
from lextune.core.provenance import package_versions
from lextune.core.records import Document, DocumentInfo, FieldAnswer, Quote, Record
from lextune.deploy.batch import taking
from lextune.deploy.batch.deaths import Deaths
from lextune.deploy.batch.options import BatchOptions
from lextune.deploy.batch.running import AHEAD, DEATHS, run_batch
from lextune.deploy.batch.worker import _contract_type
from lextune.text.reading import Limits

RETRY = BatchOptions(workers=2, retry_failed=True)


def test_every_document_is_asked_once_and_a_finished_batch_loads_no_model(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="The law of Ohio.", b="Nothing.")
    tools.write(batch.folder / "sub", a="The law of Ohio.")
    expert = tools.Scripted()
    summary = batch.run(expert)
    assert sorted(expert.asked) == batch.names() == ["a.txt", "b.txt", "sub/a.txt"]
    assert summary["documents"] == {
        **{
            "listed": 3,
            "answered": 3,
            "with_scanned_pages": 0,
            "failed": 0,
            "left": 0,
            "skipped": 0,
            "no_longer_listed": 0,
        }
    }
    before = {file.name: file.read_bytes() for file in batch.out.iterdir() if file.suffix != ".parquet"}

    def load() -> None:
        raise AssertionError("there is nothing to load it for")

    again = batch.run(start=load)
    assert again == summary
    assert {file.name: file.read_bytes() for file in batch.out.iterdir() if file.suffix != ".parquet"} == before
    assert sorted(before) == [
        *(".lock", "batch.json", "failures.jsonl", "journal.jsonl", "ledger.json", "records.jsonl", "skipped.jsonl"),
        "summary.json",
    ]


def test_files_are_added_removed_edited_and_moved_between_runs(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, stays="one", edited="two", removed="three", moved="four")
    batch.run()
    tools.write(batch.folder, edited="two and a half", added="five")
    (batch.folder / "removed.txt").unlink()
    (batch.folder / "moved.txt").rename(batch.folder / "here.txt")
    expert = tools.Scripted()
    summary = batch.run(expert)
    assert sorted(expert.asked) == ["added.txt", "edited.txt", "here.txt"]
    assert batch.names() == [
        "added.txt",
        "edited.txt",
        "edited.txt",
        "here.txt",
        "moved.txt",
        "removed.txt",
        "stays.txt",
    ]
    hashes = {hashlib.sha256(text).hexdigest() for text in (b"two", b"two and a half")}
    assert {sha256 for name, sha256 in batch.records() if name == "edited.txt"} == hashes
    assert summary["documents"]["listed"] == summary["documents"]["answered"] == 4
    assert summary["documents"]["no_longer_listed"] == 3
    assert summary["fields"]["Law"]["null"] == 4


def test_a_document_that_comes_back_is_not_asked_again(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one", b="two")
    batch.run()
    (batch.folder / "b.txt").write_text("changed")
    batch.run()
    (batch.folder / "b.txt").write_text("two")
    expert = tools.Scripted()
    assert batch.run(expert)["documents"]["no_longer_listed"] == 1
    assert expert.asked == []


def test_failures_have_their_own_file_and_are_retried_on_request(batch: Any, tools: Tools) -> None:
    def refuse(document: Document) -> None:
        if document.name == "long.txt":
            raise ContextError("longer than the model reads", where="long.txt", do="split it")

    tools.write(batch.folder, good="Ohio", long="long", empty="")
    (batch.folder / "bad.pdf").write_bytes(b"%PDF-1.4 cut")
    (batch.folder / "latin.txt").write_bytes(b"caf\xe9")
    (batch.folder / "latin2.txt").write_bytes(b"a caf\xe9")
    summary = batch.run(tools.Scripted(refuse))
    assert batch.names() == ["good.txt"]
    rows = {row["name"]: row for row in tools.lines(batch.out / "failures.jsonl")}
    assert sorted(rows) == ["bad.pdf", "empty.txt", "latin.txt", "latin2.txt", "long.txt"]
    assert rows["long.txt"] == {
        "name": "long.txt",
        "sha256": hashlib.sha256(b"long").hexdigest(),
        "kind": "unreadable",
        "reason": "longer than the model reads",
        "do": "split it",
    }
    assert rows["empty.txt"]["sha256"] is None
    assert summary["failures"]["not UTF-8: byte N at offset N"] == 2
    assert summary["documents"]["failed"] == 5
    expert = tools.Scripted()
    assert batch.run(expert)["documents"]["failed"] == 5
    assert expert.asked == []
    summary = batch.run(expert, RETRY)
    assert expert.asked == ["long.txt"]
    assert batch.names() == ["good.txt", "long.txt"]
    assert summary["documents"]["failed"] == 4
    assert "long.txt" not in {row["name"] for row in tools.lines(batch.out / "failures.jsonl")}
    assert batch.run(expert)["documents"]["failed"] == 4
    assert expert.asked == ["long.txt"]


def test_a_failure_that_fails_again_stands_once_with_its_last_reason(batch: Any, tools: Tools) -> None:
    reasons = iter(["first", "second"])

    def refuse(document: Document) -> None:
        raise ContextError(next(reasons))

    tools.write(batch.folder, a="one")
    batch.run(tools.Scripted(refuse))
    batch.run(tools.Scripted(refuse), RETRY)
    assert [row["reason"] for row in tools.lines(batch.out / "failures.jsonl")] == ["second"]


def test_a_failed_document_that_is_mended_or_gone_is_no_failure(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="Ohio")
    for name in ("mended", "gone"):
        (batch.folder / f"{name}.txt").write_bytes(b"\xff\xff" + name.encode())
    assert batch.run()["documents"]["failed"] == 2
    (batch.folder / "mended.txt").write_text("Ohio")
    (batch.folder / "gone.txt").unlink()
    summary = batch.run()
    assert summary["documents"]["failed"] == summary["documents"]["no_longer_listed"] == 0
    assert tools.lines(batch.out / "failures.jsonl") == []
    assert batch.names() == ["a.txt", "mended.txt"]


def test_a_file_over_the_limit_fails_by_its_state(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="x" * 100, b="Ohio")
    options = BatchOptions(workers=1, limits=Limits(max_bytes=50))
    assert batch.run(options=options)["failures"] == {"the file is larger than N bytes": 1}
    assert batch.run(options=options)["documents"]["failed"] == 1
    (batch.folder / "a.txt").write_text("short")
    assert batch.run(options=options)["documents"] == {
        **{
            "listed": 2,
            "answered": 2,
            "with_scanned_pages": 0,
            "failed": 0,
            "left": 0,
            "skipped": 0,
            "no_longer_listed": 0,
        }
    }


def test_a_bug_fails_its_document_and_three_in_a_row_end_the_batch(batch: Any, tools: Tools) -> None:
    def stumble(document: Document) -> None:
        if "bad" in document.name:
            raise KeyError("Jane Roe")

    tools.write(batch.folder, a="one", bad="two", c="three")
    assert batch.run(tools.Scripted(stumble))["failures"] == {"a bug in lextune (KeyError)": 1}
    assert "Jane Roe" not in (batch.out / "journal.jsonl").read_text()
    tools.write(batch.folder, bad2="4", bad3="5", bad4="6", bad5="7")
    with pytest.raises(KeyError):
        batch.run(tools.Scripted(stumble))
    expert = tools.Scripted()
    summary = batch.run(expert, RETRY)
    assert (summary["documents"]["answered"], summary["documents"]["failed"]) == (7, 0)


@pytest.mark.parametrize("error", [RuntimeError("Traceback: Jane Roe"), ValueError("no JSON: Jane Roe")])
def test_a_parser_that_breaks_is_a_bug_of_its_document(
    batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("lextune.deploy.batch.worker.read_document", broken)
    tools.write(batch.folder, a="one", b="two")
    assert batch.run()["failures"] == {f"a bug in lextune ({type(error).__name__})": 2}
    tools.write(batch.folder, c="3", d="4", e="5")
    with pytest.raises(type(error)):
        batch.run()


def test_a_machine_that_cannot_read_ends_the_batch_and_blames_no_document(
    batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: Any, **__: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, "no process can be made")

    tools.write(batch.folder, a="one", b="two")
    with monkeypatch.context() as patched:
        patched.setattr("lextune.deploy.batch.worker.read_document", none_left)
        with pytest.raises(BlockingIOError):
            batch.run()
    assert batch.run()["documents"]["answered"] == 2


OUT_OF_MEMORY = (MemoryError(), type("OutOfMemoryError", (RuntimeError,), {})("as torch.cuda has it"))


@pytest.mark.parametrize("error", [ModelError("no head"), MachineError("no memory"), OSError(5, "x"), *OUT_OF_MEMORY])
def test_a_broken_release_or_machine_ends_the_batch(batch: Any, tools: Tools, error: Exception) -> None:
    def fail(document: Document) -> None:
        if len(expert.asked) == 2:
            raise error

    tools.write(batch.folder, a="one", b="two", c="three")
    expert = tools.Scripted(fail)
    with pytest.raises(type(error)):
        batch.run(expert)
    assert not (batch.out / "records.jsonl").exists()
    assert not (batch.out / ".partial").exists()
    again = tools.Scripted()
    assert batch.run(again)["documents"]["answered"] == 3
    assert len(again.asked) == 2


def test_other_settings_are_refused_and_those_that_change_no_answer_are_not(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one")
    batch.run()
    with pytest.raises(UserError) as caught:
        batch.run(hash="cd" * 32)
    assert str(caught.value) == (
        f"{batch.out}: this folder holds a batch with other settings: release_hash abababababab, not cdcdcdcdcdcd\n"
        "  -> choose another --out, or give the release and options that it was begun with"
    )
    with pytest.raises(UserError, match=r"min_confidence null, not 0\.95"):
        batch.run(options=BatchOptions(min_confidence=0.95))
    with pytest.raises(UserError, match="engine scripted, not openvino"):
        batch.run(engine="openvino")
    batch.run(options=BatchOptions(workers=3, machine_price=9.0, retry_failed=True, limit=4), name="renamed")


def test_settings_that_failed_before_the_first_row_are_not_kept(batch: Any, tools: Tools) -> None:
    def no_such_engine() -> None:
        raise MachineError("opnvino is not installed")

    tools.write(batch.folder, a="one")
    with pytest.raises(MachineError):
        batch.run(engine="opnvino", start=no_such_engine)
    assert batch.run(engine="openvino")["documents"]["answered"] == 1
    assert json.loads((batch.out / "batch.json").read_text())["engine"] == "openvino"


def test_a_row_that_a_kill_cut_off_keeps_no_settings(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one")
    batch.run()
    journal = batch.out / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-2])
    assert batch.run(hash="cd" * 32)["release_hash"] == "cd" * 32


def test_another_version_of_lextune_is_another_setting(
    batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.write(batch.folder, a="one")
    batch.run()
    version = package_versions()["lextune"]
    monkeypatch.setattr("lextune.deploy.batch.options.package_versions", lambda: {"lextune": "9.9"})
    with pytest.raises(UserError, match=rf"other settings: lextune {re.escape(version)}, not 9\.9"):
        batch.run()
    note = batch.out / "batch.json"
    note.write_text(
        json.dumps({name: value for name, value in json.loads(note.read_text()).items() if name != "lextune"})
    )
    with pytest.raises(UserError, match=r"other settings: lextune null, not 9\.9"):
        batch.run()


def test_a_folder_whose_name_is_not_utf_8_is_answered(batch: Any, tools: Tools) -> None:
    batch.folder = batch.folder.with_name(os.fsdecode(b"Vertr\xe4ge"))
    tools.write(batch.folder, a="one")
    assert batch.run()["folder"].endswith("Vertr\ufffdge")
    assert batch.names() == ["a.txt"]


def test_a_folder_with_something_else_is_refused(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one")
    tools.write(batch.out, mine="precious")
    with pytest.raises(UserError) as caught:
        batch.run()
    assert str(caught.value) == f"{batch.out}: this folder holds something else\n  -> choose another --out"
    (batch.out / "mine.txt").unlink()
    for note in ("{", "[]", '{"engine": 1}'):
        (batch.out / "batch.json").write_text(note)
        with pytest.raises(UserError, match=r"unreadable batch\.json"):
            batch.run()


def _hold(out: Path, held: Any, done: Any) -> None:
    with one_at_a_time(out, ""):
        held.set()
        done.wait(20)


def test_two_batches_at_once_are_refused(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one")
    context = multiprocessing.get_context("fork")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(batch.out, held, done))
    other.start()
    assert held.wait(20)
    with pytest.raises(MachineError) as caught:
        batch.run()
    assert str(caught.value) == (
        f"{batch.out}: another run is writing here\n  -> wait for it, or choose another folder with --out"
    )
    done.set()
    other.join()
    assert batch.run()["documents"]["answered"] == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no files in this folder"),
        (["a.csv"], "no document in this folder: its only file is none"),
        (["a.csv", "b.xyz", "c"], "no document in this folder: none of its 3 files is one"),
    ],
)
def test_a_folder_without_documents_is_refused_and_nothing_is_made(batch: Any, files: list[str], message: str) -> None:
    batch.folder.mkdir()
    for name in files:
        (batch.folder / name).write_text("x")
    with pytest.raises(DataError) as caught:
        batch.run()
    assert str(caught.value) == (
        f"{batch.folder}: {message}\n  -> give a folder with files of TXT (UTF-8), PDF, DOCX, HTML and EML"
    )
    assert not batch.out.exists()


def test_no_folder_is_refused(batch: Any) -> None:
    with pytest.raises(DataError, match="no such folder"):
        batch.run()
    batch.folder.write_text("x")
    with pytest.raises(DataError, match="a file, no folder"):
        batch.run()


def test_what_is_passed_over_is_told(batch: Any, tools: Tools, tmp_path: Path) -> None:
    tools.write(batch.folder, a="one")
    for name in ("b.csv", "c", "d.png", ".hidden.txt", "~$lock.txt"):
        (batch.folder / name).write_text("x")
    tools.write(tmp_path / "elsewhere", e="two")
    (batch.folder / "link").symlink_to(tmp_path / "elsewhere")
    (batch.folder / "linked.txt").symlink_to(tmp_path / "elsewhere" / "e.txt")
    summary = batch.run()
    assert batch.names() == ["a.txt", "linked.txt"]
    assert {row["name"]: row["reason"] for row in tools.lines(batch.out / "skipped.jsonl")} == {
        "b.csv": "a file that ends in '.csv' is no document",
        "c": "a file without an ending",
        "d.png": "an image: recognising text in images is off",
        "link": "a link to a folder is not followed",
    }
    assert summary["documents"]["skipped"] == 4
    assert sum(summary["skipped"].values()) == 4


@pytest.mark.parametrize("inside", [".", "in"])
def test_documents_cannot_lie_among_the_results(batch: Any, tools: Tools, inside: str) -> None:
    tools.write(batch.folder, a="one")
    batch.out = batch.folder if inside == "." else batch.folder.parent
    with pytest.raises(UserError) as caught:
        batch.run()
    assert str(caught.value) == (
        f"{batch.out}: the results cannot lie where the documents are\n  -> choose another --out"
    )


def test_results_inside_the_folder_are_no_documents(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one")
    batch.out = batch.folder / "results"
    for _ in range(2):
        assert batch.run()["documents"] == {
            **{
                "listed": 1,
                "answered": 1,
                "with_scanned_pages": 0,
                "failed": 0,
                "left": 0,
                "skipped": 0,
                "no_longer_listed": 0,
            }
        }


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(
    batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.write(batch.folder, a="one", b="two")
    load = taking.load

    def slow(file: Path, limits: Limits) -> bytes:
        data = load(file, limits)
        if file.name == "b.txt":
            file.write_text("two and more")
        return data

    with monkeypatch.context() as patched:
        patched.setattr(taking, "load", slow)
        summary = batch.run()
    assert summary["skipped"] == {"the file changed while it was read": 1}
    assert batch.names() == ["a.txt"]
    batch.run()
    assert batch.names() == ["a.txt", "b.txt"]


def test_a_file_that_is_gone_or_cut_when_it_is_read_is_no_failure(
    batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.write(batch.folder, a="one", gone="two", cut="three")
    load = taking.load

    def moving(file: Path, limits: Limits) -> bytes:
        if file.name == "gone.txt":
            file.unlink()
        elif file.name == "cut.txt":
            file.write_text("")  # as a writer does that begins
        return load(file, limits)

    monkeypatch.setattr(taking, "load", moving)
    summary = batch.run()
    assert (summary["documents"]["answered"], summary["documents"]["failed"]) == (1, 0)
    assert summary["skipped"] == {"the file changed while it was read": 2}


def test_a_file_that_the_folder_shows_twice_is_asked_once(
    batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = taking.walk

    def twice(root: Path) -> Iterator[Any]:
        for found in walk(root):
            yield found
            yield found

    monkeypatch.setattr(taking, "walk", twice)
    tools.write(batch.folder, a="one", b="two")
    expert = tools.Scripted()
    batch.run(expert)
    assert sorted(expert.asked) == batch.names() == ["a.txt", "b.txt"]


def test_names_that_are_no_unicode_are_kept_apart(batch: Any, tools: Tools) -> None:
    batch.folder.mkdir()
    for name in (b"\xff.txt", b"\xfe.txt"):
        Path(os.fsdecode(os.fsencode(batch.folder) + b"/" + name)).write_text("the same")
    assert batch.run()["documents"]["answered"] == 2
    assert len(tools.lines(batch.out / "records.jsonl")) == 2
    assert batch.run()["documents"]["answered"] == 2


def test_a_limit_reads_some_more_each_time(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, **{f"n{n}": str(n) for n in range(5)})
    for answered, left in ((2, 3), (4, 1), (5, 0)):
        summary = batch.run(options=BatchOptions(workers=1, limit=2))
        assert (summary["documents"]["answered"], summary["documents"]["left"]) == (answered, left)
    tools.write(batch.folder, more="more")
    expert = tools.Scripted()
    assert batch.run(expert, BatchOptions(limit=0))["documents"]["left"] == 1
    assert expert.asked == []


def test_progress_counts_what_is_finished_and_guesses_what_is_left(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one", b="two", c="three", d="four")
    (batch.folder / "e.txt").write_bytes(b"\xff\xff")
    batch.run(options=BatchOptions(workers=1, limit=2))
    first, batch.standings = batch.standings, []
    assert [standing.total for standing in first] == [5, 5]
    assert first[0].per_hour > 0
    assert first[1].seconds_left == 0
    assert first[0].cost is None
    batch.run(options=BatchOptions(workers=1, machine_price=3600.0))
    assert [standing.done for standing in batch.standings] == [1, 2, 3, 4, 5]
    assert batch.standings[-1].seconds_left == 0
    assert batch.standings[-1].cost > 0
    assert [standing.cost for standing in batch.standings] == sorted(standing.cost for standing in batch.standings)
    assert {standing.failed for standing in (*first, *batch.standings)} == {0, 1}


def test_what_is_left_is_guessed_after_a_retry_and_after_the_folder_was_replaced(batch: Any, tools: Tools) -> None:
    """What the journal knows is not in the folder any more, or is done again: neither is done already."""
    batch.folder.mkdir()
    for number in range(4):
        (batch.folder / f"{number}.txt").write_bytes(b"\xff\xff")
    batch.run(options=BatchOptions(workers=1))
    batch.standings = []
    batch.run(options=BatchOptions(workers=1, retry_failed=True))
    assert batch.standings[0].seconds_left > 0
    for file in list(batch.folder.iterdir()):
        file.unlink()
    tools.write(batch.folder, **{f"next{n}": str(n) for n in range(4)})
    batch.standings = []
    batch.run(options=BatchOptions(workers=1))
    assert batch.standings[0].seconds_left > 0
    assert batch.standings[-1].seconds_left == 0


def test_the_rest_of_the_folder_does_not_hold_up_what_is_answered(
    batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the limit files are listed, one by one, while results are kept; a rate does not count them."""
    tools.write(batch.folder, **{f"n{n:02}": str(n) for n in range(40)})
    looked, load = list[str](), taking.load

    def counted(file: Path, limits: Any) -> bytes:
        looked.append(file.name)
        return load(file, limits)

    monkeypatch.setattr(taking, "load", counted)
    when = list[int]()
    summary = run_batch(
        tools.source(), batch.folder, batch.out, BatchOptions(workers=1, limit=3), lambda _: when.append(len(looked))
    )
    assert len(when) == 3
    assert when[-1] <= 3 + 2 * AHEAD, "the third is kept before the fortieth is read"
    assert summary["documents"] == {**summary["documents"], "listed": 40, "answered": 3, "left": 37}


def test_a_document_that_ends_run_after_run_is_passed_over(batch: Any, tools: Tools) -> None:
    """As one does that the system kills the process for; with MemoryError it can be tried here."""
    tools.write(batch.folder, a="heavy", b="light")

    def hook(document: Document) -> None:
        if document.text == "heavy":
            raise MemoryError

    for _ in range(DEATHS):
        with pytest.raises(MemoryError):
            batch.run(tools.Scripted(hook), BatchOptions(workers=1))
    summary = batch.run(tools.Scripted(hook), BatchOptions(workers=1))
    assert (summary["documents"]["answered"], summary["documents"]["failed"]) == (1, 1)
    (failure,) = tools.lines(batch.out / "failures.jsonl")
    assert (failure["name"], failure["kind"]) == ("a.txt", "lost")


def test_a_document_that_ends_runs_is_passed_over_however_the_folder_grows(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, heavy="heavy", last="light")

    def hook(document: Document) -> None:
        if document.text == "heavy":
            raise MemoryError

    one, died = BatchOptions(workers=1), 0
    for night in range(5):
        tools.write(batch.folder, **{f"new{n}": f"{night} {n}" for n in range(20)})  # some are listed before `heavy`
        try:
            batch.run(tools.Scripted(hook), one)
        except MemoryError:
            died += 1
    assert died == DEATHS
    assert [row["name"] for row in tools.lines(batch.out / "failures.jsonl")] == ["heavy.txt"]
    assert "last.txt" in batch.names()


def test_a_full_disk_is_no_fault_of_the_document(batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise MachineError("the disk is full")

    tools.write(batch.folder, a="one")
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "add", full)
        for _ in range(DEATHS + 1):
            with pytest.raises(MachineError):
                batch.run()
    assert batch.run()["documents"]["answered"] == 1


def test_counts_are_lost_sooner_than_a_document_is_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "note"
    Deaths(note).begin(b"heavy")
    deaths = Deaths(note)
    deaths.begin(b"good")
    assert (deaths.of(b"heavy"), deaths.of(b"good")) == (1, 0)

    def full(*_: Any) -> None:
        raise MachineError("the disk is full")

    monkeypatch.setattr("lextune.deploy.batch.deaths.write_atomic", full)
    deaths.spared()
    assert Deaths(note).of(b"good") == 0


@pytest.mark.parametrize(
    "note", ["", "[]", "{}", '{"at_work": null, "died": [1]}', '{"at_work": "aa", "died": {"b": "c"}}']
)
def test_a_damaged_note_counts_nothing(tmp_path: Path, note: str) -> None:
    (tmp_path / "note").write_text(note)
    assert Deaths(tmp_path / "note").of(bytes.fromhex("aa")) == 0


def test_a_run_that_is_stopped_says_nothing_of_its_document(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one")

    def hook(document: Document) -> None:
        raise KeyboardInterrupt

    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            batch.run(tools.Scripted(hook), BatchOptions(workers=1))
    assert batch.run()["documents"]["answered"] == 1


def test_one_and_one_point_nought_are_the_same_settings(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one")
    for confidence, seconds in ((1, 60), (1.0, 60.0)):
        expert = tools.Scripted()
        options = BatchOptions(workers=1, min_confidence=confidence, limits=Limits(seconds=seconds))
        batch.run(expert, options)
        assert len(expert.asked) == isinstance(confidence, int)
    assert len(batch.records()) == 1


def test_links_that_lead_nowhere_do_not_hide_the_rest(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="one", z="two")
    (batch.folder / "loop.txt").symlink_to("loop.txt")
    batch.out = batch.folder / "out"
    summary = batch.run()
    assert summary["documents"]["answered"] == 2
    assert [row["name"] for row in tools.lines(batch.out / "failures.jsonl")] == ["loop.txt"]


def test_a_contract_is_of_the_type_that_its_title_shows() -> None:
    quote = Quote(text="EXCLUSIVE DISTRIBUTION AGREEMENT", start=0, end=32, page=None)
    title = FieldAnswer(answer="x", quotes=(quote,), confidence=1, status="accepted")
    info = DocumentInfo(name="Supply Agreement.pdf", sha256="0" * 64, pages=None, characters=9)
    for fields, expected in (
        ({"Document Name": title}, "Distributor"),
        ({"Document Name": None}, "Supply"),
        ({}, "Supply"),
    ):
        record = Record(document=info, release="r", schema_name="s", fields=fields)
        assert _contract_type(record) == expected
