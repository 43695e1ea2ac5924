"""A judge from a function of what it is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lextune.core.records import Message
from lextune.evaluate.judging import agreement
from lextune.expert.engines.scripted import ScriptedChat

MATERIAL = re.compile(r"<(\w+) ([0-9a-f]{8})>\n(.*?)\n</\1 \2>", re.DOTALL)


def shown(messages: Sequence[Message]) -> dict[str, str]:
    """Return the texts between the marks, by name."""
    return {name: text for name, _, text in MATERIAL.findall(messages[1].content)}


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resample less: a round of scikit-learn's kappa takes a millisecond."""
    monkeypatch.setattr(agreement, "ROUNDS", 50)


@pytest.fixture
def judge() -> Callable[[Callable[[dict[str, str]], Any]], ScriptedChat]:
    """Make a judge of a function of the texts shown: what it returns is written as JSON, a text as it is."""

    def make(script: Callable[[dict[str, str]], Any]) -> ScriptedChat:
        def write(messages: Sequence[Message]) -> str:
            said = script(shown(messages) | {"turns": str(len(messages))})
            return said if isinstance(said, str) else json.dumps({"reason": "So.", **said})

        return ScriptedChat(write)

    return make
