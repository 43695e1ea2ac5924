"""What a release holds beside its model: edges inside sentences, and the linear tagger's evidence where it is fused."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lextune.expert.edges import EdgeTagger
from lextune.expert.fusion import FUSION_FILE, FusedReader, Fusion
from lextune.expert.linear import LinearTagger
from lextune.expert.readers import LinearReader, TagReader
from lextune.expert.thresholds import Thresholds


class Beside(NamedTuple):
    """Parts that a model can do without: `linear` and `fusion` are there together, or not at all."""

    edge_tagger: EdgeTagger | None = None
    linear: LinearTagger | None = None
    fusion: Fusion | None = None

    @classmethod
    def load(cls, linear: Path, fitted: Path) -> Beside:
        """Read what is there.

        Args:
            linear: the folder of the linear tagger and of the edges.
            fitted: the folder of `fusion.json`; of a release it is the same one.
        """
        edge_tagger = EdgeTagger.load(linear)
        if not (fitted / FUSION_FILE).is_file():
            return cls(edge_tagger)
        return cls(edge_tagger, LinearTagger.load(linear), Fusion.load(fitted))

    def reader(self, model: TagReader, thresholds: Thresholds) -> TagReader | FusedReader:
        """Return what reads windows: the model, with the linear tagger where both were fitted together.

        Args:
            model: reads with the model alone.
            thresholds: fitted on what is returned.
        """
        if self.linear is None or self.fusion is None:
            return model
        return FusedReader(model, LinearReader(self.linear, Thresholds()), self.fusion, thresholds)


NOTHING = Beside()
