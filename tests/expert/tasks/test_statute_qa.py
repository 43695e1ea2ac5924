"""Articles cited against articles wanted, and those that do not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lextune.core.errors import DataError
from lextune.expert.tasks import TaskOptions, get_task, score_task
from lextune.expert.tasks.statute_qa import ArticleScorer, load_corpus, prompt

CORPUS = {str(n): "text" for n in range(1, 10)}


def scores(scorer: ArticleScorer, rows: list[Any], given: list[Any]) -> dict[str, float | None]:
    return {name: score["value"] for name, score in score_task(scorer, rows, given)["scores"].items()}


def test_articles_are_counted_once_an_answer(row: Any, answer: Any) -> None:
    rows = [row("a", "Q", "x", articles=("4(2)", "7")), row("b", "Q", "x", articles=("1",))]
    given = [answer(rows[0], "By article 4(1), and art. 4 too; see sections 7 and 12."), answer(rows[1], "I think so.")]
    found = scores(ArticleScorer(CORPUS), rows, given)
    # articles: 4, 7 right; 12 too many; 1 missed. With paragraphs: 4(1), 4, 7, 12 cited of 4(2), 7, 1
    assert found["article_precision"] == pytest.approx(2 / 3)
    assert found["article_recall"] == pytest.approx(2 / 3)
    assert found["article_f1"] == pytest.approx(2 / 3)
    assert found["pinpoint_f1"] == pytest.approx(2 * 1 / (2 * 1 + 3 + 2))
    assert found["invented_article_rate"] == pytest.approx(1 / 3)
    assert found["citing_rate"] == 0.5


def test_invented_articles_are_listed_with_their_place(row: Any, answer: Any) -> None:
    rows = [row("a", "Q", "x", articles=("4",))]
    text = "See Article 4 and Article 99."
    detail = score_task(ArticleScorer(CORPUS), rows, [answer(rows[0], text)])["detail"]
    (invented,) = detail["invented"]
    assert (invented["document"], text[invented["start"] : invented["end"]]) == ("a", "99")


def test_without_a_corpus_nothing_is_said_of_invention(row: Any, answer: Any) -> None:
    rows = [row("a", "Q", "x", articles=("4",))]
    result = score_task(ArticleScorer(), rows, [answer(rows[0], "Article 99")])
    assert "invented_article_rate" not in result["scores"]
    assert result["detail"] == {"invented": []}


def test_gold_that_is_no_article(row: Any, answer: Any) -> None:
    bad, far = row("a", "Q", "x", articles=("the fourth",)), row("b", "Q", "x", articles=("40",))
    with pytest.raises(DataError, match=r"document a: 'the fourth' is no article"):
        score_task(ArticleScorer(CORPUS), [bad], [answer(bad, "x")])
    with pytest.raises(DataError, match=r"document b: the corpus has no article 40\n.*task_options.corpus"):
        score_task(ArticleScorer(CORPUS), [far], [answer(far, "x")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"c.jsonl: no articles"),
        ('{"article": "1", "text": "x"}\nArticle 2', r"c.jsonl:2: not an object with article and text"),
        ('{"article": "1"}', r"c.jsonl:1: not an object with article and text"),
        ('{"article": "one", "text": "x"}', r"c.jsonl:1: 'one' is no number of an article"),
        ('{"article": "1(2)", "text": "x"}', r"c.jsonl:1: '1\(2\)' is no number of an article"),
        ('{"article": "1", "text": "x"}\n{"article": "Art. 1", "text": "y"}', r"c.jsonl:2: article 1 is there twice"),
    ],
)
def test_a_corpus_that_is_none(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_corpus(path)


def test_a_line_ends_at_a_newline_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"article": "1", "text": "x\u2028y\x85z"}\r\n{"article": "2", "text": "y"}')
    assert load_corpus(path) == {"1": "x\u2028y\x85z", "2": "y"}


def test_a_corpus_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.jsonl: cannot read the file"):
        get_task("statute-qa").scorer(TaskOptions(corpus=str(tmp_path / "nowhere.jsonl")))


def test_the_context_comes_before_the_question() -> None:
    assert prompt("Why?", "Article 1.").startswith("Article 1.\n\nWhy?\n\nAnswer, and cite")
    assert prompt("Why?").startswith("Why?\n\nAnswer, and cite")
