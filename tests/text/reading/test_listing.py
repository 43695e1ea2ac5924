"""A folder's files: what may be a document, and what is passed over."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from lextune.core.records import Drop
from lextune.text.reading.listing import place, state, walk, why_no_document


def test_a_link_into_a_closed_folder_does_not_hide_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "link").symlink_to("/nowhere/behind")
    is_dir = Path.is_dir

    def closed(path: Path) -> bool:
        if path.name == "link":
            raise PermissionError
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", closed)
    assert sorted(found.name for found in walk(tmp_path) if isinstance(found, Path)) == ["a.txt", "link"]


def test_files_are_met_one_by_one_and_hidden_ones_never(tmp_path: Path) -> None:
    for name in ("a.txt", "sub/b.txt", "sub/deep/c", ".hidden/d.txt", "sub/.e.txt", "~$f.docx"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.txt").symlink_to(tmp_path / "nowhere")
    found = list(walk(tmp_path))
    files = sorted(place(file, tmp_path) for file in found if isinstance(file, Path))
    assert files == ["a.txt", "broken.txt", "sub/b.txt", "sub/deep/c"]
    assert [each for each in found if isinstance(each, Drop)] == [
        Drop(what="folder", where="loop", reason="a link to a folder is not followed")
    ]
    assert len(list(itertools.islice(walk(tmp_path), 1))) == 1


@pytest.mark.parametrize(
    ("name", "images", "reason"),
    [
        ("a.PDF", False, None),
        ("a.docm", False, None),
        ("a.tiff", True, None),
        ("a.tiff", False, "an image: recognising text in images is off"),
        ("a.csv", False, "a file that ends in '.csv' is no document"),
        ("README", True, "a file without an ending"),
    ],
)
def test_endings_say_what_is_no_document(name: str, images: bool, reason: str | None) -> None:
    assert why_no_document(Path(name), images=images) == reason


def test_a_state_changes_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    assert state(file) is None
    file.write_text("x")
    before = state(file)
    assert before == state(file)
    file.write_text("xy")
    assert state(file) != before
