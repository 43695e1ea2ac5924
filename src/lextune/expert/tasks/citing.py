"""Case law in written answers, as metrics beside a task's own: how much is cited, how much of it is wrong.

A citation is malformed where no reporter has it, unknown (counted as invented) where the given list does not. A short
form counts as what it leads to; one that leads to nothing is unresolved. See `lextune.text.citations`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lextune.core.counts import counted
from lextune.core.errors import DataError, shorten
from lextune.core.files import read_sheet, read_text
from lextune.core.records import Document, Prediction
from lextune.expert.scoring.intervals import Array
from lextune.expert.tasks.scoring import Metric, Scorer, share, written
from lextune.text.citations import (
    KNOWN,
    MALFORMED,
    UNKNOWN,
    UNRESOLVED,
    Citation,
    Known,
    find_citations,
    known_cases,
)

CITED, BAD_FORM, LOOKED_UP, INVENTED, LOST, ASKED = range(6)
OWN = slice(-6, None)
"""The columns of citations stand after those of the task."""


class CitingScorer(Scorer):
    """A task's scorer with the metrics of case citations beside its own.

    Args:
        task: marks everything else, and has the primary metric.
        known: says whether a case exists, by its citation in normal form; None where nothing can be looked up, then
            nothing is said of invented ones.
    """

    def __init__(self, task: Scorer, known: Known | None = None) -> None:
        self._task, self._known = task, known
        self.primary = task.primary  # type: ignore[misc]
        self.attempts = task.attempts
        self.metrics: Mapping[str, Metric] = {
            **{name: metric.at(slice(None, OWN.start)) for name, metric in task.metrics.items()},
            "citations_per_answer": share(CITED, ASKED).at(OWN),
            "malformed_citation_rate": share(BAD_FORM, CITED).at(OWN),
            "unresolved_citation_rate": share(LOST, CITED).at(OWN),
            **({} if known is None else {"unknown_citation_rate": share(INVENTED, LOOKED_UP).at(OWN)}),
        }

    def counts(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> Array:
        """Return the task's table, then (cited, malformed, looked up, unknown, unresolved, 1)."""
        table = np.zeros((len(documents), 6))
        for row, prediction in enumerate(predictions):
            statuses = Counter(citation.status for citation in self._found(prediction))
            table[row, [CITED, ASKED]] = statuses.total(), 1
            table[row, [BAD_FORM, INVENTED, LOST]] = statuses[MALFORMED], statuses[UNKNOWN], statuses[UNRESOLVED]
            table[row, LOOKED_UP] = statuses[KNOWN] + statuses[UNKNOWN]
        return np.concatenate([self._task.counts(documents, predictions), table], axis=1)

    def detail(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Return the task's detail with {citations: the first fifty that are not in order}.

        Each is {document, text, start, end, case, status, problem}; the offsets are of the answer.
        """
        listed = [
            {
                "document": document.id,
                "text": shorten(each.text),
                "start": each.span.start,
                "end": each.span.end,
                "case": each.case,
                "status": each.status,
                "problem": each.problem,
            }
            for document, prediction in zip(documents, predictions, strict=True)
            for each in self._found(prediction)
            if each.status in (MALFORMED, UNKNOWN, UNRESOLVED)
        ]
        return {**self._task.detail(documents, predictions), "citations": listed[:50]}

    def _found(self, prediction: Prediction) -> list[Citation]:
        return find_citations(written(prediction), self._known)


def load_known(path: Path) -> frozenset[str]:
    """Return the cases of a list, in normal form.

    Args:
        path: JSON Lines with `citation`, CSV with such a column, or any text with one citation a line.

    Raises:
        DataError: the file cannot be read, or a line has no citation of a case; names the line.
    """
    lines = {where: stated for where, stated in _lines(path) if stated.strip()}
    cases, none = known_cases(list(lines.values()))
    if none:
        where = next(where for where, stated in lines.items() if stated == none[0])
        do = "write volume, reporter and page, as in 410 U.S. 113"
        raise DataError(f"{counted(len(none), 'line')} without a citation of a case", where=where, do=do)
    return cases


def _lines(path: Path) -> list[tuple[str, str]]:
    """Return each line's place and the citation that it states."""
    if path.suffix.lower() == ".csv":
        rows = read_sheet(path, ("citation",), "a list of citations", "head the column of citations `citation`")
        return [(row.where, row.cells["citation"]) for row in rows]
    lines = [(f"{path}:{n}", line.strip()) for n, line in enumerate(read_text(path)[1].split("\n"), start=1)]
    return [(where, _stated(line)) for where, line in lines] if path.suffix.lower() == ".jsonl" else lines


def _stated(line: str) -> str:
    """Return the citation of a line of JSON, the line itself where it has none."""
    try:
        row = json.loads(line) if line.strip() else {}
    except ValueError:
        return line
    return str(row.get("citation", line)) if isinstance(row, dict) else line
