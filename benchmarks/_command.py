"""What the benchmarks have in common: their options, what they read, how they take turns and say how far they are."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Protocol

from lextune.core.artifacts import Artifact
from lextune.core.records import Document, Prediction
from lextune.pipeline import Recipe, run


class Answers(Protocol):
    """Whatever answers a document."""

    def answer(self, document: Document) -> Prediction:
        """Answer it."""


def say(text: str) -> None:
    """Print a line of progress; stdout is kept for what was measured."""
    print(text, file=sys.stderr, flush=True)


def command(doc: str | None, quick: str) -> argparse.ArgumentParser:
    """Return a parser with `--quick`, whose help is `quick`, and `--out`; `doc` is the text above them."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where the runs are kept")
    return parser


def stages(recipe: Recipe, out: Path, until: str) -> dict[str, Artifact]:
    """Run a recipe as far as a stage, in its folder of `out`; return what the stages made, by their names."""
    return {each.name: each.artifact for each in run(recipe, out=out / recipe.name, until=until, note=say)}


def contracts() -> tuple[Path, str]:
    """Return the folder of annotated contracts that is at hand, and what they are."""
    named = os.environ.get("LEXTUNE_CUAD")
    beside = Path(__file__).resolve().parents[2] / "shared" / "cuad"
    if named or beside.is_dir():
        return Path(named or beside), "CUAD"
    return Path(str(resources.files("lextune.resources").joinpath("sample_contracts"))), "samples of the package"


def in_turns(
    arms: Mapping[str, Answers], documents: Sequence[Document]
) -> tuple[dict[str, list[Prediction]], dict[str, list[float]]]:
    """Let every arm read every contract, one contract after another; return the answers and the seconds."""
    answers: dict[str, list[Prediction]] = {name: [] for name in arms}
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for arm in arms.values():
        arm.answer(documents[0].model_copy(update={"text": documents[0].text[:400], "pages": ()}))  # compiles
    for number, document in enumerate(documents, start=1):
        for name, arm in arms.items():
            started = time.perf_counter()
            answers[name].append(arm.answer(document))
            seconds[name].append(time.perf_counter() - started)
        took = ", ".join(f"{name} {each[-1]:.1f} s" for name, each in seconds.items())
        say(f"  {number}/{len(documents)}, {len(document.text):,} characters: {took}")
    return answers, seconds
