"""Pairs of answers: from a file, from predictions, and from a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lextune.core.artifacts import ArtifactStore, write_jsonl
from lextune.core.errors import ArtifactError, DataError
from lextune.core.records import (
    Document,
    DocumentInfo,
    FieldAnswer,
    FieldLabel,
    Message,
    Prediction,
    Quote,
    Record,
)
from lextune.evaluate.answer_pairs import CONTEXT, AnswerPair, no_answer, pairs_of, pairs_of_run, preference, read_pairs

DO = "\n  -> give JSON Lines or CSV of id, prompt, a and b, and gold where there is one"


def predicted(document: Document, **fields: FieldAnswer | None) -> Prediction:
    info = DocumentInfo(name=document.name, sha256="0", pages=None, characters=len(document.text))
    record = Record(document=info, release="r", schema_name="s", fields=fields)
    return Prediction(document_id=document.id, record=record)


def written(text: str | None) -> FieldAnswer | None:
    return None if text is None else FieldAnswer(answer=text, quotes=(), confidence=1.0, status="review")


def quoted(document: Document, *texts: str) -> FieldAnswer:
    places = [(text, document.text.index(text)) for text in texts]
    quotes = tuple(Quote(text=text, start=at, end=at + len(text), page=None) for text, at in places)
    return FieldAnswer(answer=texts[0], quotes=quotes, confidence=1.0, status="accepted")


def document(name: str, text: str, **more: object) -> Document:
    return Document(id=name, name=f"{name}.txt", sha256="0", text=text, **more)


def test_a_file_of_pairs(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    first = {"id": 7, "prompt": "?", "a": "x", "b": "y", "more": 1}
    second = {"id": "8", "prompt": "?", "a": "", "b": "y", "gold": "g"}
    file.write_text(f"{json.dumps(first)}\n\n{json.dumps(second)}\n")
    assert read_pairs(file) == [
        AnswerPair(id="7", prompt="?", a="x", b="y"),
        AnswerPair(id="8", prompt="?", a="", b="y", gold="g"),
    ]


def test_all_wrong_lines_are_told_at_once(tmp_path: Path) -> None:
    good = '{"id": "1", "prompt": "?", "a": "x", "b": "y"}\n'
    file = tmp_path / "items.jsonl"
    file.write_text(good + '{"id": "2", "prompt": "?", "a": "x"}\n' + good + "[]\n")
    with pytest.raises(DataError) as told:
        read_pairs(file)
    assert str(told.value) == (
        f"{file}: 3 mistakes\n"
        "  items.jsonl:2: b: Field required\n"
        "  items.jsonl:3: the id '1' occurs a second time\n"
        f"  items.jsonl:4: Input should be an object{DO}"
    )
    file.write_text("{\n")
    with pytest.raises(DataError, match=r"^items.jsonl:1: Invalid JSON: EOF"):
        read_pairs(file)
    file.write_text("\n")
    with pytest.raises(DataError) as told:
        read_pairs(file)
    assert str(told.value) == f"{file}: the file has no rows{DO}"
    with pytest.raises(DataError, match="cannot read the file: No such file or directory"):
        read_pairs(tmp_path / "none")


def test_two_answers_are_the_same_but_for_white_space() -> None:
    assert AnswerPair(id="1", prompt="?", a="so it\n is", b=" so it is").same
    assert not AnswerPair(id="1", prompt="?", a="so it is", b="so it was").same


def test_what_arms_wrote() -> None:
    gold = {"output": FieldLabel(parts=("Gold.",), answer="Gold.")}
    turns = (Message(role="system", content="Be brief."), Message(role="user", content="Hello"))
    one, two, three = document("1", "Why?", labels=gold), document("2", "And?", turns=turns), document("3", "Only a?")
    a = [predicted(one, output=written("Since.")), predicted(two, output=None), predicted(three, output=None)]
    b = [predicted(two, output=written("Then.")), predicted(one, output=written("For."))]
    assert pairs_of([one, two, three], a, b) == [
        AnswerPair(id="1", prompt="Why?", a="Since.", b="For.", gold="Gold."),
        AnswerPair(id="2", prompt="system: Be brief.\n\nuser: Hello\n\nuser: And?", a="null", b="Then."),
    ]
    with pytest.raises(DataError) as told:
        pairs_of([three], a, b)
    assert str(told.value) == "no document was answered by both arms\n  -> give two arms that read the same documents"


def test_of_an_extraction_the_fields_on_which_arms_differ() -> None:
    far = "x" * 2 * CONTEXT
    labels = {"Law": FieldLabel(parts=("of Utopia",)), "Term": FieldLabel()}
    one = document("1", f"The law of Utopia governs. {far} It ends never. {far}", labels=labels)
    a = predicted(one, Law=quoted(one, "law of Utopia"), Term=None, Parties=None, Date=quoted(one, "never"))
    b = predicted(
        one, Law=quoted(one, "of Utopia", "ends never"), Term=written("1 year"), Parties=None, Date=quoted(one, "never")
    )
    law, term = pairs_of([one], [a], [b])
    assert (law.id, law.a, law.b, law.gold) == ("1 / Law", "law of Utopia", "of Utopia\n…\nends never", "of Utopia")
    question, first, second = law.prompt.split("\n\n")
    assert question == "Law: what does 1.txt say?"
    assert first.startswith("… The law of Utopia governs. xxx")
    assert "It ends never." in second
    assert len(first) + len(second) < len(one.text)
    assert (term.id, term.a, term.b, term.gold) == ("1 / Term", "null", "1 year", "null")
    assert term.prompt == "Term: what does 1.txt say?"


@pytest.mark.parametrize(("text", "found"), [("", True), (" null\n", True), ("None", False), ("0", False)])
def test_no_answer(text: str, found: bool) -> None:
    assert no_answer(text) is found


@pytest.mark.parametrize(("chosen", "better", "worse"), [("a", "x", "y"), ("b", "y", "x")])
def test_a_preference(chosen: str, better: str, worse: str) -> None:
    assert preference(AnswerPair(id="1", prompt="?", a="x", b="y"), chosen) == {
        "prompt": [{"role": "user", "content": "?"}],
        "chosen": [{"role": "assistant", "content": better}],
        "rejected": [{"role": "assistant", "content": worse}],
    }


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose evaluation was made from a split and two artifacts of predictions."""
    rows = [document("1", "Why?"), document("2", "How?")]
    store, made = ArtifactStore(tmp_path / "run"), {}

    def seal(stage: str, kind: str, files: dict[str, list], inputs: tuple[str, ...] = ()) -> None:
        header = {"kind": kind, "stage": stage, "stage_version": 1, "config": {}, "seed": 0}
        header["inputs"] = {name: made[name].hash for name in inputs}
        header["parents"] = {name: made[name].path.name for name in inputs}

        def fill(folder: Path) -> dict:
            for name, lines in files.items():
                write_jsonl(folder / name, lines)
            return {}

        made[stage] = store.build(header, "0" * 12, fill)

    seal("split", "split", {"test.jsonl": rows})
    seal("predictions", "predictions", {"tuned.jsonl": [predicted(d, output=written("Tuned.")) for d in rows]})
    seal("base_predictions", "predictions", {"base.jsonl": [predicted(rows[1], output=written("Base."))]})
    seal("score", "evaluation", {"evaluation.json": []}, ("split", "predictions", "base_predictions"))
    return tmp_path / "run"


def test_two_arms_of_a_run(run: Path) -> None:
    assert pairs_of_run(run, "tuned", "base") == [AnswerPair(id="2", prompt="How?", a="Tuned.", b="Base.")]
    with pytest.raises(DataError) as told:
        pairs_of_run(run, "tuned", "linear")
    assert str(told.value) == f"{run}: no predictions of an arm 'linear'\n  -> use one of tuned, base"


def test_a_run_that_lost_its_parts(run: Path, tmp_path: Path) -> None:
    (run / "split-000000000000/test.jsonl").write_text(json.dumps({}))
    with pytest.raises(ArtifactError, match="the documents of this evaluation are gone\n  -> run the recipe again"):
        pairs_of_run(run, "tuned", "base")
    for folder in run.glob("*predictions-*"):
        (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match="no predictions of an arm 'tuned'\n  -> run the recipe again"):
        pairs_of_run(run, "tuned", "base")
    with pytest.raises(ArtifactError, match="no such folder"):
        pairs_of_run(tmp_path / "none", "tuned", "base")
