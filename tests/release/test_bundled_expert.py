"""The expert that this package carries: small, whole, credited, and used where no release is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lextune
from lextune.core.artifacts import Artifact
from lextune.expert.compact import KIND, bundled
from lextune.pipeline import read_recipe

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = Path(lextune.__file__).parent / "resources" / "sample_contracts" / "full_contract_txt"
MOST_BYTES = 20_000_000


@pytest.fixture(scope="module")
def packed() -> Artifact:
    folder = bundled()
    assert folder is not None, "this package has no expert"
    return Artifact.open(folder, kind=KIND)  # which checks every hash


def test_it_is_small(packed: Artifact) -> None:
    assert sum(file.stat().st_size for file in packed.path.rglob("*") if file.is_file()) <= MOST_BYTES


def test_it_is_what_its_recipe_makes(packed: Artifact) -> None:
    recipe, info = read_recipe(ROOT / "recipes" / "bundled-expert.yaml"), packed.json("release.json")
    assert [info[key] for key in ("name", "task", "schema", "base", "strategy", "quantize")] == [
        recipe.name,
        recipe.task,
        recipe.schema_name,
        recipe.base,
        recipe.train.strategy,
        recipe.release.quantize,
    ]


def test_its_card_says_who_made_the_data_and_how_good_it_is(packed: Artifact) -> None:
    card = (packed.path / "README.md").read_text(encoding="utf-8")
    for wanted in ("CUAD", "The Atticus Project", "CC BY 4.0", "ContractEval F1", "Jaccard"):
        assert wanted in card


def test_no_path_of_the_machine_that_made_it_is_in_it(packed: Artifact) -> None:
    for file in packed.path.rglob("*"):
        if file.suffix in {".json", ".md", ".yaml"}:
            assert not re.search(r"\"/(?:home|root|work|tmp|Users)/", file.read_text(encoding="utf-8")), file.name


def test_a_contract_is_read_without_naming_a_release() -> None:
    expert = lextune.load()
    source = sorted(SAMPLES.glob("*.txt"))[0]
    record = expert.extract(source)
    law = record.fields["Governing Law"]
    assert law is not None
    assert "Texas law" in law.quotes[0].text
    assert law.answer == "Texas"
    text = expert.read(source).text
    for answer in record.fields.values():
        for quote in answer.quotes if answer else ():
            assert text[quote.start : quote.end] == quote.text
