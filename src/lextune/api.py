"""The Python calls: `lextune.load(release).extract(path)`, `lextune.batch(release, folder, out)`, `evaluate`, `run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lextune.core.artifacts import Artifact, sha256_json
from lextune.core.errors import DataError
from lextune.core.learnt import LEARNT_FILE
from lextune.core.records import Document, Prediction, Record
from lextune.core.stage import Progress
from lextune.data.lock import learnt_from
from lextune.deploy.batch.options import BatchOptions, Source
from lextune.deploy.batch.running import Standing, ignore, run_batch
from lextune.expert.answering import Expert
from lextune.expert.build import check_engine, linear_expert
from lextune.expert.cleaned import CleanedExpert, behind_cleaning
from lextune.expert.released import cleaning_of, find_release, identity_of, release_expert, start_release
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowConfig
from lextune.expert.writing import WritingExpert
from lextune.text.reading import Limits, document_of, read_document
from lextune.text.reading.listing import KINDS


class Release:
    """A loaded release: what answers, and what is known about it.

    Attributes:
        expert: the object that answers (shared with the server).
        info: `release.json`.
        key: hash of all that its answers depend on: the release's files and the engine.
    """

    def __init__(
        self, path: Path, expert: Expert | WritingExpert | CleanedExpert, info: dict[str, Any], key: str | None = None
    ) -> None:
        self.path, self.expert, self.info = path, expert, info
        self.key = key or expert.release_hash

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

    def learnt_from(self, documents: Sequence[Document]) -> list[str]:
        """Return the ids of documents that trained or tuned this release: scores on them say nothing of new ones.

        They are known by their words, whatever case, punctuation and white space.
        """
        return learnt_from(self.path / LEARNT_FILE, documents)

    @staticmethod
    def read(source: Path | str, limits: Limits = Limits()) -> Document:  # noqa: B008 - frozen
        """Return the document that `extract` would read."""
        if isinstance(source, Path) or _is_file(source):
            return read_document(Path(source), limits=limits)
        return document_of(source, "text.txt", limits)


def _is_file(text: str) -> bool:
    if not text or "\n" in text or len(text) > 1000:
        return False
    try:
        return Path(text).suffix.lower() in KINDS or Path(text).exists()
    except OSError:  # too long for a name
        return False


def load(release: Path | str | None = None, *, engine: str | None = None) -> Release:
    """Load a release folder (or a run's folder, whose release is taken).

    Args:
        release: the folder; None takes the expert in this package.
        engine: `openvino`, `openvino-f32` or `transformers`; by default the one the release was measured with.

    Raises:
        ArtifactError: not a release, damaged, or a run that has none yet.
    """
    path = find_release(Path(release) if release else None)
    artifact = Artifact.open(path, kind="release")
    expert, info = release_expert(artifact, engine)
    return Release(path, expert, info, sha256_json([identity_of(artifact), engine or info["engine"]]))


def evaluate(
    release: Path | str | Release | None,
    data: Path | str,
    *,
    limit: int | None = None,
    out: Path | str | None = None,
    progress: Progress = lambda done, total, name: None,
) -> dict[str, Any]:
    """Evaluate a release on annotated documents, beside the baselines.

    Every answer is kept as soon as it is given: called again after a kill, it asks no model the same thing twice.

    Args:
        release: a folder or a loaded release; None takes the expert in this package.
        data: a folder in CUAD's layout, or for a release of another task a file of its rows.
        limit: the first so many documents only.
        out: folder for the predictions, a file an arm; without one they are not kept once all are there.
        progress: called with answers given, answers wanted and the arm.

    Returns:
        One object: the metrics of `lextune.expert.scoring` (of another task: of its scorer), `paired`, the release
        against each baseline in words and numbers, `baselines` with the metrics of each of always_null, always_present,
        echo and linear (null where the release ships no linear model), and `learnt_from`, how many of the documents
        trained or tuned the release.

    Raises:
        DataError: the folder has no annotated documents.
        UserError: `out` holds another evaluation.
    """
    from lextune.evaluate.arms import TUNED, Making, arm_of, kept_answers, read_predictions, run_arms
    from lextune.evaluate.marking import marking_of
    from lextune.evaluate.predict import with_schema
    from lextune.evaluate.score import evaluate_arms
    from lextune.expert.linear import VOCABULARY
    from lextune.expert.scoring import trivial
    from lextune.expert.tasks import TaskOptions

    loaded = release if isinstance(release, Release) else load(release)
    documents = _annotated(Path(data), loaded.schema)[:limit]
    if not documents:
        raise DataError("no annotated document", where=str(data), do="give a folder in CUAD's layout")
    options = TaskOptions()
    arms: dict[str, Making] = {TUNED: lambda: arm_of(loaded.expert, loaded.info["task"], options)}
    if (loaded.path / VOCABULARY).is_file():
        arms["linear"] = lambda: load_linear(loaded).answer
    arms |= {name: with_schema(answer, loaded.schema) for name, answer in trivial.ARMS.items()}
    marking = marking_of(loaded.info["task"], loaded.schema, options, seed=0)
    with kept_answers(out, loaded.key, documents) as folder:
        run_arms(arms, documents, folder, progress)
        found = evaluate_arms(documents, read_predictions(folder, arms), {}, marking)
    scores = found["arms"]
    baselines = {name.replace("-", "_"): scores.get(name) for name in (*trivial.ARMS, "linear")}
    learnt = len(loaded.learnt_from(documents))
    return {**scores[TUNED], "paired": found["paired"], "baselines": baselines, "learnt_from": learnt}


def _annotated(source: Path, schema: Schema) -> list[Document]:
    """Return the documents of a dataset version, or of what `lextune data import` reads."""
    import tempfile

    from lextune.core.artifacts import read_jsonl
    from lextune.data.importers.intake import Options, import_source, take_in
    from lextune.data.sources import is_version

    if is_version(source):
        return list(read_jsonl(Artifact.open(source, kind="documents").file("documents.jsonl"), Document))
    with tempfile.TemporaryDirectory() as folder:
        take_in(import_source(source, Options(schema)), Path(folder), source)
        return list(read_jsonl(Path(folder) / "documents.jsonl", Document))


def batch(
    release: Path | str | None,
    folder: Path | str,
    out: Path | str,
    *,
    engine: str | None = None,
    options: BatchOptions = BatchOptions(),  # noqa: B008 - frozen
    progress: Callable[[Standing], None] = ignore,
) -> dict[str, Any]:
    """Answer every document of a folder; called again after a kill, or on a changed folder, it does what is left.

    Args:
        release: a release's folder, or a run's; None takes the expert in this package. It is loaded only where a
            document is left.
        folder: PDF, DOCX, HTML, mail and text files, in folders or not.
        out: where the journal and the results are: `records.jsonl`, `answers.parquet`, `failures.jsonl`,
            `skipped.jsonl`, `summary.json`, `ledger.json`.
        engine: as in `load`.
        options: how it is run: see `BatchOptions`.
        progress: called after every document.

    Returns:
        What `summary.json` holds, and under `ledger` what `ledger.json` holds.

    Raises:
        LextuneError: see `lextune.deploy.batch.running.run_batch`.
    """
    path = Path(release) if release else None
    found = Artifact.open(find_release(path), kind="release")
    info, identity = found.json("release.json"), identity_of(found)
    chosen = engine or info["engine"]
    check_engine(chosen)
    start = partial(start_release, path and path.resolve(), identity, chosen)
    source = Source(info["name"], identity, chosen, start, gpus=chosen == "transformers")
    return run_batch(source, Path(folder), Path(out), options, progress)


def load_linear(release: Release) -> Expert | WritingExpert | CleanedExpert:
    """Return the linear baseline that ships with a release."""
    cuts = Thresholds.load(release.path / "linear_thresholds.json")
    window = WindowConfig(**release.info["window"])
    codec, key = Codec(release.path), release.expert.release_hash
    expert = linear_expert(release.path, key, release.schema, cuts, codec, window)
    return behind_cleaning(expert, cleaning_of(release.info))


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
