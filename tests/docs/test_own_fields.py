"""The schema and the recipe that the guide shows are ones that lextune takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lextune.expert.schema import load_schema
from lextune.pipeline import plan, read_recipe

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "own-fields.md"
BLOCK = re.compile(r"`(my-[\w-]+\.yaml)`.*?^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_what_the_guide_shows_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = dict(BLOCK.findall(GUIDE.read_text(encoding="utf-8")))
    assert list(files) == ["my-fields.yaml", "my-recipe.yaml"]
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    assert len(load_schema("my-fields.yaml").fields) == 6
    steps = {step.stage.name: step.config for step in plan(read_recipe(Path("my-recipe.yaml")), "f")}
    assert steps["sft"].model_dump()["schema_name"] == "my-fields.yaml"
    assert steps["calibrate"].model_dump()["fuse_linear"] is True
