"""The two streams, and bars that show any text."""

from __future__ import annotations

import pytest

from lextune.apps.cli import console
from lextune.apps.cli.console import Bars, print_json


def test_json_is_one_line_of_unicode(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": "§ \u2028 é"})
    assert capsys.readouterr().out == '{"a": "§ \u2028 é"}\n'


def test_bars_show_notes_as_they_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A document's name may hold what rich takes for markup."""
    monkeypatch.setattr(console.log, "_force_terminal", True)
    with Bars() as bars:
        bars("predict", 1, 2, "[/s/ Roe].pdf")
        bars("score", 0, 2, "x" * 300)
    captured = capsys.readouterr()
    assert captured.out == ""
