"""Rows of the tasks with scorers of their own: their prompts, their labels, their mistakes; the package's own sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lextune.core.mistakes import Mistake
from lextune.core.records import Document, DocumentInfo, Drop, FieldAnswer, Prediction, Record
from lextune.data.importers.intake import Options, import_source
from lextune.expert.schema import load_schema
from lextune.expert.tasks import TaskOptions, get_task, score_task
from lextune.expert.tasks.multiple_choice import rotated
from lextune.expert.tasks.options import sample

TASKS = ("classification", "multiple-choice", "statute-qa", "translation")
CHOICE = {"question": "Which law?", "choices": ["Ohio", "Texas"], "answer": "texas"}
STATUTE = {"question": "How high?", "answer": "Two (Article 4).", "articles": ["4(2)"], "context": "Article 4. Two."}


def read(path: Path) -> list[Any]:
    return list(import_source(path, Options(load_schema("instruction"))))


def one(tmp_path: Path, values: dict[str, Any]) -> Any:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(values) + "\n", encoding="utf-8")
    (item,) = read(path)
    return item


@pytest.mark.parametrize(
    ("values", "text", "labels"),
    [
        (
            {"text": "Rent is due.", "label": "Payment", "labels": ["Payment", "Term"]},
            "Classify this text with one of these labels:\n- Payment\n- Term\n\n"
            "Answer with the label alone.\n\nRent is due.",
            {"output": ("Payment",)},
        ),
        (
            CHOICE,
            "Which law?\n\nA. Ohio\nB. Texas\n\nAnswer with the letter alone.",
            {"output": ("B",), "choices": ("Ohio", "Texas")},
        ),
        (
            STATUTE,
            "Article 4. Two.\n\nHow high?\n\nAnswer, and cite each article that the answer rests on.",
            {
                "output": ("Two (Article 4).",),
                "articles": ("4(2)",),
                "question": ("How high?",),
                "context": ("Article 4. Two.",),
            },
        ),
        (
            {"source": "Rent is due.", "target": "Le loyer est dû.", "to": "French"},
            "Translate this text into French. Answer with the translation alone.\n\nRent is due.",
            {"output": ("Le loyer est dû.",), "source": ("Rent is due.",)},
        ),
    ],
)
def test_a_row_becomes_its_tasks_prompt(
    values: dict[str, Any], text: str, labels: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    document = one(tmp_path, values)
    assert isinstance(document, Document), document
    assert document.text == text
    assert {name: label.parts for name, label in document.labels.items()} == labels


def test_an_empty_cell_of_an_optional_column_is_no_value(tmp_path: Path) -> None:
    lines = ["text,label,labels", 'Rent.,Payment,"[""Payment"", ""Term""]"', "Rent is due.,Payment,", "It ends.,Term, "]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [item.text.partition("\n")[0] for item in read(path)] == [
        "Classify this text with one of these labels:",
        "Classify this text.",
        "Classify this text.",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text": "Rent.", "label": "Pay", "labels": ["Payment"]}, "'label' is none of its 'labels'"),
        ({"text": "Rent.", "label": "None"}, "the label 'None' means null: name it otherwise, such as `other`"),
        ({**CHOICE, "choices": ["Ohio"]}, "'choices' are not 2 to 26 texts that differ"),
        ({**CHOICE, "choices": ["Ohio", "Ohio"]}, "'choices' are not 2 to 26 texts that differ"),
        ({**CHOICE, "choices": 3}, "'choices' is not a list of texts"),
        ({**CHOICE, "answer": "Iowa"}, "'answer' is neither the letter nor the text of one of the 'choices'"),
        ({**STATUTE, "articles": []}, "'articles' is empty: name at least one"),
        ({**STATUTE, "articles": ["fourth"]}, "'fourth' in 'articles' is no article: write 12, 12(2) or Article 12(2)"),
        ({"source": "Rent.", "target": 3}, "'target' is not a string"),
        ({"source": "Rent.", "target": "Loyer.", "too": "fr"}, "unknown key 'too'; did you mean 'to'?"),
    ],
)
def test_mistakes_say_their_line(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert one(tmp_path, values) == Mistake("rows.jsonl:1", message)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"text": " ", "label": "Payment"}, "the text is empty"),
        ({**CHOICE, "question": ""}, "the question is empty"),
        ({**STATUTE, "question": ""}, "the question is empty"),
        ({"source": "", "target": "x"}, "the source is empty"),
    ],
)
def test_rows_of_no_use_are_drops(values: dict[str, Any], reason: str, tmp_path: Path) -> None:
    item = one(tmp_path, values)
    assert isinstance(item, Drop)
    assert item.reason == reason


def test_lists_stand_in_a_tables_cell(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('question,choices,answer\nWhich law?,"[""Ohio"", ""Texas""]",B\n')
    (document,) = read(path)
    assert document.labels["choices"].parts == ("Ohio", "Texas")


@pytest.mark.parametrize("task", TASKS)
def test_the_packages_own_rows_score_in_full(task: str) -> None:
    rows = read(sample(f"{task}.jsonl"))
    assert 12 <= len(rows) <= 24
    assert all(isinstance(row, Document) for row in rows)
    scorer = get_task(task).scorer(TaskOptions(corpus="auto", glossary="auto", attempts=1))
    assert scorer is not None
    result = score_task(scorer, rows, [perfect(row) for row in rows])
    best = {"bleu": 100.0, "chrf": 100.0}
    for name, score in result["scores"].items():
        if name.endswith(("accuracy", "f1", "precision", "recall")) or name in best:
            assert score["value"] == pytest.approx(best.get(name, 1.0)), name


def test_questions_of_the_package_can_be_moved() -> None:
    rows = read(sample("multiple-choice.jsonl"))
    right = [row.labels["output"].answer for row in rows]
    assert {letter: right.count(letter) for letter in "ABCD"} == dict.fromkeys("ABCD", 4)
    assert all(rotated(row, 1).text != row.text for row in rows)


def perfect(row: Document) -> Prediction:
    given = FieldAnswer(answer=row.labels["output"].answer, quotes=(), confidence=1.0, status="review")
    about = DocumentInfo(name=row.name, sha256=row.sha256, pages=None, characters=len(row.text))
    record = Record(document=about, release="r", schema_name="instruction", fields={"output": given})
    return Prediction(document_id=row.id, record=record)
