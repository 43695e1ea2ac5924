"""Arms: no model is asked the same thing twice, however often a run is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.core.artifacts import SCRATCH
from lextune.core.cache import cache_folder
from lextune.core.errors import MachineError, UserError
from lextune.core.records import Document, DocumentInfo, Prediction, Record, Usage
from lextune.evaluate.arms import Arm, kept_answers, read_predictions, run_arms

DOCUMENTS = [Document(id=f"d{n}", name=f"d{n}", sha256=f"{n}" * 64, text=f"Text {n}.") for n in range(4)]


def _answer(document: Document, release: str, **usage: float) -> Prediction:
    info = DocumentInfo(name=document.name, sha256=document.sha256, pages=None, characters=len(document.text))
    record = Record(document=info, release=release, schema_name="s", fields={})
    return Prediction(document_id=document.id, record=record, usage=Usage(**usage))  # type: ignore[arg-type]


class Killed(BaseException):
    """What a kill is to a test."""


class Model:
    """Counts what it is asked, and is killed before the answer of that number."""

    def __init__(self, name: str) -> None:
        self.name, self.asked, self.started = name, list[str](), 0
        self.killed_at: Iterator[int] = iter(())
        self.next_kill: int | None = None

    def start(self) -> Arm:
        self.started += 1
        return self.answer

    def answer(self, document: Document) -> Prediction:
        if self.next_kill is not None and len(self.asked) >= self.next_kill:
            self.next_kill = None
            raise Killed
        self.asked.append(document.id)
        return _answer(document, self.name, seconds=2.0, ungrounded=1 if self.name == "b" else 0)


def _silent(done: int, total: int, name: str) -> None:
    """Show nothing."""


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 4)), max_size=4))
def test_killed_anywhere_every_document_is_asked_once(
    tmp_path_factory: pytest.TempPathFactory, kills: list[tuple[str, int]]
) -> None:
    out = tmp_path_factory.mktemp("out")
    models = {name: Model(name) for name in ("a", "b")}
    for name, place in [*kills, ("a", 99)]:
        models[name].next_kill = place
        try:
            run_arms({n: m.start for n, m in models.items()}, DOCUMENTS, out, _silent)
        except Killed:
            continue
    models["a"].next_kill = models["b"].next_kill = None
    run_arms({n: m.start for n, m in models.items()}, DOCUMENTS, out, _silent)
    for name, model in models.items():
        assert model.asked == [d.id for d in DOCUMENTS]
        assert [p.document_id for p in read_predictions(out)[name]] == model.asked


def test_an_arm_with_nothing_left_to_ask_is_not_started(tmp_path: Path) -> None:
    models = {name: Model(name) for name in ("a", "b")}
    calls: list[tuple[int, int, str]] = []
    for _ in range(2):
        found = run_arms({n: m.start for n, m in models.items()}, DOCUMENTS, tmp_path, lambda *c: calls.append(c))
    assert [model.started for model in models.values()] == [1, 1]
    assert found["arms"] == {name: {"documents": 4, "seconds": 8.0} for name in models}
    assert found["n_in"] == found["n_out"] == 4
    assert found["ungrounded"] == {"b": 4}
    assert found["note"] == "answering took: a 8 s, b 8 s; dropped, as not in the document: 4 quotes of b"
    assert calls[-1] == (8, 8, "b")


def test_kept_answers_go_when_all_is_done(own_cache: Path) -> None:
    model = Model("a")
    model.next_kill = 2
    with pytest.raises(Killed), kept_answers(None, "r" * 64, DOCUMENTS) as folder:
        run_arms({"a": model.start}, DOCUMENTS, folder, _silent)
    assert folder.is_relative_to(cache_folder())
    with kept_answers(None, "r" * 64, DOCUMENTS) as again:
        assert again == folder
        run_arms({"a": model.start}, DOCUMENTS, again, _silent)
    assert model.asked == [d.id for d in DOCUMENTS]
    assert not folder.exists()


def test_a_folder_of_ones_own_keeps_the_predictions(tmp_path: Path) -> None:
    out = tmp_path / "kept"
    with kept_answers(out, "r" * 64, DOCUMENTS) as folder:
        run_arms({"a": Model("a").start}, DOCUMENTS, folder, _silent)
    assert [p.document_id for p in read_predictions(out)["a"]] == [d.id for d in DOCUMENTS]
    assert not (out / SCRATCH).exists()


@pytest.mark.parametrize("change", [lambda: ("x" * 64, DOCUMENTS), lambda: ("r" * 64, DOCUMENTS[1:])])
def test_a_folder_of_another_evaluation_is_refused(
    tmp_path: Path, change: Callable[[], tuple[str, list[Document]]]
) -> None:
    with kept_answers(tmp_path / "kept", "r" * 64, DOCUMENTS):
        pass
    with (
        pytest.raises(UserError, match="answers of another release, or to other documents") as caught,
        kept_answers(tmp_path / "kept", *change()),
    ):
        pass
    assert "choose another --out" in str(caught.value)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"), kept_answers(tmp_path / "file" / "x", "r" * 64, DOCUMENTS):
        pass
