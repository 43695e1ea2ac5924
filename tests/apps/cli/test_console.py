"""The two streams, and bars that show any text."""

from __future__ import annotations

import pytest
from rich.console import Console

from lextune.apps.cli import console
from lextune.apps.cli.console import Bars, print_json, score_table
from lextune.evaluate.summary import summary_header


def test_json_is_one_line_of_unicode(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": "§ \u2028 é"})
    assert capsys.readouterr().out == '{"a": "§ \u2028 é"}\n'


def test_scores_fit_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    scores = ["0.573 (0.519 to 0.620)"] * (len(summary_header()) - 3)
    rows = [["always-present", "1,000", *scores, "227,000"], ["echo", "8", "n/a (n=8)", *scores[1:], "n/a (n=8)"]]
    Console(width=80).print(score_table(summary_header(), rows, "before and after"))
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert "always-present  1,000  0.573  0.519-0.620      0.573    0.573   0.573    227,000" in printed
    assert "echo                8    n/a" in printed


def test_scores_of_another_task_are_its_first_ones(capsys: pytest.CaptureFixture[str]) -> None:
    header = ["arm", "documents", "accuracy", "macro f1", "macro precision", "macro recall", "ece", "documents/hour"]
    rows = [["tuned", "24", "0.750 (0.580 to 0.920)", "0.7", "0.8", "0.6", "0.1", "9,000"]]
    Console(width=80).print(score_table(header, rows, "before and after"))
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].split() == ["tuned", "24", "0.750", "0.580-0.920", "0.7", "0.8", "0.6"]
    assert "accuracy" in printed


def test_bars_show_notes_as_they_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A document's name may hold what rich takes for markup."""
    monkeypatch.setattr(console.log, "_force_terminal", True)
    with Bars() as bars:
        bars("predict", 1, 2, "[/s/ Roe].pdf")
        bars("score", 0, 2, "x" * 300)
    captured = capsys.readouterr()
    assert captured.out == ""
