"""Files that users give, and folders that one command at a time may write."""

from __future__ import annotations

from pathlib import Path

import pytest

from lextune.core.errors import DataError, MachineError
from lextune.core.files import Row, one_at_a_time, read_sheet, read_text
from lextune.core.mistakes import Mistake, refuse


def test_text_comes_as_it_is_without_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")
    assert read_text(file) == (b"\xef\xbb\xbfone\r\ntwo\n", "one\r\ntwo\n")
    file.write_bytes(b"one\ntw\xe9\n")
    with pytest.raises(DataError) as told:
        read_text(file)
    assert str(told.value) == f"{file}:2: not UTF-8: byte 0xe9\n  -> save the file as UTF-8"
    with pytest.raises(DataError) as told:
        read_text(tmp_path)
    assert str(told.value) == f"{tmp_path}: cannot read the file: Is a directory\n  -> give a file that you may read"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_sheet_whatever_stands_between_its_cells(tmp_path: Path, mark: str) -> None:
    file = tmp_path / "sheet.csv"
    file.write_text(f"Name {mark}MARK\n x {mark}\n\n{mark}\ny\n", encoding="utf-8-sig")
    assert read_sheet(file, ("mark", "name"), "a sheet", "do this") == [
        Row("sheet.csv:2", {"name": "x", "mark": ""}),
        Row("sheet.csv:5", {"name": "y", "mark": ""}),
    ]
    with pytest.raises(DataError) as told:
        read_sheet(file, ("name", "note"), "a sheet", "do this")
    assert str(told.value) == f"{file}:1: no column 'note': not a sheet\n  -> do this"


def test_what_is_no_csv(tmp_path: Path) -> None:
    file = tmp_path / "sheet.csv"
    file.write_text("name\n" + "x" * 200_000)
    with pytest.raises(DataError, match=r"not CSV: field larger than .*\n  -> save the sheet as CSV in UTF-8"):
        read_sheet(file, ("name",), "a sheet", "do this")


def test_the_second_one_is_told_and_the_folder_is_free_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with one_at_a_time(folder, "wait"):
        with pytest.raises(MachineError) as told, one_at_a_time(folder, "wait"):
            pass
        assert str(told.value) == f"{folder}: another run is writing here\n  -> wait"
    with one_at_a_time(folder, "wait"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot write: Not a directory"), one_at_a_time(tmp_path / "file/x", "wait"):
        pass


def test_one_mistake_stands_alone_and_of_many_the_first_five() -> None:
    mistakes = [Mistake(f"a.csv:{n}", f"wrong {n}") for n in range(1, 8)]
    assert str(refuse(mistakes[:1], "a.csv", "fix it")) == "a.csv:1: wrong 1\n  -> fix it"
    shown = "".join(f"\n  a.csv:{n}: wrong {n}" for n in range(1, 6))
    assert str(refuse(mistakes, "a.csv", "fix them")) == f"a.csv: 7 mistakes{shown}\n  and 2 more\n  -> fix them"
