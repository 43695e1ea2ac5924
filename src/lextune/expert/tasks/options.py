"""What a task may be told beside its data: the recipe's `task_options`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import Field

from lextune.core.recipe import Config


class TaskOptions(Config):
    """Settings of a task's scorer; each is read by the tasks that it names."""

    labels: tuple[str, ...] = ()
    """`classification`: every label that an answer may be; none for those of the held-out rows."""
    attempts: int = Field(4, ge=1, le=26)
    """`multiple-choice`: how often a question is asked, the choices moved on by one place each time."""
    corpus: str | None = None
    """`statute-qa`: a file of articles (JSON Lines with article and text), or `auto` for this package's own; an article
    that is not in it is invented."""
    glossary: str | None = None
    """`translation`: a CSV file of terms with the columns source, target and, where wanted, variants (`a|b`), or `auto`
    for this package's own."""
    bleu_tokenizer: Literal["13a", "intl", "char", "zh"] = "13a"
    """`translation`: how sacrebleu cuts sentences into words for BLEU."""
    citations: str | None = None
    """A file of known case citations (JSON Lines, CSV, or one a line); one that is not in it is invented."""


def sample(name: str) -> Path:
    """Return a file of the package's own rows for the tasks."""
    return Path(str(resources.files("lextune.resources").joinpath(f"tasks/{name}")))
