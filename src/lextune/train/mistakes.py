"""What is wrong with an answer: the kind of mistake and its reason, and gold answers edited into mistakes.

| kind | the gold answer | the mistake, `point` | the mistake, `text` |
| --- | --- | --- | --- |
| `malformed` | any | not JSON, or not such: an unknown field, a number of no sentence | not JSON where gold is |
| `invented` | null | a field, or sentences, that the gold answer does not have | a text where there is none |
| `missed` | a clause | a field left out, `{}` where there is a clause | null where there is a text |
| `wrong_field` | a clause | its sentences under another field | its value under another key |
| `cut_quote` | a clause | some of its sentences left out, and none beside a right one added | a part of its text |
| `null_form` | null | `None`, `N/A`, `[]`, `{"Audit": []}` for `{}` | `N/A`, `none` for `null` |

A `text` answer about a clause is also `invented` where it has words that the window does not have, or sentences beside
those of the clause, `wrong_field` where it gives the clause of another field, and `malformed` where it does not end.

An answer with several mistakes has the first of: malformed, wrong field, invented, missed, cut quote. What an
annotator left open (a repetition of a quote, a field that was not assessed) is no mistake.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

from lextune.expert.grounding import ground
from lextune.expert.point import parse_point, point_answer
from lextune.expert.quoting import parse_quotes, quoted_answer, says_null
from lextune.expert.schema import Schema
from lextune.expert.windowing import WindowExample
from lextune.text.values import NULL, is_null

Kind = Literal["malformed", "invented", "missed", "wrong_field", "cut_quote", "null_form"]
KINDS: tuple[Kind, ...] = get_args(Kind)

RIGHT = "it is right"
OTHER_WORDS = "other words than the gold answer's, which nobody judged"
LEFT_OPEN = "it differs only where the annotation is left open"
MORE_WORDS = "it quotes more words of the same sentences, which nobody judged"
NULL_FORMS = ("N/A", "None", "none", "not specified")


class Verdict(NamedTuple):
    """The kind of mistake, None where an answer has none that can be told, and why."""

    kind: Kind | None
    reason: str


def judge_point(schema: Schema, example: WindowExample, text: str, *, stopped: bool = True) -> Verdict:
    """Say what is wrong with a `point` answer to a labelled window.

    Args:
        schema: its fields may be named.
        example: the window with its labels.
        text: the answer, generated without a grammar.
        stopped: whether it came to its end.
    """
    gold = parse_point(schema, len(example.texts), point_answer(schema, example)) or {}
    found = parse_point(schema, len(example.texts), text) if stopped else None
    if found is None:
        if not gold and stopped and _says_null(text):
            return Verdict("null_form", "null is not written {}")
        return Verdict("malformed", _malformed(schema, text) if stopped else "it does not come to an end")
    if found == gold:
        return Verdict(None, RIGHT)
    counted = {
        name: rows
        for name, all_rows in found.items()
        if (rows := [r for r in all_rows if r in gold.get(name, ()) or _assessed(schema, example, name, r)])
    }
    return _compare(gold, counted, schema.names) if counted != gold else Verdict(None, LEFT_OPEN)


def _assessed(schema: Schema, example: WindowExample, name: str, row: int) -> bool:
    return schema.names.index(name) not in example.ignored[row]


def _says_null(text: str) -> bool:
    """Say whether a text means null, as a word or as JSON whose every value is null."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return is_null(list(value.values()) if isinstance(value, dict) else value, quoted=True) or text.strip() == NULL


def _malformed(schema: Schema, text: str) -> str:
    """Say why a text is no valid `point` answer, in words that quote nothing of it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "it is not JSON"
    if not isinstance(value, dict):
        return "it is JSON, but no object"
    if not set(value) <= set(schema.names):
        return "it names a field that the schema does not have"
    return "it points at no sentence, or at one that the window does not have"


def _compare(gold: dict[str, Any], found: dict[str, Any], names: Sequence[str]) -> Verdict:
    """Compare two answers that differ; values are lists of sentences, or anything else that is told apart by `==`."""
    extra = [n for n in names if n in found and n not in gold]
    missing = [n for n in names if n in gold and n not in found]
    for other in extra:
        for name in missing:
            if _overlap(gold[name], found[other]):
                return Verdict("wrong_field", f"what states {name} stands under {other}")
    if extra:
        return Verdict("invented", f"{extra[0]} is not there")
    beside = [n for n in names if n in gold and n in found and not _within(found[n], gold[n])]
    if beside:
        return Verdict("invented", f"{beside[0]} has another answer than it is given")
    if missing:
        return Verdict("missed", f"{missing[0]} is left out")
    cut = next(n for n in names if n in gold and found[n] != gold[n])
    return Verdict("cut_quote", f"{cut} is cut short")


def _overlap(gold: Any, found: Any) -> bool:
    return bool(set(gold) & set(found)) if isinstance(gold, list) and isinstance(found, list) else bool(gold == found)


def _within(found: Any, gold: Any) -> bool:
    """Say whether a value is the gold one or a part of it."""
    if isinstance(gold, str) and isinstance(found, str):
        return found in gold
    return set(found) <= set(gold) if isinstance(gold, list) and isinstance(found, list) else bool(found == gold)


def judge_text(gold: str, text: str, *, stopped: bool = True) -> Verdict:
    """Say what is wrong with a `text` answer.

    Args:
        gold: the answer that was annotated; `null` for none, JSON, or prose.
        text: the answer that was generated.
        stopped: whether it came to its end.
    """
    given = text.strip()
    if given == gold.strip() and stopped:
        return Verdict(None, RIGHT)
    if gold == NULL:
        null = stopped and _says_null(given)
        return Verdict("null_form", f"null is not written {NULL}") if null else Verdict("invented", "there is none")
    wanted, found = _object(gold), _object(given) if stopped else None
    if wanted is not None and found is not None:
        return _judge_objects(wanted, found)
    if stopped and _says_null(given):
        return Verdict("missed", "it says that there is none")
    if wanted is not None:
        return Verdict("malformed", "it is not a JSON object" if stopped else "it does not come to an end")
    if stopped and given in gold:
        return Verdict("cut_quote", "it is a part of the gold answer")
    return Verdict(None, OTHER_WORDS)


def _judge_objects(gold: dict[str, Any], found: dict[str, Any]) -> Verdict:
    names = list(dict.fromkeys([*gold, *found]))
    if any(n not in gold for n in found):
        return Verdict("malformed", "it has a key that was not asked for")
    gold, found = ({n: v for n, v in each.items() if not is_null(v, quoted=True)} for each in (gold, found))
    return Verdict(None, RIGHT) if gold == found else _compare(gold, found, names)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


Places = list[tuple[int, int, int]]


def judge_quotes(schema: Schema, example: WindowExample, number: int, text: str, *, stopped: bool = True) -> Verdict:
    """Say what is wrong with a `text` answer about a clause.

    Args:
        schema: its fields may be asked.
        example: the window with its labels.
        number: of the field that was asked.
        text: the answer.
        stopped: whether it came to its end.
    """
    gold, name = quoted_answer(example, number), schema.names[number]
    if not stopped:
        return Verdict("malformed", "it does not come to an end")
    if text.strip() == gold:
        return Verdict(None, RIGHT)
    if says_null(text):
        null = gold == NULL
        return Verdict("null_form", f"null is not written {NULL}") if null else Verdict("missed", f"{name} is left out")
    found = ground(example.texts, parse_quotes(text))
    if found.ungrounded:
        return Verdict("invented", "it has words that the text does not have")
    wanted = _gold_places(example, number)
    counted = [place for place in found.places if place in wanted or number not in example.ignored[place[0]]]
    if counted == wanted:
        return Verdict(None, RIGHT if counted == found.places else LEFT_OPEN)
    return _compare_places(schema, example, number, counted)


def _compare_places(schema: Schema, example: WindowExample, number: int, found: Places) -> Verdict:
    """Compare the places of an answer with other ones that are right."""
    name, wanted = schema.names[number], _gold_places(example, number)
    if not wanted:
        return Verdict("invented", f"{name} is not there")
    rows, right = ({row for row, _, _ in places} for places in (found, wanted))
    if not rows & right:
        others = (n for n in range(len(schema.names)) if n != number)
        stated = next((n for n in others if rows & {row for row, _, _ in _gold_places(example, n)}), None)
        if stated is not None:
            return Verdict("wrong_field", f"what states {schema.names[stated]} is given for {name}")
    if rows - right:
        return Verdict("invented", f"{name} has another answer than it is given")
    whole = all(any(row == r and a <= start and end <= b for r, a, b in found) for row, start, end in wanted)
    return Verdict(None, MORE_WORDS) if whole else Verdict("cut_quote", f"{name} is cut short")


def _gold_places(example: WindowExample, number: int) -> Places:
    """Return where the gold answer's words are found, as those of any answer are."""
    return ground(example.texts, parse_quotes(quoted_answer(example, number))).places


Edited = tuple[Kind, str]
"""A kind of mistake and an answer that makes it."""


def point_mistakes(schema: Schema, example: WindowExample, draw: random.Random) -> list[Edited]:
    """Return mistakes made of a window's gold answer: one of each kind that it allows, and null for a clause."""
    answer = point_answer(schema, example)
    gold: dict[str, list[int]] = json.loads(answer)
    free = [
        n
        for i, n in enumerate(schema.names)
        if n not in gold and not any(i in row for row in (*example.positives, *example.ignored))
    ]
    out: list[Edited] = [("malformed", _cut(answer, draw))]
    if free:
        other, row = draw.choice(free), draw.randint(1, len(example.texts))
        out.append(("invented", _written(schema, gold | {other: [row]})))
        if gold:
            name = draw.choice(list(gold))
            kept = {n: rows for n, rows in gold.items() if n != name}
            out.append(("wrong_field", _written(schema, kept | {other: gold[name]})))
    if gold:
        name = draw.choice(list(gold))
        out.append(("missed", _written(schema, {n: rows for n, rows in gold.items() if n != name})))
        if len(gold) > 1:
            out.append(("missed", "{}"))
    else:
        words = ["None", "N/A", "null", "[]", "none"]
        name = json.dumps(draw.choice(schema.names), ensure_ascii=False)
        out.append(("null_form", draw.choice([*words, f"{{{name}:null}}", f"{{{name}:[]}}"])))
    long = [n for n, rows in gold.items() if len(rows) > 1]
    if long:
        name = draw.choice(long)
        out.append(("cut_quote", _written(schema, gold | {name: gold[name][:-1]})))
    return out


def _written(schema: Schema, found: dict[str, list[int]]) -> str:
    ordered = {name: found[name] for name in schema.names if name in found}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))


def _cut(answer: str, draw: random.Random) -> str:
    """Return a JSON answer that ends too early, or is closed twice."""
    if len(answer) < 3 or draw.random() < 0.25:
        return answer + "}"
    return answer[: draw.randint(1, len(answer) - 1)]


def text_mistakes(gold: str, others: Callable[[], str], draw: random.Random) -> list[Edited]:
    """Return mistakes made of a `text` answer, one of each kind that it allows.

    Args:
        gold: the answer.
        others: returns the answer of another row, drawn anew.
        draw: of what is edited.
    """
    if gold == NULL:
        made: list[Edited] = [("null_form", draw.choice(NULL_FORMS))]
        other = others()
        return [*made, ("invented", other)] if other != NULL else made
    made = [("missed", NULL)]
    found = _object(gold)
    if found is not None:
        made.append(("malformed", _cut(gold, draw)))
        full, empty = ([n for n, v in found.items() if is_null(v, quoted=True) == null] for null in (False, True))
        if full and empty:
            name, other = draw.choice(full), draw.choice(empty)
            moved = found | {name: found[other], other: found[name]}
            made.append(("wrong_field", json.dumps(moved, ensure_ascii=False)))
        return made
    words = gold.split(" ")
    if len(words) > 3:
        made.append(("cut_quote", " ".join(words[: draw.randint(2, len(words) - 1)])))
    return made


def quote_mistakes(schema: Schema, example: WindowExample, number: int, draw: random.Random) -> list[Edited]:
    """Return mistakes made of a `text` answer about a clause, one of each kind that it allows.

    Args:
        schema: its fields may be asked.
        example: the window with its labels.
        number: of the field that was asked.
        draw: of what is edited.
    """
    gold = quoted_answer(example, number)
    known = zip(example.texts, example.positives, example.ignored, strict=True)
    beside = [text for text, *fields in known if not any(number in each for each in fields)]
    made: list[Edited] = [("invented", draw.choice(beside))] if beside else []
    if gold == NULL:
        return [("null_form", draw.choice(NULL_FORMS)), *made]
    made.append(("missed", NULL))
    others = [quoted_answer(example, n) for n in range(len(schema.names)) if n != number]
    clauses = [other for other in others if other not in (NULL, gold)]
    if clauses:
        made.append(("wrong_field", draw.choice(clauses)))
    lines, words = gold.split("\n"), gold.split(" ")
    if len(lines) > 1:
        made.append(("cut_quote", "\n".join(lines[:-1])))
    elif len(words) > 3:
        made.append(("cut_quote", " ".join(words[: draw.randint(2, len(words) - 1)])))
    return made
