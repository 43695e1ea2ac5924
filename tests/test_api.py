"""The Python calls on good and bad input; a scripted expert answers instead of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lextune
from lextune import api, pipeline
from lextune.api import Release, load
from lextune.core.artifacts import Artifact, ArtifactStore
from lextune.core.errors import ArtifactError, DataError, DocumentError, RecipeError, RequestError
from lextune.core.learnt import learnt_json, read_learnt
from lextune.core.records import Document
from lextune.data.clean import CleanConfig, clean_document
from lextune.data.lock import text_hash
from lextune.expert.compact import bundled
from lextune.expert.released import find_adapter, find_release, learnt_file
from lextune.expert.schema import load_schema
from lextune.expert.scoring import trivial
from lextune.expert.weights import read_binding

SCHEMA = load_schema("clauses-47")
SAMPLES = Path(api.__file__).parent / "resources" / "sample_contracts"


class Echo:
    """Answers every field with the whole document."""

    schema = SCHEMA
    name, release_hash, strategy = "echo", "0", "tag"

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Any:
        return trivial.ARMS["echo"](document, SCHEMA)


@pytest.fixture
def echo(tmp_path: Path) -> Release:
    return Release(tmp_path, Echo(), {"window": {}, "task": "clause-extraction"})  # type: ignore[arg-type]


def sealed(root: Path, kind: str, **files: Any) -> Artifact:
    header = {"kind": kind, "stage": kind, "stage_version": 1, "config": {}, "seed": 0, "inputs": {}, "parents": {}}

    def make(out: Path) -> dict[str, Any]:
        for name, value in files.items():
            (out / f"{name}.json").write_text(json.dumps(value))
        return {}

    return ArtifactStore(root).build(header, "0" * 12, make)


# which release


def test_a_release_is_itself(tmp_path: Path) -> None:
    made = sealed(tmp_path, "release", release={})
    assert find_release(made.path) == made.path


def test_a_run_names_its_release(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"sft": "sft-1", "bundle": "bundle-2"}')
    assert find_release(tmp_path) == tmp_path / "bundle-2"


def test_a_release_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        load(tmp_path / "none")
    assert str(caught.value) == (
        f"{tmp_path / 'none'}: no such release\n  -> give --release a release's folder; `lextune demo` makes runs/demo"
    )


@pytest.mark.parametrize("finished", ['{"sft": "sft-1"}', None])
def test_a_run_without_a_release_is_refused(tmp_path: Path, finished: str | None) -> None:
    (tmp_path / ".lock").write_text("")
    if finished is not None:
        (tmp_path / "run.json").write_text(finished)
    with pytest.raises(ArtifactError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path}: this run has no release yet\n  -> run its recipe to the end"


# which adapter


@pytest.mark.parametrize(
    ("note", "found"), [('{"sft": "sft-1"}', "sft-1"), ('{"sft": "sft-1", "dpo": "dpo-2"}', "dpo-2"), (None, "")]
)
def test_a_run_names_the_adapter_of_its_last_training(tmp_path: Path, note: str | None, found: str) -> None:
    if note is not None:
        (tmp_path / "run.json").write_text(note)
    assert find_adapter(str(tmp_path)) == tmp_path / found


def test_the_bundled_adapter_has_a_name_and_says_what_it_learnt_from() -> None:
    packed = bundled()
    assert packed is not None
    for name in ("bundled", str(packed)):
        adapter = find_adapter(name)
        assert adapter == packed / "adapter"
        assert len(read_learnt(learnt_file(adapter))) > 300
    assert read_binding(adapter).head_fields == load_schema("clauses-47").names


def test_an_adapter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        find_adapter(str(tmp_path / "none"))
    assert str(caught.value) == (
        f"{tmp_path / 'none'}: no such adapter\n  -> train it first, or leave train.init_adapter out"
    )


def test_a_run_that_has_trained_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"split": "split-1"}')
    with pytest.raises(ArtifactError) as caught:
        find_adapter(str(tmp_path))
    assert str(caught.value) == f"{tmp_path}: this run has trained nothing yet\n  -> run its recipe with --until sft"


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_a_run_with_an_unreadable_note_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ArtifactError) as caught:
        load(tmp_path)
    assert caught.value.what == "unreadable run.json"
    assert caught.value.do == "run the recipe again: it is written anew"


def test_a_run_whose_release_was_deleted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"bundle": "bundle-2"}')
    with pytest.raises(ArtifactError, match=r"bundle-2: not an artifact: no manifest\.json"):
        load(tmp_path)


def test_another_kind_of_artifact_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="this is a documents, a release is needed"):
        load(sealed(tmp_path, "documents").path)


def test_a_folder_and_a_file_are_no_release(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    for path in (tmp_path, tmp_path / "x.txt"):
        with pytest.raises(ArtifactError, match=r"not an artifact: no manifest\.json"):
            load(path)


def test_an_engine_that_is_not_known_is_refused(tmp_path: Path) -> None:
    made = sealed(tmp_path, "release", release={"engine": "openvino"})
    with pytest.raises(RequestError) as caught:
        load(made.path, engine="vulkan")
    assert str(caught.value) == "--engine: no engine 'vulkan'\n  -> use one of openvino, openvino-f32, transformers"


def test_a_batch_with_an_engine_that_is_not_known_makes_nothing(tmp_path: Path) -> None:
    made = sealed(tmp_path, "release", release={"name": "r", "engine": "openvino"})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.txt").write_text("")
    with pytest.raises(RequestError, match="no engine 'opnvino'"):
        lextune.batch(made.path, tmp_path / "in", tmp_path / "out", engine="opnvino")
    assert not (tmp_path / "out").exists()


def test_the_same_weights_answer_otherwise_with_other_thresholds_or_another_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = {"engine": "openvino", "task": "clause-extraction"}
    monkeypatch.setattr(api, "release_expert", lambda artifact, engine: (Echo(), info))
    first, second = (sealed(tmp_path / name, "release", thresholds=cut).path for name, cut in (("a", 0.5), ("b", 0.6)))
    assert load(first).key == load(first, engine="openvino").key
    assert len({load(first).key, load(second).key, load(first, engine="transformers").key}) == 3


# which document


def test_a_path_and_its_name_are_the_file(tmp_path: Path, echo: Release) -> None:
    file = tmp_path / "contract.txt"
    file.write_text("This is the contract.")
    for source in (file, str(file)):
        document = Release.read(source)
        assert (document.name, document.text) == ("contract.txt", "This is the contract.")
    record = echo.extract(file)
    assert list(record.fields) == list(SCHEMA.names)
    assert record.document.characters == 21


@pytest.mark.parametrize(
    "text",
    [
        "This Agreement is made in Bonn.",
        "two\nlines",
        "x" * 999,  # longer than any file's name may be
        "word " * 199,
        "x" * 5000,
        "a\x00b",
        "a/" * 400,
        "<html> The laws of Utopia govern.",
        "%PDF-1.7 The laws of Utopia govern.",
        "\ufeffThe laws of Utopia govern.",
    ],
)
def test_any_other_string_is_the_text(text: str) -> None:
    document = Release.read(text)
    assert (document.name, document.text) == ("text.txt", text)


@pytest.mark.parametrize("name", ["contract.pdf", "contract.docm", "contract.xhtml"])
def test_a_mistyped_file_name_is_not_taken_for_a_text(name: str) -> None:
    with pytest.raises(DocumentError, match=f"{name}: no such file"):
        Release.read(name)


@pytest.mark.parametrize("text", ["", " \n "])
def test_no_text_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        Release.read(text)


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"text\.txt: character 13 is half of a surrogate pair"):
        Release.read("half a pair: \ud800")


def test_a_folder_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="this is a folder"):
        Release.read(str(tmp_path))


# evaluate and run


def test_an_evaluation_stands_beside_the_baselines(echo: Release, own_cache: Path) -> None:
    heard: list[tuple[int, int, str]] = []
    result = lextune.evaluate(echo, SAMPLES, limit=3, progress=lambda *said: heard.append(said))
    assert result["n_documents"] == 3
    assert [(done, total) for done, total, _ in heard] == [(done, 12) for done in range(1, 13)]
    assert [test["b"] for test in result["paired"]] == ["always-null", "always-present", "echo"]
    assert list(result["baselines"]) == ["always_null", "always_present", "echo", "linear"]
    assert result["baselines"]["linear"] is None
    assert result["learnt_from"] == 0
    assert result["baselines"]["echo"]["contracteval"] == result["contracteval"]
    assert result["baselines"]["always_null"]["contracteval"] != result["contracteval"]


@pytest.mark.parametrize("cleans", [False, True])
def test_a_release_knows_what_it_learnt_from(echo: Release, tmp_path: Path, cleans: bool) -> None:
    """By the words of its source, whatever stands between them; a part of a document is another one."""
    text = "This agree-\nment is between Birch and Ash."
    learnt = echo.read(text)
    if cleans:
        (learnt,) = (each for each in clean_document(learnt, CleanConfig()) if isinstance(each, Document))
        assert learnt.text == "This agreement is between Birch and Ash."
    (tmp_path / "learnt_from.json").write_text(learnt_json([text_hash(learnt)]))
    texts = [text, text.replace(" ", " \n ").replace("Birch", "BIRCH"), text.removesuffix(" and Ash.")]
    documents = [echo.read(each).model_copy(update={"id": f"d{n}"}) for n, each in enumerate(texts)]
    assert echo.learnt_from(documents) == ["d0", "d1"]


def test_a_killed_evaluation_goes_on(echo: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = Echo.answer

    def counted(self: Echo, document: Document, *, min_confidence: float | None = None) -> Any:
        if len(asked) == 2:
            asked.append("killed")
            raise KeyboardInterrupt
        asked.append(document.id)
        return answer(self, document)

    monkeypatch.setattr(Echo, "answer", counted)
    with pytest.raises(KeyboardInterrupt):
        lextune.evaluate(echo, SAMPLES, limit=3, out=tmp_path / "kept")
    lextune.evaluate(echo, SAMPLES, limit=3, out=tmp_path / "kept")
    assert len(set(asked) - {"killed"}) == len(asked) - 1 == 3
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        *("always-null.jsonl", "always-present.jsonl", "asked", "echo.jsonl", "tuned.jsonl"),
    ]


def test_an_evaluation_without_data_is_refused(echo: Release, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        lextune.evaluate(echo, tmp_path / "none")
    with pytest.raises(DataError, match="no annotated document"):
        lextune.evaluate(echo, SAMPLES, limit=0)


def test_run_runs_a_recipe_and_loads_its_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: mine\n")
    asked: dict[str, Any] = {}

    def run_recipe(values: Any, *, out: Path, data: str | None) -> list[pipeline.Done]:
        asked.update(name=values.name, lr=values.train.lr, out=out, data=data)
        return [pipeline.Done("bundle", sealed(tmp_path, "release"), False)]

    monkeypatch.setattr(pipeline, "run", run_recipe)
    monkeypatch.setattr(api, "load", lambda path: path)
    found = lextune.run(recipe, out=tmp_path / "runs", overrides=["train.lr=0.5"], data="d")
    assert found == tmp_path / "release-000000000000"
    assert asked == {"name": "mine", "lr": 0.5, "out": tmp_path / "runs" / "mine", "data": "d"}


def test_run_refuses_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        lextune.run(tmp_path / "none.yaml")


def test_evaluate_is_the_call_whatever_has_been_imported() -> None:
    """A subpackage has the same name, and the import system binds it to the package."""
    import lextune.evaluate.stages
    from lextune import evaluate

    assert lextune.evaluate is api.evaluate is evaluate


def test_the_package_offers_five_names() -> None:
    assert lextune.__all__ == ["Release", "batch", "evaluate", "load", "run"]
    assert lextune.load is api.load
    with pytest.raises(AttributeError, match="module 'lextune' has no attribute 'fit'"):
        lextune.fit  # noqa: B018
