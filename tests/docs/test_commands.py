"""Every lextune command in the README and the docs exists, with the options shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?:console|bash|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")


def commands(page: Path) -> list[str]:
    """Return the `lextune ...` lines of a page's console blocks, without comments."""
    blocks = FENCE.findall(page.read_text(encoding="utf-8"))
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("lextune ")]


SHOWN = sorted({(str(page.relative_to(ROOT)), line) for page in PAGES for line in commands(page)})


def test_the_docs_show_commands() -> None:
    assert len(SHOWN) > 15


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_a_shown_command_exists_with_its_options(page: str, line: str) -> None:
    from lextune.apps.cli.main import app

    command = typer.main.get_command(app)
    context = typer.Context(command)
    words = shlex.split(line, comments=True)[1:]
    while isinstance(command, TyperGroup):
        found = command.get_command(context, words[0])
        assert found is not None, f"{page}: no command {words[0]!r} in {line!r}"
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    shown = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert shown <= known | {"--help"}, f"{page}: {line!r}"


def every_option(command: Any) -> set[str]:
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    if not isinstance(command, TyperGroup):
        return options
    context = typer.Context(command)
    inner = [command.get_command(context, name) for name in command.list_commands(context)]
    return options.union(*map(every_option, inner))


def test_options_named_in_the_docs_exist() -> None:
    from lextune.apps.cli.main import app

    named = {o for page in PAGES for o in re.findall(r"`(--[a-z][a-z-]*)", page.read_text(encoding="utf-8"))}
    assert sorted(named - every_option(typer.main.get_command(app))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_recipes_named_in_the_docs_exist() -> None:
    named = {n for page in PAGES for n in re.findall(r"recipes/[\w.-]+\.yaml", page.read_text(encoding="utf-8"))}
    assert sorted(n for n in named if not (ROOT / n).is_file()) == []


def test_make_targets_named_in_the_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {t for page in PAGES for t in re.findall(r"(?:`|\$ )make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert named
    assert named <= targets
