"""Rows of the tasks that have a scorer of their own, each with the prompt that the task asks by.

    {"text": "...", "label": "Termination"}                               classification
    {"question": "...", "choices": ["...", "..."], "answer": "B"}         multiple-choice
    {"question": "...", "answer": "...", "articles": ["12(2)"]}           statute-qa
    {"source": "...", "target": "..."}                                    translation

What the scorer wants beside the answer becomes a label.
"""

from __future__ import annotations

from lextune.core.records import Message
from lextune.data.importers.conversation import Conversation, Shape, Values, text_of
from lextune.data.importers.turns import Unfit, Wrong
from lextune.expert.tasks import classification, multiple_choice, statute_qa, translation
from lextune.expert.tasks.faithfulness import CONTEXT, QUESTION
from lextune.text.articles import read_provision
from lextune.text.values import is_null


def _list(values: Values, key: str) -> tuple[str, ...]:
    given = values.get(key)
    if given is None or (isinstance(given, str) and not given.strip()):  # an empty cell of a table
        return ()
    if not isinstance(given, list | tuple) or not all(isinstance(item, str) for item in given):
        raise Wrong(f"{key!r} is not a list of texts")
    return tuple(item.strip() for item in given if item.strip())


def _asked(prompt: str, answer: str, **labels: tuple[str, ...]) -> Conversation:
    kept = tuple((name, parts) for name, parts in labels.items() if any(part.strip() for part in parts))
    return Conversation((Message(role="user", content=prompt),), answer, labels=kept)


def _classification(values: Values) -> Conversation:
    text, label, labels = text_of(values, "text"), text_of(values, "label"), _list(values, "labels")
    if not text.strip():
        raise Unfit("the text is empty")
    if is_null(label, quoted=True):
        raise Wrong(f"the label {label[:30]!r} means null: name it otherwise, such as `other`")
    if labels and label.strip() not in labels:
        raise Wrong("'label' is none of its 'labels'")
    return _asked(classification.prompt(text, labels), label.strip())


def _multiple_choice(values: Values) -> Conversation:
    question, choices, answer = text_of(values, "question"), _list(values, "choices"), text_of(values, "answer")
    if not question.strip():
        raise Unfit("the question is empty")
    if not 2 <= len(choices) <= len(multiple_choice.LETTERS) or len(set(choices)) < len(choices):
        raise Wrong(f"'choices' are not 2 to {len(multiple_choice.LETTERS)} texts that differ")
    place = multiple_choice.read_choice(answer, choices)
    if place is None:
        raise Wrong("'answer' is neither the letter nor the text of one of the 'choices'")
    return _asked(multiple_choice.prompt(question, choices), multiple_choice.LETTERS[place], choices=choices)


def _statute_qa(values: Values) -> Conversation:
    question, answer, articles = text_of(values, "question"), text_of(values, "answer"), _list(values, "articles")
    context = text_of(values, "context", "")
    if not question.strip():
        raise Unfit("the question is empty")
    if not articles:
        raise Wrong("'articles' is empty: name at least one")
    wrong = next((article for article in articles if read_provision(article) is None), None)
    if wrong is not None:
        raise Wrong(f"{wrong[:30]!r} in 'articles' is no article: write 12, 12(2) or Article 12(2)")
    labels = {statute_qa.ARTICLES: articles, QUESTION: (question,), CONTEXT: (context,)}
    return _asked(statute_qa.prompt(question, context), answer, **labels)


def _translation(values: Values) -> Conversation:
    source, target = text_of(values, "source"), text_of(values, "target")
    if not source.strip():
        raise Unfit("the source is empty")
    languages = text_of(values, "from", ""), text_of(values, "to", "")
    return _asked(translation.prompt(source, *languages), target, source=(source,))


TASK_SHAPES = (
    Shape("multiple-choice", ("question", "choices", "answer"), (), _multiple_choice),
    Shape("statute-qa", ("question", "answer", "articles"), ("context",), _statute_qa),
    Shape("translation", ("source", "target"), ("from", "to"), _translation),
    Shape("classification", ("text", "label"), ("labels",), _classification),
)
"""Their shapes, named as the tasks are."""
