"""Faithfulness and relevancy through a scripted judge, against the definitions worked by hand."""

from __future__ import annotations

import builtins
import json
import math
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lextune.core.errors import DataError, MachineError
from lextune.core.records import Message
from lextune.expert.engines.scripted import ScriptedChat
from lextune.expert.tasks import score_task
from lextune.expert.tasks.faithfulness import FaithfulnessScorer, ragas_scores, tfidf

CORPUS = {"4": "A deposit is two months' rent at most."}


def judge(
    statements: Any = ("One.", "Two.", "Three."),
    verdicts: Any = (1, 0, 1),
    questions: Any = ("Q?",),
    vague: Any = False,
) -> ScriptedChat:
    """A judge that says the same of every answer; what is a string is its whole reply."""

    def script(messages: Sequence[Message]) -> str:
        asked = messages[-1].content
        if asked.startswith("Cut the answer"):
            reply, value = statements, {"statements": statements}
        elif asked.startswith("Say of each"):
            reply, value = verdicts, {"verdicts": verdicts}
        else:
            reply, value = questions, {"questions": questions, "noncommittal": vague}
        return reply if isinstance(reply, str) else f"Here it is:\n```json\n{json.dumps(value)}\n```"

    return ScriptedChat(script, "a judge")


def test_both_are_worked_by_hand(row: Any, answer: Any) -> None:
    rows = [row("a", "Q", "x", articles=("4(2)",), question=("How high?",))]

    def embed(texts: Sequence[str]) -> Any:
        assert texts[0] == "How high?"
        return np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]])

    chat = judge(questions=("first?", "second?"))
    result = score_task(FaithfulnessScorer(chat, CORPUS, embed, "a test"), rows, [answer(rows[0], "Two months.")])
    assert result["scores"]["faithfulness"]["value"] == pytest.approx(2 / 3)
    assert result["scores"]["answer_relevancy"]["value"] == pytest.approx((1 + 1 / math.sqrt(2)) / 2)
    assert result["scores"]["unreadable_verdict_rate"]["value"] == 0.0
    assert result["detail"] == {"judge": "a judge", "similarity": "a test", "questions": 3}
    checked = next(m[-1].content for m in chat.seen if m[-1].content.startswith("Say of each"))
    assert "Context: Article 4. A deposit is two months' rent at most.\n" in checked
    assert "1. One.\n2. Two.\n3. Three." in checked


def test_words_are_compared_where_nothing_embeds(row: Any, answer: Any) -> None:
    rows = [row("a", "How high is a deposit?", "x", context=("It is low.",))]
    same = FaithfulnessScorer(judge(questions=("How high is a deposit?",)))
    other = FaithfulnessScorer(judge(questions=("Who sails boats?",)))
    given = [answer(rows[0], "Two months.")]
    found = score_task(same, rows, given)
    assert found["scores"]["answer_relevancy"]["value"] == pytest.approx(1.0)
    assert found["detail"]["similarity"] == "TF-IDF cosine (words alone, no embedding model)"
    assert score_task(other, rows, given)["scores"]["answer_relevancy"]["value"] == 0.0
    assert tfidf(["?", "!"]).shape == (2, 1)


def test_saying_nothing_is_not_relevant(row: Any, answer: Any) -> None:
    rows = [row("a", "Q", "x", context=("C",)), row("b", "Q", "x", context=("C",))]
    scores = score_task(
        FaithfulnessScorer(judge(vague=True)), rows, [answer(rows[0], "Who knows."), answer(rows[1], "")]
    )
    assert scores["scores"]["answer_relevancy"]["value"] == 0.0
    assert scores["scores"]["answer_relevancy"]["n"] == 2
    assert scores["scores"]["faithfulness"]["n"] == 1  # null states nothing


@pytest.mark.parametrize(
    ("chat", "faithful", "relevant", "unread"),
    [
        (judge(statements="no JSON here"), 0, 1, 1.0),
        (judge(statements=[1, 2]), 0, 1, 1.0),
        (judge(statements=[]), 0, 1, 0.0),
        (judge(verdicts=(1, 0)), 0, 1, 1.0),
        (judge(verdicts=(1, 0, 2)), 0, 1, 1.0),
        (judge(verdicts="[1, 0, 1]"), 0, 1, 1.0),
        (judge(questions=[]), 1, 0, 1.0),
        (judge(questions="{}"), 1, 0, 1.0),
        (judge(questions="{]}"), 1, 0, 1.0),
        (judge(vague="perhaps"), 1, 0, 1.0),
    ],
)
def test_replies_that_cannot_be_read_are_left_out(
    chat: ScriptedChat, faithful: int, relevant: int, unread: float, row: Any, answer: Any
) -> None:
    rows = [row("a", "Q", "x", context=("C",))]
    scores = score_task(FaithfulnessScorer(chat), rows, [answer(rows[0], "An answer.")])["scores"]
    assert (scores["faithfulness"]["n"], scores["answer_relevancy"]["n"]) == (faithful, relevant)
    assert scores["unreadable_verdict_rate"]["value"] == unread


def test_an_answer_needs_a_context(row: Any, answer: Any) -> None:
    rows = [row("a", "Q", "x", articles=("9",))]
    with pytest.raises(DataError, match=r"document a: no context to check the answer against\n.*task_options.corpus"):
        score_task(FaithfulnessScorer(judge(), CORPUS), rows, [answer(rows[0], "An answer.")])


def test_ragas_is_an_extra(row: Any, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any) -> Any:
        if name.split(".")[0] == "ragas":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    rows = [row("a", "Q", "x", context=("C",))]
    with pytest.raises(MachineError, match=r'ragas is not installed\n.*pip install "lextune\[judge\]"'):
        ragas_scores(rows, [answer(rows[0], "An answer.")], llm=None, embeddings=None)


def test_ragas_reads_the_same_rows(row: Any, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Metric:
        def __init__(self, **settings: Any) -> None:
            self.settings = settings

    def evaluate(samples: list[Any], metrics: list[Metric], show_progress: bool) -> Any:
        asked.update(samples=samples, metrics=[metric.settings for metric in metrics])
        return SimpleNamespace(scores=[{"faithfulness": 1, "answer_relevancy": 0.5}])

    package = {"EvaluationDataset": list, "SingleTurnSample": dict, "evaluate": evaluate}
    monkeypatch.setitem(sys.modules, "ragas", SimpleNamespace(**package))
    names = {"Faithfulness": Metric, "ResponseRelevancy": Metric}
    monkeypatch.setitem(sys.modules, "ragas.metrics", SimpleNamespace(**names))
    rows = [row("a", "prompt", "x", articles=("4",), question=("How high?",))]
    found = ragas_scores(rows, [answer(rows[0], "Two months.")], llm="judge", embeddings="vectors", corpus=CORPUS)
    assert found == [{"faithfulness": 1.0, "answer_relevancy": 0.5}]
    context = "Article 4. A deposit is two months' rent at most."
    assert asked["samples"] == [{"user_input": "How high?", "response": "Two months.", "retrieved_contexts": [context]}]
    assert asked["metrics"] == [{"llm": "judge"}, {"llm": "judge", "embeddings": "vectors", "strictness": 3}]
