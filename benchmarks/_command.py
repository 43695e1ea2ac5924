"""What the benchmarks have in common: how they say how far they are, their options, the stages they ask for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lextune.core.artifacts import Artifact
from lextune.pipeline import Recipe, run


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
