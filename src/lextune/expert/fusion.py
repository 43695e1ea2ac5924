"""Fusion: the model's evidence beside the linear tagger's, as one logit.

The log odds that a sentence answers a field are a weighted sum of both logits, fitted by logistic regression on
held-out documents (`lextune.expert.logistic`). A screen may let the model read only the windows where the linear
tagger sees something; of the others its log odds alone are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import write_atomic
from lextune.core.errors import DataError
from lextune.expert.held_out import HeldOut, LogitReader
from lextune.expert.logistic import fit_curves, log_odds
from lextune.expert.readers import Passage, Reading, Tagged, TaggedReader
from lextune.expert.screen import Screen
from lextune.expert.thresholds import Thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FUSION_FILE = "fusion.json"
Weights = tuple[tuple[float, ...], ...]


class Fusion(BaseModel):
    """The weights of evidence, a row a field in the schema's order.

    `both` holds the model's weight, the linear tagger's and a constant; `alone` the linear tagger's and a constant.
    `screen` says which windows the model reads; None for all.
    """

    model_config = ConfigDict(frozen=True)
    both: Weights
    alone: Weights
    screen: Screen | None = None
    n_documents: int = 0

    def fused(self, model: NDArray[np.float32], linear: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log odds of logits, all [sentences, fields]."""
        return log_odds(_matrix(self.both), (model, linear))

    def linear_alone(self, linear: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log odds of the linear tagger's logits, both [sentences, fields]."""
        return log_odds(_matrix(self.alone), (linear,))

    def save(self, folder: Path) -> None:
        """Write the fusion as JSON."""
        write_atomic(folder / FUSION_FILE, self.model_dump_json(indent=1))

    @classmethod
    def load(cls, folder: Path) -> Fusion:
        """Read what `save` wrote."""
        return cls.model_validate_json((folder / FUSION_FILE).read_text(encoding="utf-8"))


def _matrix(weights: Weights) -> NDArray[np.float64]:
    import numpy as np

    return np.array(weights)


def fit_fusion(model: Sequence[HeldOut], linear: Sequence[HeldOut], *, fuse: bool = True) -> Fusion:
    """Fit the weights on held-out documents.

    Args:
        model: the documents as the model saw them.
        linear: the same as the linear tagger saw them.
        fuse: False gives the linear tagger no weight where the model has read.

    Raises:
        DataError: there is no document, or the two did not see the same.
    """
    import numpy as np

    if not model or [len(a.logits) for a in model] != [len(b.logits) for b in linear]:
        raise DataError(
            "the model and the linear tagger did not read the same held-out documents",
            where="fusion",
            do="read the same documents, at least one, with both",
        )
    both = fit_curves((model, linear)) if fuse else np.insert(fit_curves((model,)), 1, 0.0, axis=1)
    return Fusion(both=_rows(both), alone=_rows(fit_curves((linear,))), n_documents=len(model))


def _rows(weights: NDArray[np.float64]) -> Weights:
    return tuple(tuple(float(value) for value in row) for row in weights)


def fuse(model: Sequence[HeldOut], linear: Sequence[HeldOut], fusion: Fusion) -> list[HeldOut]:
    """Return held-out documents as `FusedReader` sees them, from what both readers saw; nothing is read again."""
    import numpy as np

    fused = [
        replace(seen, logits=fusion.fused(seen.logits, lexical.logits))
        for seen, lexical in zip(model, linear, strict=True)
    ]
    screen = fusion.screen
    if screen is None:
        return fused
    alone = [replace(each, logits=fusion.linear_alone(each.logits)) for each in linear]
    cut = (np.split(each.logits, each.starts[1:]) for each in alone)
    return spare(fused, alone, [np.array([screen.passes(window) for window in windows]) for windows in cut])


def spare(fused: Sequence[HeldOut], alone: Sequence[HeldOut], passes: Sequence[NDArray[np.bool_]]) -> list[HeldOut]:
    """Return documents with the linear tagger's log odds in the windows [windows] that the model does not read."""
    import numpy as np

    out = []
    for both, one, read in zip(fused, alone, passes, strict=True):
        of_sentence = np.repeat(read, np.diff(both.starts, append=len(both.window_of)))
        out.append(replace(both, logits=np.where(of_sentence[:, None], both.logits, one.logits)))
    return out


class FusedReader:
    """The model and the linear tagger together; windows that the screen proves empty are read by the latter alone.

    Args:
        model: reads with the model.
        linear: reads with the linear tagger.
        fusion: the weights of what they say, and the screen.
        thresholds: fitted on what this reader says.
    """

    def __init__(self, model: TaggedReader, linear: LogitReader, fusion: Fusion, thresholds: Thresholds) -> None:
        self._model, self._linear, self._fusion, self._thresholds = model, linear, fusion, thresholds

    def tagged(self, passages: Sequence[Passage]) -> list[Tagged]:
        """Return log odds, and the tokens that the model read."""
        lexical, screen = self._linear.logits(passages), self._fusion.screen
        alone = [self._fusion.linear_alone(logits) for logits in lexical]
        wanted = [screen is None or screen.passes(odds) for odds in alone]
        kept = [passage for passage, yes in zip(passages, wanted, strict=True) if yes]
        read = iter(self._model.tagged(kept) if kept else ())
        out = []
        for logits, odds, yes in zip(lexical, alone, wanted, strict=True):
            if yes:
                seen = next(read)
                out.append(Tagged(self._fusion.fused(seen.logits, logits), seen.prompt_tokens))
            else:
                out.append(Tagged(odds, skipped=True))
        return out

    def logits(self, passages: Sequence[Passage]) -> list[NDArray[np.float32]]:
        """Return log odds, for calibration."""
        return [each.logits for each in self.tagged(passages)]

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Read every passage."""
        return [
            Reading(self._thresholds.confidence(each.logits), each.prompt_tokens, skipped=int(each.skipped))
            for each in self.tagged(passages)
        ]
