"""The Python calls: `lextune.load(release).extract(path)`, `lextune.evaluate(release, data)`, `lextune.run(recipe)`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lextune.core.artifacts import Artifact
from lextune.core.errors import ArtifactError, DataError
from lextune.core.records import Document, Prediction, Record
from lextune.expert.answering import Expert, Identity
from lextune.expert.build import build_expert, load_model
from lextune.expert.cleaned import CleanedExpert
from lextune.expert.schema import Schema, load_schema
from lextune.expert.thresholds import THRESHOLDS_FILE, Thresholds
from lextune.expert.windowing import WindowConfig
from lextune.expert.writing import WritingExpert
from lextune.text.cleaning import CleanOptions
from lextune.text.reading import Limits, read_document

ANNOTATED_ARMS = ("always-null", "always-present", "echo")


class Release:
    """A loaded release: what answers, and what is known about it.

    Attributes:
        expert: the object that answers (shared with the server).
        info: `release.json`.
    """

    def __init__(self, path: Path, expert: Expert | WritingExpert | CleanedExpert, info: dict[str, Any]) -> None:
        self.path, self.expert, self.info = path, expert, info

    @property
    def schema(self) -> Schema:
        """The fields this release answers."""
        return self.expert.schema

    def extract(self, source: Path | str, *, min_confidence: float | None = None) -> Record:
        """Return the record of a file, or of a text given as a string.

        Args:
            source: a Path, or a string that names a file (it exists, or is one line that ends like a document's
                name); any other string is the text itself.
            min_confidence: answers less sure than this are marked for review; None takes the release's own limit.

        Raises:
            DocumentError: the document cannot be read.
        """
        return self.predict(self.read(source), min_confidence=min_confidence).record

    def predict(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        """Return the record of a document with its candidates and what answering took."""
        return self.expert.answer(document, min_confidence=min_confidence)

    @staticmethod
    def read(source: Path | str, limits: Limits = Limits()) -> Document:  # noqa: B008 - frozen
        """Return the document that `extract` would read."""
        if isinstance(source, Path) or _is_file(source):
            return read_document(Path(source), limits=limits)
        return read_document(source.encode("utf-8", "surrogatepass"), name="text.txt", limits=limits)


def _is_file(text: str) -> bool:
    if not text or "\n" in text or len(text) > 1000:
        return False
    try:
        return Path(text).suffix.lower() in {".pdf", ".docx", ".txt", ".html", ".htm", ".eml"} or Path(text).exists()
    except OSError:  # too long for a name
        return False


def load(release: Path | str, *, engine: str | None = None) -> Release:
    """Load a release folder (or a run's folder, whose release is taken).

    Args:
        release: the folder.
        engine: `openvino` or `transformers`; by default the one the release was measured with.

    Raises:
        ArtifactError: not a release, damaged, or a run that has none yet.
    """
    path = find_release(Path(release))
    artifact = Artifact.open(path, kind="release")
    info = artifact.json("release.json")
    model = load_model(path, engine or info["engine"])
    identity = Identity(info["name"], info["weights"], info["strategy"])
    expert: Expert | WritingExpert | CleanedExpert = build_expert(
        model,
        load_schema(str(path / "schema.yaml")),
        Thresholds.load(path / THRESHOLDS_FILE),
        WindowConfig(**info["window"]),
        identity,
    )
    if info.get("clean") and isinstance(expert, Expert):
        expert = CleanedExpert(expert, CleanOptions(**info["clean"]))
    return Release(path, expert, info)


def find_release(path: Path) -> Path:
    """Return the release folder that a path names: itself, or the one of a finished run.

    Raises:
        ArtifactError: there is none.
    """
    if not path.exists():
        raise ArtifactError(
            "no such release", where=str(path), do="give --release a release's folder; `lextune demo` makes runs/demo"
        )
    note = path / "run.json"
    unfinished = (path / ".lock").is_file() and not note.is_file()
    if not unfinished and not note.is_file():
        return path
    steps = {} if unfinished else _finished_steps(note)
    if "bundle" not in steps:
        raise ArtifactError("this run has no release yet", where=str(path), do="run its recipe to the end")
    return path / str(steps["bundle"])


def _finished_steps(note: Path) -> dict[str, Any]:
    try:
        steps = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:
        steps = None
    if not isinstance(steps, dict):
        raise ArtifactError("unreadable run.json", where=str(note), do="run the recipe again: it is written anew")
    return steps


def evaluate(
    release: Path | str | Release,
    data: Path | str,
    *,
    limit: int | None = None,
    progress: Any = None,
) -> dict[str, Any]:
    """Evaluate a release on annotated contracts, beside the baselines.

    Args:
        release: a folder or a loaded release.
        data: a folder in CUAD's layout.
        limit: the first so many documents only.
        progress: called with done, total and the document's name.

    Returns:
        One object: the metrics of `lextune.expert.scoring`, and `baselines` with the same for each of
        always_null, always_present, echo and linear (null where the release ships no linear model).

    Raises:
        DataError: the folder has no annotated documents.
    """
    from lextune.data.importers.cuad import import_cuad
    from lextune.expert.linear import VOCABULARY
    from lextune.expert.scoring import score, trivial

    loaded = release if isinstance(release, Release) else load(release)
    imported = import_cuad(Path(data), loaded.schema)
    documents = list(imported.documents)[:limit]
    if not documents:
        raise DataError("no annotated document", where=str(data), do="give a folder in CUAD's layout")
    predictions = []
    for done, document in enumerate(documents, start=1):
        predictions.append(loaded.predict(document))
        if progress is not None:
            progress(done, len(documents), document.name)
    result = score(documents, predictions, loaded.schema).as_json()
    baselines: dict[str, Any] = {}
    for name in ANNOTATED_ARMS:
        rows = [trivial.ARMS[name](d, loaded.schema) for d in documents]
        baselines[name.replace("-", "_")] = score(documents, rows, loaded.schema).as_json()
    baselines["linear"] = None
    if (loaded.path / VOCABULARY).is_file():
        linear = load_linear(loaded)
        rows = [linear.answer(d) for d in documents]
        baselines["linear"] = score(documents, rows, loaded.schema).as_json()
    return {**result, "baselines": baselines}


def load_linear(release: Release) -> Expert:
    """Return the linear baseline that ships with a release."""
    from lextune.expert.linear import LinearTagger
    from lextune.expert.readers import LinearReader
    from lextune.expert.templates import Codec

    cuts = Thresholds.load(release.path / "linear_thresholds.json")
    return Expert(
        Identity("linear", release.expert.release_hash, "linear"),
        release.schema,
        LinearReader(LinearTagger.load(release.path), cuts),
        codec=Codec(release.path),
        thresholds=cuts,
        window=WindowConfig(**release.info["window"]),
    )


def run(
    recipe: Path | str, *, out: Path | str = "runs", overrides: Sequence[str] = (), data: str | None = None
) -> Release:
    """Run a recipe to its end and return the release.

    Raises:
        LextuneError: what `lextune run` would print.
    """
    from lextune.pipeline import read_recipe
    from lextune.pipeline import run as run_recipe

    values = read_recipe(Path(recipe), overrides)
    done = run_recipe(values, out=Path(out) / values.name, data=data)
    return load(done[-1].artifact.path)
