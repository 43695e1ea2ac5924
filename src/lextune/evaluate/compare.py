"""Two evaluations side by side: what the second gained over the first, and whether that is more than chance.

    comparison = compare_runs(Path("runs/a"), Path("runs/b"))
    comparison.sentence     # "runs/b is better than runs/a: field F1 +0.041 (95 % interval ...)"

Differences are always the second minus the first. The paired test needs the answers of both to the same documents,
with the same labels; where that is not so, what differs is said, and nothing is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.artifacts import Artifact, read_jsonl, sha256_file
from lextune.core.counts import counted
from lextune.core.records import Document, Prediction
from lextune.evaluate.comparing import compared
from lextune.evaluate.formatting import bounds, fixed
from lextune.evaluate.marking import marking_of
from lextune.evaluate.measured import Measured, find_measured, parent
from lextune.evaluate.summary import Place, columns, lookup, primary, tuned_name
from lextune.expert.schema import load_schema
from lextune.expert.tasks import TaskOptions

RANKED: dict[str, Place] = {
    "AUPR": ("aupr",),
    "calibration error (ECE), answers": ("answer_ece",),
    "calibration error (ECE), places": ("ece",),
    "valid outputs": ("valid_json_rate",),
    "quotes grounded": ("grounded_rate",),
}
FILES: dict[str, Place] = {
    "schema file": ("schema_name",),
    "corpus": ("task_options", "corpus"),
    "glossary": ("task_options", "glossary"),
    "known citations": ("task_options", "citations"),
}
"""What an evaluation's settings name by path, as its manifest calls it, and the setting that does."""
SHOWN = 10  # fields that gained, and fields that lost


@dataclass(frozen=True)
class Row:
    """One score of both: `difference` is b minus a, None where either has none."""

    name: str
    a: Any
    b: Any
    difference: float | None


@dataclass(frozen=True)
class Documents:
    """Which documents both were evaluated on: how many, and the names of those that differ.

    `relabelled` are the same source with another text or other labels. `known` is False where the documents of either
    are not at hand.
    """

    known: bool
    same: int
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    relabelled: tuple[str, ...] = ()

    @property
    def differ(self) -> bool:
        """Whether any document is not the same in both."""
        return bool(self.only_a or self.only_b or self.relabelled)


@dataclass(frozen=True)
class Comparison:
    """All of it; `paired` is None where nothing was tested, and `why` then says why."""

    a: str
    b: str
    sentence: str
    documents: Documents
    paired: dict[str, Any] | None
    why: str | None
    scores: tuple[Row, ...]
    fields: tuple[Row, ...]
    costs: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as plain JSON types."""
        return asdict(self)


class _Answers(NamedTuple):
    """What a paired test needs of one side."""

    documents: list[Document]
    predictions: list[Prediction]


def compare_runs(a: Path, b: Path) -> Comparison:
    """Compare the tuned arms of two evaluations, see `lextune.evaluate.measured` for what a path may name.

    Raises:
        ArtifactError: a path names no evaluation.
        DataError: a file is no evaluation, or one whose tuned arm was not evaluated.
    """
    first, second = find_measured(a), find_measured(b)
    arms = [side.evaluation["arms"][tuned_name(side.evaluation)] for side in (first, second)]
    answers = (_answers(first), _answers(second))
    documents = _documents(*answers)
    test, why = _paired(first, second, answers, documents)
    name = primary(arms[0])[0]
    return Comparison(
        a=first.name,
        b=second.name,
        sentence=test["sentence"] if test is not None else _untested(first.name, second.name, name, arms, str(why)),
        documents=documents,
        paired=test,
        why=why,
        scores=_rows({**columns(arms[0]), **RANKED}, *arms),
        fields=tuple(sorted(_fields(*arms), key=lambda row: -(row.difference or 0.0))),
        costs=_costs(first, second),
    )


def _answers(side: Measured) -> _Answers | None:
    """Return documents and tuned answers of an evaluation whose parents are beside it, else None."""
    if side.artifact is None:
        return None
    split, predictions = parent(side.artifact, "split"), parent(side.artifact, "predictions")
    if split is None or predictions is None:
        return None
    tuned = predictions.file(f"{tuned_name(side.evaluation)}.jsonl")
    documents = list(read_jsonl(split.file("test.jsonl"), Document))
    return _Answers(documents, list(read_jsonl(tuned, Prediction)))


def _documents(first: _Answers | None, second: _Answers | None) -> Documents:
    if first is None or second is None:
        return Documents(False, 0)
    a, b = (_keyed(side.documents) for side in (first, second))
    both = a.keys() & b.keys()
    other = [a[key].name for key in both if (a[key].text, a[key].labels) != (b[key].text, b[key].labels)]
    return Documents(
        known=True,
        same=len(both) - len(other),
        only_a=tuple(sorted(a[key].name for key in a.keys() - b.keys())),
        only_b=tuple(sorted(b[key].name for key in b.keys() - a.keys())),
        relabelled=tuple(sorted(other)),
    )


def _keyed(documents: Sequence[Document]) -> dict[str, Document]:
    """Return documents by the hash of their source; rows of one file have one, and are told apart by their ids."""
    hashes = [document.sha256 for document in documents]
    if len(set(hashes)) == len(hashes):
        return dict(zip(hashes, documents, strict=True))
    return {f"{document.sha256} {document.id}": document for document in documents}


def _paired(
    first: Measured, second: Measured, answers: tuple[_Answers | None, _Answers | None], documents: Documents
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the paired test, second minus first, or why there is none."""
    a, b = answers
    if a is None or b is None or first.artifact is None or second.artifact is None:
        which = first.name if a is None else second.name
        return None, f"the answers behind {which} are not at hand: a file or a release alone holds scores only"
    if documents.differ:
        return None, _what_differs(documents)
    ours, theirs = _settings(first.artifact), _settings(second.artifact)
    if ours != theirs:
        return None, "the two are of different tasks, or their fields or scorers differ"
    changed = _changed(first.artifact)
    if changed:
        which = " and the ".join(changed)
        do = "put back what was there, or run both recipes again"
        return None, f"since both were scored the {which} changed or went away: {do}"
    task, schema, options, _ = ours
    marking = marking_of(task, load_schema(schema), TaskOptions(**options), first.artifact.manifest.seed)
    ids = {key: document.id for key, document in _keyed(a.documents).items()}
    names = {document.id: ids[key] for key, document in _keyed(b.documents).items()}
    renamed = [one.model_copy(update={"document_id": names[one.document_id]}) for one in b.predictions]
    return compared(marking, a.documents, (second.name, renamed), (first.name, a.predictions)), None


def _settings(artifact: Artifact) -> tuple[str, str, dict[str, Any], dict[str, str]]:
    """Return task, schema and scorer options of an evaluation, and the hashes of the files that these name."""
    manifest = artifact.manifest
    options = manifest.config.get("task_options") or {}
    named = {what: digest for what, digest in manifest.inputs.items() if what not in manifest.parents}
    return manifest.config["task"], manifest.config["schema_name"], options, named


def _changed(artifact: Artifact) -> list[str]:
    """Return the files, each after what it is, that are not as they were when an evaluation was made, or are gone."""
    changed = []
    for what, place in FILES.items():
        recorded, path = artifact.manifest.inputs.get(what), lookup(artifact.manifest.config, place)
        if recorded is None or path is None:
            continue
        file = Path(path)
        if not file.is_file() or sha256_file(file) != recorded:
            changed.append(f"{what} {file}")
    return changed


def _what_differs(documents: Documents) -> str:
    parts = [
        f"{counted(len(names), 'document')} {said} ({names[0]}{', ...' if len(names) > 1 else ''})"
        for names, said in (
            (documents.only_a, "only in the first"),
            (documents.only_b, "only in the second"),
            (documents.relabelled, "with another text or other labels"),
        )
        if names
    ]
    return f"the held-out documents differ: {', '.join(parts)}"


def _untested(a: str, b: str, name: str, arms: Sequence[Mapping[str, Any]], why: str) -> str:
    values = [bounds(lookup(arm, primary(arm)[1]))[0] for arm in arms]
    shown = " against ".join("n/a" if value is None else fixed(value) for value in reversed(values))
    return f"whether {b} is better than {a} is not tested: {name} {shown}, but {why}."


def _rows(places: Mapping[str, Place], a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Row, ...]:
    """Return the scores that either has."""
    found = [_row(name, lookup(a, place), lookup(b, place)) for name, place in places.items()]
    return tuple(row for row in found if row.a is not None or row.b is not None)


def _row(name: str, a: Any, b: Any) -> Row:
    before, after = bounds(a)[0], bounds(b)[0]
    return Row(name, a, b, None if before is None or after is None else after - before)


def _fields(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Row]:
    """Return the F1 of every field that has one in both."""
    first, second = (arm.get("by_field") or {} for arm in (a, b))
    rows = [_row(name, first[name]["field_f1"], second[name]["field_f1"]) for name in first if name in second]
    return [row for row in rows if row.difference is not None]


def _costs(first: Measured, second: Measured) -> tuple[Row, ...]:
    sides = []
    for side in (first, second):
        tuned = tuned_name(side.evaluation)
        price = lookup(side.evaluation, ("costs", tuned, "price"))
        sides.append({**side.evaluation["arms"][tuned], "price": price or None})
    places: dict[str, Place] = {
        "seconds a document": ("seconds_per_document",),
        "tokens a document": ("tokens_per_document",),
        "price of a document": ("price",),
    }
    return _rows(places, *sides)


def gains_and_losses(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the fields that gained most, most first, and those that lost most, most first; at most ten each."""
    gained = [row for row in rows if (row.difference or 0.0) > 0]
    lost = [row for row in reversed(rows) if (row.difference or 0.0) < 0]
    return gained[:SHOWN], lost[:SHOWN]
