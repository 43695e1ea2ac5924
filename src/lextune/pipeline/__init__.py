"""From a recipe to its artifacts: what a recipe says, the stages it asks for, and the run that makes them."""

from lextune.pipeline.recipe import Recipe, read_recipe
from lextune.pipeline.running import Done, run, warn_if_made_elsewhere
from lextune.pipeline.table import Step, check_range, plan

__all__ = ["Done", "Recipe", "Step", "check_range", "plan", "read_recipe", "run", "warn_if_made_elsewhere"]
