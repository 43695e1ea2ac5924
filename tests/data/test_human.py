"""People's preferences: what a line may be, and that nothing of the test is learnt by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, read_jsonl, write_jsonl
from lextune.core.errors import DataError
from lextune.core.learnt import LOCK_FILE
from lextune.core.records import Document, Drop, FieldLabel, Message, Preference
from lextune.core.stage import Context
from lextune.data.human import IN_TEST, RUN, HumanPairsConfig, of_test, read_preferences, run_human_pairs
from lextune.data.lock import make_lock, text_hash


def _words(word: str, count: int) -> str:
    return " ".join(f"{word}{n}" for n in range(count))


def _document(name: str, text: str, **values: Any) -> Document:
    return Document(id=name, name=name, sha256="0" * 64, text=text, **values)


def _preference(prompt: str, chosen: str = "yes", rejected: str = "no", line: int = 1) -> Preference:
    said = (Message(role="system", content=SYSTEM), Message(role="user", content=prompt))
    return Preference(line=line, messages=said, chosen=chosen, rejected=rejected)


SYSTEM = _words("system", 40)
CLAUSE = _words("standard", 40)  # in contracts of both parts
TEST = _document("secret", f"{_words('before', 50)}. {CLAUSE}. {_words('after', 50)}. {SYSTEM}")
TRAIN = _document("known", f"{_words('other', 50)}. {CLAUSE}.")


@pytest.mark.parametrize(
    ("one", "found", "why"),
    [
        (_preference(f"Which law? {_words('BEFORE', RUN)}!"), True, "a run, in other letters"),
        (_preference(f"Which law? {_words('before', RUN - 1)}"), False, "a word too few"),
        (_preference("Which law?", chosen=_words("after", 40)), True, "in the chosen answer"),
        (_preference("Which law?", rejected=_words("after", 40)), True, "in the rejected answer"),
        (_preference(f"Which law? {CLAUSE}"), False, "what training has as well"),
        (_preference(f"{CLAUSE} {_words('after', RUN)}"), True, "and more than that"),
        (_preference("Which law?"), False, "but for the system's message"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_of_words_of_a_test_document_is_found(one: Preference, found: bool, why: str) -> None:
    assert of_test([_preference("Why?"), one], [TEST], [TRAIN]) == ({1: "secret"} if found else {})


@pytest.mark.parametrize(
    ("row", "prompt", "found"),
    [
        ("What does the term of the lease say?", "Tell me: what does the term of the lease say", True),
        ("What does the term of the lease say?", "What does the lease say?", False),
        ("Which law?", "Which law", True),
        ("Which law?", "Which law governs the contract?", False),
        ("", "Which law?", False),
    ],
)
def test_a_short_text_is_found_whole(row: str, prompt: str, found: bool) -> None:
    assert bool(of_test([_preference(prompt)], [_document("row", row)], [])) == found


def test_a_conversation_is_compared_with_what_was_said_before() -> None:
    said = (Message(role="user", content="Is this clause usual?"), Message(role="assistant", content="It is."))
    row = _document("row", "And in Ohio, is it valid?", turns=said)
    given = Preference(line=1, messages=(*said, Message(role="user", content=row.text)), chosen="Yes.", rejected="No.")
    assert of_test([given], [row], []) == {0: "row"}


PROMPT = [{"role": "user", "content": "Which law?"}]


def _file(folder: Path, *rows: object) -> Path:
    path = folder / "human.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"human.jsonl:1: no preference: Invalid JSON"),
        ({"prompt": PROMPT, "chosen": "a"}, r"human.jsonl:1: no preference: rejected: Field required\n  -> write"),
        ({"prompt": PROMPT, "chosen": PROMPT, "rejected": "b"}, "an answer is one message of the assistant"),
        ({"prompt": [], "chosen": "a", "rejected": "b"}, "an answer is one message of the assistant"),
        ({"prompt": PROMPT, "chosen": "a", "rejected": "a"}, "the chosen answer and the rejected one are the same"),
    ],
)
def test_what_is_no_preference_is_refused(row: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        list(read_preferences(_file(tmp_path, row)))


def test_all_lines_that_are_no_preferences_make_one_report(tmp_path: Path) -> None:
    good = {"prompt": PROMPT, "chosen": "a", "rejected": "b"}
    with pytest.raises(DataError) as caught:
        list(read_preferences(_file(tmp_path, "{", good, {**good, "rejected": "a"})))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"dpo.pairs.human: {tmp_path}/human.jsonl: 2 mistakes"
    assert lines[2].endswith("human.jsonl:3: no preference: the chosen answer and the rejected one are the same")


def test_a_byte_order_mark_and_empty_lines_are_no_mistakes(tmp_path: Path) -> None:
    line = json.dumps({"prompt": PROMPT, "chosen": "a", "rejected": "b"})
    path = tmp_path / "human.jsonl"
    path.write_text(f"{line}\n\n{line}\r\n  \n", encoding="utf-8-sig")
    assert [one.line for one in read_preferences(path)] == [1, 3]


def test_preferences_in_another_encoding_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "human.jsonl").write_bytes(b'\n{"prompt": "caf\xe9"}\n')
    with pytest.raises(DataError, match=r"human.jsonl:2: not UTF-8: byte 0xe9\n  -> save the file as UTF-8"):
        list(read_preferences(tmp_path / "human.jsonl"))


def test_a_file_of_preferences_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"dpo.pairs.human: .*none.jsonl: no such file of preferences\n  -> give a JSON"
    ):
        list(read_preferences(tmp_path / "none.jsonl"))


def test_what_is_exported_as_preferences_is_read_back(tmp_path: Path) -> None:
    from lextune.data.export import export

    labels = {"output": FieldLabel(parts=("Ohio.",), answer="Ohio.")}
    export([_document("h", "Which law?", rejected="Texas.", labels=labels)], "preference", tmp_path / "human.jsonl")
    asked = (Message(role="user", content="Which law?"),)
    assert list(read_preferences(tmp_path / "human.jsonl")) == [
        Preference(line=1, messages=asked, chosen="Ohio.", rejected="Texas.")
    ]


@pytest.fixture
def split(seal: Callable[..., Artifact]) -> Callable[..., Artifact]:
    """A split whose lock has more in it than its test part, as that of an earlier split has."""

    def make(*locked: Document) -> Artifact:
        def fill(folder: Path) -> None:
            for part, documents in (("train", [TRAIN]), ("validation", []), ("test", [TEST])):
                write_jsonl(folder / f"{part}.jsonl", documents)
            lock = make_lock({document.id: text_hash(document) for document in locked})
            (folder / LOCK_FILE).write_text(lock.model_dump_json())

        return seal("split", fill)

    return make


def test_the_stage_leaves_out_what_is_of_the_test_and_says_so(
    split: Callable[..., Artifact], seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    rows = [{"prompt": f"{_words('after', 40)} {n}?", "chosen": "a", "rejected": "b"} for n in range(2)]
    path = _file(tmp_path, rows[0], {"prompt": PROMPT, "chosen": "a", "rejected": "b"}, rows[1])
    said: list[str] = []
    inputs, config = {"split": split(TEST)}, HumanPairsConfig(human=str(path))
    made = seal("human_pairs", lambda f: run_human_pairs(config, inputs, f, Context(warn=said.append)))
    assert [one.line for one in read_jsonl(made.file("preferences.jsonl"), Preference)] == [2]
    drops = list(read_jsonl(made.file("drops.jsonl"), Drop))
    assert drops == [Drop(what="preference", where=f"line {n}, as in secret", reason=IN_TEST) for n in (1, 3)]
    assert said == ["2 of 3 preferences have text of the test and are left out"]
    summary = made.manifest.summary
    assert (summary["n_in"], summary["n_out"], summary["n_dropped"]) == (3, 1, 2)


def test_a_prompt_that_an_earlier_split_locked_is_refused(split: Callable[..., Artifact], tmp_path: Path) -> None:
    path = _file(tmp_path, {"prompt": PROMPT, "chosen": "a", "rejected": "b"})
    inputs = {"split": split(_document("old", "WHICH law"))}
    with pytest.raises(DataError, match=r"dpo.pairs.human: .*human.jsonl: 1 document is in the locked test"):
        run_human_pairs(HumanPairsConfig(human=str(path)), inputs, tmp_path, Context())
