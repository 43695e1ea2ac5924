"""Mistral: our ids are mistral-common's, for every tokenizer it carries and whatever a contract says.

mistral-common is the oracle and nothing more: what is tested reads the tokenizer files by itself.
"""

from __future__ import annotations

import contextlib
import functools
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lextune.core.errors import ModelError
from lextune.core.records import Message
from lextune.expert.mistral_tokenizers import native_file, sentencepiece_json, write_tokenizer
from lextune.expert.templates import Codec, template_for

FILES = {
    "v1": "tokenizer.model.v1",
    "v2": "mistral_instruct_tokenizer_240216.model.v2",
    "v3": "mistral_instruct_tokenizer_240323.model.v3",
    "v7": "mistral_instruct_tokenizer_241114.model.v7",
    "tekken 240718": "tekken_240718.json",
    "tekken 240911": "tekken_240911.json",
}
TEMPLATE = {"v1": "mistral-v1", "v2": "mistral-v3", "v3": "mistral-v3", "v7": "mistral-v7"}
FRAGMENTS = [
    *("[INST]", "[/INST]", "</s>", "<s>", "<|im_end|>", "<unk>", "[SYSTEM_PROMPT]", "[TOOL_CALLS]", "<0x0A>", "▁"),
    *(" ", "  ", "    ", "\n", "\n\n", "\t", " \n ", "\u00a0", "......", "________", "-----", "aaa", "***"),
    "THIS AGREEMENT is made as of the 3rd day of May, 2019 by and between Acme Widgets, Inc. and Zürich Paper AG.",
    "1.2 Governing Law. This Agreement shall be governed by the laws of the State of Ohio, without regard to",
    "“Confidential Information” means any information — oral or written — disclosed under § 5(b)(ii);",
    "The fee is $1,250,000.00 (USD) per annum, payable net-30; late amounts bear interest at 1½% a month.",
    "(a) either party may terminate upon sixty (60) days' written notice;\n(b) in the event of breach...",
    *(
        "本協議受日本法律管轄。",
        "Настоящий договор",
        "تخضع هذه الاتفاقية",
        "🙂👍🏽",
        "e\u0301",
        "ﬁne",
        "\u200b",
        "x²≠y",
    ),
    *("Licensor", " shall not", "assign", " hereof", "A", "b", "7", "{", '{"Governing Law":[1]}', "N/A"),
]


def conversation(rng: random.Random) -> list[Message]:
    """Return turns as they come from the world: 0 to 2 system messages, repeated roles, odd white space."""

    def text(least: int) -> str:
        return "".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(least, 6)))

    turns = [Message(role="system", content=text(0)) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
    if rng.random() < 0.05:
        turns.append(Message(role="assistant", content=text(1)))
    for _ in range(rng.randint(0, 3)):
        turns.append(Message(role="user", content=text(0)))
        if rng.random() < 0.1:
            turns.append(Message(role="user", content=text(0)))
        if rng.random() < 0.1:
            turns.append(Message(role="system", content=text(0)))
            turns.append(Message(role="user", content=text(0)))
        turns.append(Message(role="assistant", content=text(1)))
        if rng.random() < 0.1:
            turns.append(Message(role="assistant", content=text(1)))
    return [*turns, Message(role="user", content=text(0))]


@functools.cache
def oracle(file: Path, mode: str) -> Callable[[list[Message]], list[int]]:
    """Return mistral-common's function from a conversation to ids: `test` for prompts, `finetuning` with answers."""
    pytest.importorskip("mistral_common", reason="mistral-common, the oracle, is not installed")
    from mistral_common.protocol.instruct import messages as theirs
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.protocol.instruct.validator import ValidationMode
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    kinds: dict[str, Any] = {
        "system": theirs.SystemMessage,
        "user": theirs.UserMessage,
        "assistant": theirs.FinetuningAssistantMessage if mode == "finetuning" else theirs.AssistantMessage,
    }
    tokenizer: Any = MistralTokenizer.from_file(str(file), mode=ValidationMode(mode))

    def encode(turns: list[Message]) -> list[int]:
        request: Any = ChatCompletionRequest(messages=[kinds[t.role](content=t.content) for t in turns])
        return list(tokenizer.encode_chat_completion(request).tokens)

    return encode


@pytest.fixture(scope="module")
def carried() -> Path:
    """The folder of tokenizers inside the mistral-common package."""
    package = pytest.importorskip("mistral_common", reason="mistral-common, the oracle, is not installed")
    return Path(package.__file__).parent / "data"


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, str], Path]:
    """A model folder that has nothing but Mistral's own tokenizer file, made readable."""

    def make(file: Path, name: str) -> Path:
        folder = tmp_path_factory.mktemp("mistral")
        shutil.copyfile(file, folder / name)
        (folder / "config.json").write_text(json.dumps({"model_type": "mistral"}), encoding="utf-8")
        write_tokenizer(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def cut_tekken(carried: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A Tekken file with the first 6,000 tokens, of any version: a full one takes seconds to read."""
    whole = json.loads((carried / FILES["tekken 240718"]).read_text(encoding="utf-8"))

    def make(version: str) -> Path:
        config = {**whole["config"], "version": version, "default_num_special_tokens": 100, "default_vocab_size": 6100}
        data: dict[str, Any] = {"config": config, "vocab": whole["vocab"][:6000]}
        if version == "v13":  # from v11 on a file lists its control tokens
            listed = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"]
            listed += ["[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[PREFIX]", "[SUFFIX]", "[ARGS]"]
            listed += ["[CALL_ID]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]", "<pad>"]
            entries = [{"rank": i, "token_str": t, "is_control": True} for i, t in enumerate(listed)]
            data["special_tokens"] = entries
        file = tmp_path_factory.mktemp("tekken") / "tekken.json"
        file.write_text(json.dumps(data), encoding="utf-8")
        return file

    return make


def compare(file: Path, codec: Codec, count: int) -> None:
    rng = random.Random(20191)
    prompts, answered = oracle(file, "test"), oracle(file, "finetuning")
    for _ in range(count):
        turns = conversation(rng)
        prompt = codec.prompt(turns)
        assert prompt == prompts(turns), turns
        answer = "".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 4)))
        whole = answered([*turns, Message(role="assistant", content=answer)])
        assert prompt + codec.answer(answer) == whole, (turns, answer)


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_200_conversations_by_sentencepiece(
    version: str, carried: Path, model_folder: Callable[[Path, str], Path]
) -> None:
    folder = model_folder(carried / FILES[version], f"tokenizer.model.{version}")
    assert template_for(folder).name == TEMPLATE[version]
    compare(carried / FILES[version], Codec(folder), 200)


@pytest.mark.parametrize("version", ["v3", "v7", "v13"])
def test_200_conversations_by_tekken(
    version: str, cut_tekken: Callable[[str], Path], model_folder: Callable[[Path, str], Path]
) -> None:
    file = cut_tekken(version)
    folder = model_folder(file, "tekken.json")
    assert template_for(folder).name == ("mistral-tekken" if version == "v3" else "mistral-v7")
    compare(file, Codec(folder), 200)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_1000_conversations_by_every_tokenizer(
    name: str, carried: Path, model_folder: Callable[[Path, str], Path]
) -> None:
    file = carried / FILES[name]
    folder = model_folder(file, "tekken.json" if file.suffix == ".json" else f"tokenizer.model.{name}")
    assert template_for(folder).name == TEMPLATE.get(name, "mistral-tekken")
    compare(file, Codec(folder), 1000)


@pytest.fixture(scope="module")
def third(carried: Path, model_folder: Callable[[Path, str], Path]) -> Path:
    """A model folder with Mistral's third tokenizer."""
    return model_folder(carried / FILES["v3"], "tokenizer.model.v3")


def test_a_tokenizer_that_skips_a_first_space_is_read_as_sentencepiece(
    third: Path, carried: Path, tmp_path: Path
) -> None:
    """The hub's `tokenizer.json` begins texts by `Metaspace`, which adds no space where there is one."""
    raw = json.loads((third / "tokenizer.json").read_text(encoding="utf-8"))
    raw["normalizer"] = None
    raw["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw), encoding="utf-8")
    shutil.copyfile(third / "config.json", tmp_path / "config.json")
    from tokenizers import Tokenizer

    raw["added_tokens"] = []
    naive = Tokenizer.from_str(json.dumps(raw)).encode("  Ohio", add_special_tokens=False).ids
    codec = Codec(tmp_path)
    assert codec.encode_plain("  Ohio") != naive
    compare(carried / FILES["v3"], codec, 50)


def test_text_comes_back(third: Path, cut_tekken: Callable[[str], Path], model_folder: Callable[..., Path]) -> None:
    for folder in (third, model_folder(cut_tekken("v7"), "tekken.json")):
        codec = Codec(folder)
        rng = random.Random(7)
        for _ in range(50):
            text = "".join(rng.choice(FRAGMENTS) for _ in range(8)).replace("▁", " ")
            assert codec.decode(codec.encode_plain(text)) == text
            assert not set(codec.encode_plain(text)) & set(codec.control.values())
        assert codec.pad_id != codec.stop_id


def test_other_programs_read_it_too(third: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(third)
    ids = tokenizer("Ohio law governs.").input_ids
    assert ids == [tokenizer.bos_token_id, *Codec(third).encode_plain("Ohio law governs.")]
    assert tokenizer.eos_token == "</s>"


def test_a_tekken_of_the_third_version_has_no_system_tokens(
    cut_tekken: Callable[[str], Path], model_folder: Callable[[Path, str], Path]
) -> None:
    """Its file lists none, and Mistral's library supplies names that those models never saw."""
    control = Codec(model_folder(cut_tekken("v3"), "tekken.json")).control
    assert "[SYSTEM_PROMPT]" not in control
    assert control["<SPECIAL_17>"] == 17
    assert Codec(model_folder(cut_tekken("v7"), "tekken.json")).control["[SYSTEM_PROMPT]"] == 17


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["tokenizer.model", "tokenizer.model.v3", "tokenizer.model.v2"], "tokenizer.model.v3"),
        (["tokenizer.model.v7", "tokenizer.model.v7m1"], "tokenizer.model.v7m1"),
        (["tokenizer.model.v11", "tokenizer.model.v7"], "tokenizer.model.v11"),
        (["tokenizer.model", "tekken.json"], "tekken.json"),
        (["tokenizer.model"], "tokenizer.model"),
        (["tokenizer.model.bak", "tokenizer_config.json"], None),
    ],
)
def test_which_file_is_read(names: list[str], chosen: str | None, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    found = native_file(tmp_path)
    assert (found and found.name) == chosen


def test_settings_that_are_there_stay(carried: Path, tmp_path: Path) -> None:
    shutil.copyfile(carried / FILES["v1"], tmp_path / "tokenizer.model")
    (tmp_path / "tokenizer_config.json").write_text('{"mine": 1}', encoding="utf-8")
    assert write_tokenizer(tmp_path) == tmp_path / "tokenizer.json"
    assert (tmp_path / "tokenizer_config.json").read_text(encoding="utf-8") == '{"mine": 1}'


def test_no_tokenizer_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a model folder without a tokenizer\n.*tokenizer.json, tekken.json or"):
        write_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "ValueError: not a byte-fallback BPE model"),
        (b"\x0a\x7f", "ValueError: cut off"),
        (b"\x0b", "ValueError: not a protocol buffer"),
        (b"\x80", "IndexError: "),
        (b"\x15\x00", "error: "),
        (b"\x0a\x02\x10\x01", "KeyError: 1"),
        (b"\x08\x01", "TypeError: "),
        (b"\x0a\x02\x08\x01", "AttributeError: "),
        (b"\xff" * 64, "ValueError: not a protocol buffer"),
    ],
)
def test_a_damaged_sentencepiece_file(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(ModelError, match=f"not a tokenizer of Mistral's .{why}") as caught:
        write_tokenizer(tmp_path)
    assert caught.value.where == str(tmp_path / "tokenizer.model")
    assert not (tmp_path / "tokenizer.json").exists()


@given(cut=st.floats(0, 1), flip=st.integers(0, 400), value=st.integers(0, 255))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_was_cut_or_changed_is_refused_or_read(
    carried: Path, tmp_path: Path, cut: float, flip: int, value: int
) -> None:
    whole = bytearray((carried / FILES["v3"]).read_bytes())
    whole[flip] = value
    file = tmp_path / "tokenizer.model"
    file.write_bytes(whole[: round(cut * 2000)] if cut < 1 else whole)
    with contextlib.suppress(ModelError):
        assert sentencepiece_json(file)["model"]["vocab"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a tokenizer of Mistral's .JSONDecodeError"),
        ("[]", "not a tokenizer of Mistral's .TypeError"),
        ('{"config": {}}', "not a tokenizer of Mistral's .KeyError: 'version'"),
        ('{"config": {"version": "v15"}}', "a Tekken tokenizer of version 'v15'\n.*v3, v7, v11, v13"),
        ('{"config": {"version": "v3"}}', "not a tokenizer of Mistral's .KeyError"),
        (
            '{"config": {"version": "v3", "pattern": ".", "default_num_special_tokens": 20, "default_vocab_size": 22},'
            ' "vocab": [{"token_bytes": "QQ=="}, {"token_bytes": "QQ=="}]}',
            "not a tokenizer of Mistral's .ValueError: tokens that occur twice",
        ),
        (
            '{"config": {"version": "v13", "pattern": ".", "default_num_special_tokens": 1, "default_vocab_size": 2},'
            ' "special_tokens": [{"token_str": "<s>"}], "vocab": [{"token_bytes": "QQ=="}]}',
            "not a tokenizer of Mistral's .ValueError: no </s>",
        ),
    ],
)
def test_a_damaged_tekken_file(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "tekken.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        write_tokenizer(tmp_path)
