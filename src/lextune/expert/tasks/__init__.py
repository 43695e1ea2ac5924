"""Tasks are data: what is asked, how it becomes training examples, which expert answers it, and how answers are marked.

A task is one small class registered by name, in a module of its own beside its scorer; every stage asks the task for
what differs. Clause extraction reads windows; every other task is made of rows, one prompt and one written answer.
"""

from __future__ import annotations

from lextune.core.errors import RecipeError
from lextune.expert.tasks.base import OUTPUT, Example, Task, as_chats
from lextune.expert.tasks.classification import Classification
from lextune.expert.tasks.clauses import ClauseExtraction
from lextune.expert.tasks.instruction import Instruction, instruction_document, is_prose
from lextune.expert.tasks.multiple_choice import MultipleChoice
from lextune.expert.tasks.options import TaskOptions
from lextune.expert.tasks.scoring import Scorer, paired_task, score_task
from lextune.expert.tasks.statute_qa import StatuteQa
from lextune.expert.tasks.translation import Translation

__all__ = [
    "OUTPUT",
    "TASKS",
    "Example",
    "Instruction",
    "Scorer",
    "Task",
    "TaskOptions",
    "as_chats",
    "get_task",
    "instruction_document",
    "is_prose",
    "paired_task",
    "score_task",
]

TASKS: dict[str, Task] = {
    task.name: task
    for task in (ClauseExtraction(), Instruction(), Classification(), MultipleChoice(), StatuteQa(), Translation())
}


def get_task(name: str) -> Task:
    """Return the task registered under this name.

    Raises:
        RecipeError: there is none.
    """
    if name not in TASKS:
        raise RecipeError(f"no task {name!r}", where="task", do=f"use one of {', '.join(TASKS)}")
    return TASKS[name]
