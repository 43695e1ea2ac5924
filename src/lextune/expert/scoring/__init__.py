"""The one path that marks answers against labels."""

from lextune.expert.scoring.evaluation import Evaluation, paired, score
from lextune.expert.scoring.intervals import PairedTest, Score

__all__ = ["Evaluation", "PairedTest", "Score", "paired", "score"]
