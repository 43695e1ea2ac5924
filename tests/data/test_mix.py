"""General instructions mixed into training."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DataError, LextuneError, MachineError, NetworkError, RecipeError
from lextune.core.records import Drop
from lextune.data import mix
from lextune.data.mix import MixConfig, check_mix, general_rows, mixed
from lextune.expert.point import ChatExample


def file_of(tmp_path: Path, *rows: Any) -> str:
    path = tmp_path / "general.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def some(tmp_path: Path, count: int) -> str:
    return file_of(tmp_path, *({"instruction": f"Say {i}.", "output": str(i)} for i in range(count)))


@given(st.integers(0, 400), st.sampled_from([0.05, 0.1, 0.25, 0.4]), st.integers(0, 3))
@settings(max_examples=25)
def test_the_share_is_right_at_every_length(count: int, share: float, seed: int) -> None:
    out = list(mixed(range(count), MixConfig(share=share), seed))
    own = [row for row in out if not isinstance(row, ChatExample)]
    assert own == list(range(count))
    assert len(out) - count == round(count * share / (1 - share))
    assert abs((len(out) - count) - share * len(out)) <= 1
    halfway = out[: len(out) // 2]
    assert abs(sum(isinstance(row, ChatExample) for row in halfway) - share * len(halfway)) <= 1 + share


def test_without_a_share_nothing_is_read_or_added() -> None:
    assert list(mixed("abc", MixConfig(source="no-such-file.jsonl"), 0)) == ["a", "b", "c"]


def test_the_mix_is_seeded() -> None:
    config = MixConfig(share=0.5)
    one, two, other = (list(mixed(range(50), config, seed)) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_a_row_is_used_so_often_at_most(tmp_path: Path) -> None:
    config = MixConfig(share=0.5, source=some(tmp_path, 3), repeats=2)
    out = [row.document_id for row in mixed(range(50), config, 0) if isinstance(row, ChatExample)]
    assert Counter(out) == {"general-1": 2, "general-2": 2, "general-3": 2}


def test_of_many_rows_some_are_drawn(tmp_path: Path) -> None:
    config = MixConfig(share=0.5, source=some(tmp_path, 40), rows=5, repeats=1)
    seen: Counter[str] = Counter()
    for seed in range(30):
        out = [row.document_id for row in mixed(range(50), config, seed) if isinstance(row, ChatExample)]
        assert len(set(out)) == len(out) == 5
        seen.update(out)
    assert len(seen) > 30  # each row is as likely as another


def test_the_packages_instructions_are_varied_and_whole() -> None:
    rows = list(general_rows("general"))
    assert len(rows) >= 120
    assert len({row.messages for row in rows}) == len(rows)
    assert all(row.completion.strip() == row.completion for row in rows)
    assert len({row.messages[0].content.split()[0] for row in rows}) > 25
    assert sum(len(row.completion) for row in rows) / len(rows) < 120


@pytest.mark.parametrize(
    ("row", "asked", "answer"),
    [
        ({"instruction": "Shorten", "input": "a b", "output": "a"}, ["Shorten\n\na b"], "a"),
        ({"prompt": "Hello", "completion": "Hi"}, ["Hello"], "Hi"),
        (
            {
                "messages": [
                    {"role": "system", "content": "Be brief"},
                    {"role": "user", "content": "Hello"},
                    {"role": "assistant", "content": "Hi"},
                ]
            },
            ["Be brief", "Hello"],
            "Hi",
        ),
    ],
)
def test_rows_of_every_shape_can_be_named(tmp_path: Path, row: Any, asked: list[str], answer: str) -> None:
    (found,) = general_rows(file_of(tmp_path, row))
    assert ([message.content for message in found.messages], found.completion) == (asked, answer)


@pytest.mark.parametrize("answer", ["none", "N/A", "not specified"])
def test_an_answer_that_means_null_is_taught_as_null(tmp_path: Path, answer: str) -> None:
    (found,) = general_rows(file_of(tmp_path, {"instruction": "x", "output": answer}))
    assert found.completion == "null"


def test_what_an_import_refuses_is_refused(tmp_path: Path) -> None:
    said = [{"role": role, "content": "Hello"} for role in ("user", "user", "assistant")]
    source = file_of(tmp_path, {"messages": said}, {"instruction": "\ud800", "output": "a"})
    with pytest.raises(DataError) as caught:
        list(general_rows(source))
    lines = str(caught.value).splitlines()
    assert lines[1] == "  general.jsonl:1: message 2 is of the user, the assistant's turn it is"
    assert lines[2] == "  general.jsonl:2: half a character: the lone surrogate U+D800"


def test_rows_of_no_use_are_told_and_other_keys_do_not_count(tmp_path: Path) -> None:
    rows = [{"instruction": "Q", "output": answer, "source": 3, "id": 1.5} for answer in (" ", "A")]
    drops: list[Drop] = []
    (found,) = general_rows(file_of(tmp_path, *rows), drops.append)
    assert (found.document_id, found.completion) == ("general-2", "A")
    assert drops == [Drop(what="row", where="general.jsonl:1", reason="the output is empty")]


def test_wrong_rows_are_counted_and_the_first_five_shown(tmp_path: Path) -> None:
    source = file_of(tmp_path, *({"question": i} for i in range(7)), {"instruction": 1, "output": "a"})
    with pytest.raises(DataError) as caught:
        list(general_rows(source))
    text = str(caught.value)
    assert text.startswith(f"mix.source: {source}: 8 mistakes\n  general.jsonl:1: no shape that is known; its keys: ")
    assert text.endswith(
        "and 3 more\n  -> write instruction and output, prompt and completion, or messages; or use general"
    )


def test_a_file_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row can be used"):
        list(general_rows(file_of(tmp_path, {"instruction": " ", "output": "a"}, {"prompt": "a", "completion": " "})))


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the file"):
        list(general_rows(str(tmp_path / "none.jsonl")))


def test_the_tag_strategy_has_nothing_to_learn_from_text() -> None:
    with pytest.raises(RecipeError) as caught:
        check_mix(MixConfig(share=0.1), "tag")
    assert str(caught.value) == (
        "mix.share: the strategy tag writes no text, so it cannot learn general instructions\n"
        "  -> set it to 0, or train.strategy to point or text"
    )
    check_mix(MixConfig(), "tag")
    check_mix(MixConfig(share=0.1), "point")
    check_mix(MixConfig(share=0.1), "text")


def hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """Stand in for `datasets`: load_dataset gives rows, or raises."""

    def load_dataset(name: str, *, split: str, streaming: bool) -> Any:
        assert (name, split, streaming) == ("owner/set", "train", True)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setattr(mix, "failure_to_reach", lambda url: None)


def test_a_hub_set_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(
        monkeypatch,
        [{"instruction": "a", "input": None, "output": "b", "text": "more"}, {"instruction": "", "output": ""}],
    )
    assert [(row.document_id, row.completion) for row in general_rows("owner/set")] == [("general-1", "b")]


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (
            ConnectionError("no"),
            NetworkError,
            "mix.source: owner/set: the hub does not answer (ConnectionError)\n"
            "  -> check the name and the network, name a .jsonl file, or use general, which works offline",
        ),
        (
            FileNotFoundError("no"),
            DataError,
            "mix.source: owner/set: the hub has no such set, or it cannot be read (FileNotFoundError)\n"
            "  -> name a hub set (owner/name) with a split train, a .jsonl file, or general",
        ),
    ],
)
def test_a_hub_that_fails_is_explained(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[LextuneError], message: str
) -> None:
    hub(monkeypatch, raised)
    with pytest.raises(kind) as caught:
        list(general_rows("owner/set"))
    assert str(caught.value) == message


def test_a_hub_without_a_connection_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(NetworkError) as caught:
        list(general_rows("owner/set"))
    assert str(caught.value) == (
        "mix.source: owner/set: the hub does not answer ([Errno 111] Connection refused)\n"
        "  -> check the name and the network, name a .jsonl file, or use general, which works offline"
    )


def test_without_the_package_a_hub_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MachineError, match=r"the package datasets is missing\n  -> pip install datasets"):
        list(general_rows("owner/set"))
