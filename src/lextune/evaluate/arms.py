"""Arms: whatever answers the held-out documents, side by side on the same ones.

An answer is kept as soon as it is given: a run that is killed goes on with the next document, and no model is asked
the same thing twice. An arm is made only when there is something left to ask, so that one model is in memory at a time.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lextune.core.artifacts import SCRATCH, read_jsonl, sha256_json, write_atomic, write_jsonl
from lextune.core.cache import cache_folder
from lextune.core.counts import counted
from lextune.core.errors import UserError
from lextune.core.journal import Journal
from lextune.core.machine import disk_error
from lextune.core.records import Document, Prediction
from lextune.core.stage import Progress, Summary
from lextune.expert.tasks import TaskOptions, get_task
from lextune.expert.tasks.multiple_choice import Answering, Repeated

TUNED = "tuned"  # the arm that all others are compared with
ASKED = "asked"  # the file that says what a folder of answers is of

Arm = Callable[[Document], Prediction]
Making = Callable[[], Arm]
"""Starts an arm: loads a model, opens a connection."""


def arm_of(expert: Answering, task: str, options: TaskOptions) -> Arm:
    """Return an expert as an arm of a task, asked as often as the task's scorer wants it."""
    scorer = get_task(task).scorer(options)
    return Repeated(expert, scorer.attempts).answer if scorer and scorer.attempts > 1 else expert.answer


def run_arms(arms: Mapping[str, Making], documents: Sequence[Document], out: Path, progress: Progress) -> Summary:
    """Let every arm answer every document; write `<arm>.jsonl`, a prediction a line, in the order of the documents.

    Args:
        arms: by name.
        documents: what is read.
        out: where the files are written; answers under way are kept in its folder `checkpoints`.
        progress: called with answers given, answers wanted, and what the last ones took.

    Returns:
        {n_in, n_out, n_dropped, arms: {name: {documents, seconds}}, ungrounded, note}: seconds are those of
        answering, as each prediction states them.
    """
    total, done = len(arms) * len(documents), 0
    took: dict[str, dict[str, Any]] = {}
    ungrounded: Counter[str] = Counter()
    for name, making in arms.items():
        journal = Journal(out / SCRATCH / f"{name}.jsonl", Prediction)
        answers = {answer.document_id: answer for answer in journal}
        arm: Arm | None = None
        for document in documents:
            if document.id not in answers:
                arm = arm or making()
                answers[document.id] = arm(document)
                journal.add(answers[document.id])
            done += 1
            progress(done, total, name)
        rows = [answers[document.id] for document in documents]
        write_jsonl(out / f"{name}.jsonl", rows)
        took[name] = {"documents": len(rows), "seconds": round(sum(row.usage.seconds for row in rows), 1)}
        ungrounded[name] = sum(row.usage.ungrounded for row in rows)
    return {
        **{"n_in": len(documents), "n_out": len(documents), "n_dropped": 0, "arms": took},
        **_said(took, ungrounded),
    }


def _said(took: Mapping[str, Mapping[str, Any]], ungrounded: Mapping[str, int]) -> Summary:
    slow = [f"{name} {each['seconds']:.0f} s" for name, each in took.items() if each["seconds"] >= 1]
    dropped = {name: count for name, count in ungrounded.items() if count}
    notes = [f"answering took: {', '.join(slow)}"] if slow else []
    if dropped:
        said = ", ".join(f"{counted(count, 'quote')} of {name}" for name, count in dropped.items())
        notes.append(f"dropped, as not in the document: {said}")
    return {**({"ungrounded": dropped} if dropped else {}), **({"note": "; ".join(notes)} if notes else {})}


@contextmanager
def kept_answers(out: Path | str | None, release: str, documents: Sequence[Document]) -> Iterator[Path]:
    """Give the folder in which answers are kept until all are there.

    Args:
        out: the folder, made where it is missing; None for one in the cache that goes when all is done.
        release: the hash of all that its answers depend on.
        documents: what is read.

    Raises:
        UserError: the folder holds answers of another release or to other documents.
        MachineError: it cannot be written.
    """
    asked = sha256_json([release, [(document.id, document.sha256, document.text) for document in documents]])
    folder = cache_folder() / "evaluations" / asked[:16] if out is None else Path(out)
    note = folder / ASKED
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    if note.is_file() and note.read_text(encoding="utf-8") != asked:
        raise UserError(
            "this folder holds the answers of another release, or to other documents",
            where=str(folder),
            do="choose another --out, or remove it",
        )
    write_atomic(note, asked)
    yield folder
    shutil.rmtree(folder if out is None else folder / SCRATCH, ignore_errors=True)


def read_predictions(folder: Path, arms: Iterable[str] | None = None) -> dict[str, list[Prediction]]:
    """Return the predictions of these arms in a folder; None for all, where nothing else is in it."""
    names = sorted(file.stem for file in folder.glob("*.jsonl")) if arms is None else arms
    return {name: list(read_jsonl(folder / f"{name}.jsonl", Prediction)) for name in names}
