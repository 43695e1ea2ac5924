"""The bundled expert on contracts it has never seen: `python -m benchmarks.held_out [--quick] [--train] [--out RUNS]`.

The test contracts of `recipes/bundled-expert.yaml`, none of which was trained or thresholded on, are read once by the
model, and answered by

- expert: the release of the package;
- whole_sentences: the same, which quotes whole sentences of names, dates and parties too;
- edges_by_rules: the same, with rules for the edges inside sentences in place of the learnt ones;
- no_lexical, with `--train`: the model alone, no screen and no `linear`, with thresholds of its own for the same aim;
- linear, echo, always-present, always-null.

Each has ContractEval F1, Jaccard, false-null, field F1, AUPR, precision at 80 % recall, valid and grounded answers, and
the invented rate, with 95 % intervals over contracts; `f1_over_X` is the paired test of ContractEval F1 against X. The
rate is that of `lextune batch` over the contracts' PDF files, where there are any, or texts, end to end.

`--train` takes four hours: both halves of the recipe are run, the release is then the expert, and as far as its
thresholds without lexical evidence; what is there already is reused. `--quick` reads the eight shortest.
Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._command import command, say, stages
from lextune.api import Release, batch, load, load_linear
from lextune.core.artifacts import read_jsonl
from lextune.core.records import Document, Prediction
from lextune.evaluate.marking import marking_of
from lextune.evaluate.predict import with_schema
from lextune.expert.answering import Expert, Identity
from lextune.expert.beside import Beside
from lextune.expert.build import expert_over, load_model
from lextune.expert.engines.base import Tagger, TagInput
from lextune.expert.scoring import contracteval, trivial
from lextune.expert.scoring.intervals import paired_test
from lextune.expert.scoring.pairs import scored
from lextune.expert.tasks import TaskOptions
from lextune.expert.thresholds import THRESHOLDS_FILE, Thresholds
from lextune.expert.windowing import WindowConfig
from lextune.pipeline import read_recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
RECIPE, FIRST = RECIPES / "bundled-expert.yaml", RECIPES / "bundled-expert-first.yaml"
QUICK_CONTRACTS = 8
EXPERT, LINEAR = "expert", "linear"
WITHOUT_LINEAR = ("release.fuse_linear=false", "release.screen=null")
RATES = ("contracts_per_hour", "million_characters_per_hour")
KEPT = (
    "aupr",
    "precision_at_80_recall",
    "ece",
    "answer_ece",
    "valid_json_rate",
    "grounded_rate",
    "invented_rate",
)
SECONDS = "seconds_per_document"


class Remembering:
    """A tagger that reads each window once, whoever asks."""

    name = "remembering"

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._known: dict[tuple[Any, ...], NDArray[np.float32]] = {}

    def tag(self, inputs: Sequence[TagInput]) -> list[NDArray[np.float32]]:
        """Return logits; the windows that are new are read together."""
        keys = [(item.ids, item.bounds) for item in inputs]
        new = {key: item for key, item in zip(keys, inputs, strict=True) if key not in self._known}
        self._known |= zip(new, self._tagger.tag(list(new.values())), strict=True)
        return [self._known[key] for key in keys]


def experts(release: Release, alone: Path | None) -> dict[str, Expert]:
    """Return the arms that share the model; `alone` has the thresholds of the model without lexical evidence."""
    model = load_model(release.path, release.info["engine"])
    tagger, window = Remembering(model.tagger()), WindowConfig(**release.info["window"])
    beside, thresholds = Beside.load(release.path, release.path), Thresholds.load(release.path / THRESHOLDS_FILE)
    whole = {name: how.model_copy(update={"extent": "sentences"}) for name, how in thresholds.quoting.items()}
    parts = {
        EXPERT: (thresholds, beside),
        "whole_sentences": (thresholds.model_copy(update={"quoting": whole}), beside),
        "edges_by_rules": (thresholds, beside._replace(edge_tagger=None)),
    }
    if alone is not None:
        parts["no_lexical"] = (Thresholds.load(alone), Beside(beside.edge_tagger))
    made = {}
    for name, (cuts, besides) in parts.items():
        identity = Identity(name, release.key, "tag")
        expert = expert_over(tagger, model.codec, release.schema, cuts, window, identity, besides)
        assert isinstance(expert, Expert)
        made[name] = expert
    return made


def answers(release: Release, documents: Sequence[Document], alone: Path | None) -> dict[str, list[Prediction]]:
    """Return what every arm answers."""
    arms: dict[str, Any] = {name: expert.answer for name, expert in experts(release, alone).items()}
    arms[LINEAR] = load_linear(release).answer
    arms |= {name: with_schema(answer, release.schema)() for name, answer in trivial.ARMS.items()}
    found: dict[str, list[Prediction]] = {name: [] for name in arms}
    for number, document in enumerate(documents, start=1):
        for name, answer in arms.items():
            found[name].append(answer(document))
        say(f"  {number}/{len(documents)}")
    return found


def marked(release: Release, documents: Sequence[Document], arms: Mapping[str, Sequence[Prediction]]) -> dict[str, Any]:
    """Return the scores of every arm, and the paired tests of ContractEval F1 of the expert against each other."""
    marking = marking_of(release.info["task"], release.schema, TaskOptions(), seed=0)
    found: dict[str, Any] = {}
    tables = {}
    for name, arm in arms.items():
        scores = marking.score(documents, list(arm))
        found[name] = {**scores["contracteval"], "field_f1": scores["field"]["micro"]["f1"]}
        found[name] |= {key: scores[key] for key in KEPT}
        if name in (EXPERT, LINEAR):  # the others take what the expert's model read
            found[name][SECONDS] = scores[SECONDS]
        pairs = scored(documents, arm, release.schema).pairs
        tables[name] = contracteval.counts(pairs, len(documents), len(release.schema.fields)).sum(axis=1)
    for name in arms:
        if name != EXPERT:
            test = paired_test(tables[EXPERT], tables[name], contracteval.f1, seed=0)
            found[f"f1_over_{name}"] = test.as_json()
    return found


def end_to_end(release: Path, documents: Sequence[Document], data: str) -> dict[str, Any]:
    """Return the rate of a batch over the contracts' files."""
    files = {file.stem: file for file in sorted((Path(data) / "full_contract_txt").glob("*.txt"))}
    files |= {file.stem: file for file in sorted((Path(data) / "full_contract_pdf").rglob("*.[pP][dD][fF]"))}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "in"
        folder.mkdir()
        for document in documents:
            file = files.get(Path(document.name).stem)
            if file is not None:
                shutil.copyfile(file, folder / file.name)
            else:
                (folder / f"{document.id}.txt").write_text(document.text, encoding="utf-8")
        pdf = sum(1 for file in folder.iterdir() if file.suffix.lower() == ".pdf")
        found = batch(release, folder, Path(scratch) / "out")
    ledger = found["ledger"]
    return {"pdf": pdf, **{key: ledger[key] for key in ("seconds", *RATES)}}


def main() -> None:
    """Run the benchmark."""
    parser = command(__doc__, f"the {QUICK_CONTRACTS} shortest")
    parser.add_argument("--train", action="store_true", help="make the expert first")
    given = parser.parse_args()
    goes_on = f"train.init_adapter={given.out / FIRST.stem}"
    recipe = read_recipe(RECIPE, [goes_on])
    if given.train:
        stages(read_recipe(FIRST), given.out, "sft")
    made = stages(recipe, given.out, "bundle" if given.train else "split")
    documents = list(read_jsonl(made["split"].file("test.jsonl"), Document))
    if given.quick:
        documents = sorted(documents, key=lambda document: len(document.text))[:QUICK_CONTRACTS]
    release, alone = load(), None
    if given.train:
        release = load(made["bundle"].path)
        alone = stages(read_recipe(RECIPE, [goes_on, *WITHOUT_LINEAR]), given.out, "calibrate")["calibrate"].file(
            "model.json"
        )
    found = marked(release, documents, answers(release, documents, alone))
    found["end_to_end"] = end_to_end(release.path, documents, os.environ.get("LEXTUNE_CUAD", ""))
    for name, value in found.items():
        say(f"{name}: {json.dumps(value)}")
    print(json.dumps({"benchmark": "held_out", "quick": given.quick, "contracts": len(documents), **found}))


if __name__ == "__main__":
    main()
