"""Import from any source: what formats there are, which one a source has, and the one way into a dataset.

`import_source` yields what a source holds, item by item; `take_in` writes the items to a folder, streaming:
`documents.jsonl`, `drops.jsonl` (what did not go on, each with its reason) and `nulls.json` (what the null contract
changed). Memory grows with the number of rows by a few hashes each, not with their length.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.artifacts import MANIFEST, Artifact, build_folder, write_atomic
from lextune.core.errors import DataError, UserError, shorten
from lextune.core.mistakes import Mistake
from lextune.core.records import Document, Drop
from lextune.core.stage import Summary
from lextune.data.importers.conversation import Shape
from lextune.data.importers.cuad import SQUAD_FILES, import_cuad
from lextune.data.importers.cuad_csv import TABLE
from lextune.data.importers.lines import Row
from lextune.data.importers.report import Item
from lextune.data.importers.rows import ENDINGS, head, is_row_file, is_table, read_rows
from lextune.data.importers.shapes import ID, check_keys, convert, detect, no_shape, shapes
from lextune.data.importers.snapshot import Snapshot
from lextune.data.importers.tally import Seen, Tally, repeated_id
from lextune.data.importers.turns import Wrong, nearest
from lextune.expert.schema import Schema
from lextune.expert.tasks import OUTPUT

AUTO = "auto"
_SQUAD = re.compile(rb'"paragraphs"\s*:|"data"\s*:\s*\[')


class Options(NamedTuple):
    """What may be asked of an import.

    `schema` names the fields of contracts; `ignore` are keys of rows to leave out; with `arguments` a function
    call in a log is learnt with its arguments, else by its name; `ocr` are the languages of scans in a folder, as
    tesseract names them (`eng`), None where scans are not recognised. `ray` is
    the address of a cluster that reads the documents of a folder.
    """

    schema: Schema
    ignore: tuple[str, ...] = ()
    arguments: bool = False
    ocr: str | None = None
    ray: str | None = None


class Format(NamedTuple):
    """One format: what it is, in a line, how it is read, and whether its documents are conversations."""

    line: str
    read: Callable[[Path, Options], Iterator[Item]]
    conversations: bool = False


def _rows(shape: str) -> Callable[[Path, Options], Iterator[Item]]:
    return lambda path, options: import_rows(path, shape, options)


def _cuad(path: Path, options: Options) -> Iterator[Item]:
    found = import_cuad(path, options.schema)
    yield from found.documents
    yield from found.rejects
    yield from found.nulls


def _label_studio(path: Path, options: Options) -> Iterator[Item]:
    from lextune.data.importers.annotations import read_label_studio

    return read_label_studio(path, options.schema)


def _doccano(path: Path, options: Options) -> Iterator[Item]:
    from lextune.data.importers.annotations import read_doccano

    return read_doccano(path, options.schema)


def _folder(path: Path, options: Options) -> Iterator[Item]:
    from lextune.data.importers.folder import read_folder
    from lextune.text.reading import Ocr

    return read_folder(path, ocr=Ocr(languages=options.ocr) if options.ocr else None, ray=options.ray)


FORMATS: dict[str, Format] = {
    "instruction": Format("rows of instruction, (input), output", _rows("instruction"), True),
    "alpaca": Format("the same, with Alpaca's system and history", _rows("instruction"), True),
    "chat": Format("rows of messages with role and content, the last of the assistant", _rows("chat"), True),
    "sharegpt": Format("rows of conversations with from and value", _rows("sharegpt"), True),
    "prompt-completion": Format("rows of prompt and completion", _rows("prompt-completion"), True),
    "preference": Format("rows of (prompt), chosen and rejected", _rows("preference"), True),
    "openai-log": Format("logged calls: request and response; a function call is a class", _rows("openai-log"), True),
    "classification": Format("rows of text and label, (labels)", _rows("classification"), True),
    "multiple-choice": Format("rows of question, choices and answer", _rows("multiple-choice"), True),
    "statute-qa": Format("rows of question, answer and articles, (context)", _rows("statute-qa"), True),
    "translation": Format("rows of source and target, (from, to)", _rows("translation"), True),
    "cuad": Format("contracts in one of CUAD's two layouts", _cuad),
    "label-studio": Format("Label Studio's JSON export of labelled spans", _label_studio),
    "doccano": Format("doccano's JSONL export of labelled spans", _doccano),
    "folder": Format("a folder of PDF, DOCX, TXT, HTML and EML files, without labels", _folder),
}
"""Every format by its name; rows are in JSON Lines (also .gz), a JSON array, CSV, TSV, Parquet or Excel."""


def import_source(path: Path, options: Options, format: str = AUTO) -> Iterator[Item]:
    """Yield what a source holds, in its order.

    Args:
        path: a file or folder.
        options: schema and what else may be asked.
        format: a name of `FORMATS`, or `auto`.

    Raises:
        DataError: no such format or source, a source whose format cannot be told, or one that cannot be read.
    """
    return FORMATS[find_format(path, format)].read(path, options)


def find_format(path: Path, format: str = AUTO) -> str:
    """Return the name of a source's format: the one given, or what the source looks like.

    Raises:
        DataError: no such format or source, or it looks like none.
    """
    if format not in (AUTO, *FORMATS):
        what = f"no format {format!r}{nearest(format, FORMATS)}"
        listing = "\n".join(f"     {name:18} {each.line}" for name, each in FORMATS.items())
        raise DataError(what, where="--format", do=f"use {AUTO} or one of\n{listing}")
    if not path.exists():
        raise DataError("no such file or folder", where=str(path), do="check the path")
    if format != AUTO:
        return format
    if path.is_dir():
        if (path / MANIFEST).is_file() and (path / "documents.jsonl").is_file():
            do = "go on with it as it is: clean, dedupe or export it, or run a recipe with --data"
            raise DataError("a dataset version already, no source", where=str(path), do=do)
        contracts = any((place / name).exists() for place in (path, path / "CUAD_v1") for name in (TABLE, *SQUAD_FILES))
        return "cuad" if contracts else "folder"
    if not is_row_file(path):
        do = f"give a folder of documents, or rows in a file that ends in {', '.join(ENDINGS)}"
        raise DataError("no known format", where=str(path), do=do)
    return _format_of_file(path)


def _format_of_file(path: Path) -> str:
    start = head(path).lstrip() if path.name.lower().endswith(".json") else b""
    if start.startswith(b"{") and _SQUAD.search(start):
        return "cuad"
    row = next((row for row in read_rows(path) if isinstance(row, Row)), None)
    if row is None:
        return "instruction"  # no row can be read: any reader says why
    keys = set(row.values)
    if ("data" in keys and "annotations" in keys) or "annotation_id" in keys:
        return "label-studio"
    spans = not isinstance(row.values.get("label"), str)  # else it is the text's one label
    if spans and keys & {"text", "data"} and keys & {"label", "labels", "entities"}:
        return "doccano"
    shape = detect(row.values, shapes())
    if shape is None:
        raise no_shape(row.values, row.where)
    return shape.name


def import_rows(path: Path, shape: str, options: Options) -> Iterator[Item]:
    """Yield what the rows of a file become.

    A row that brings no id of its own and repeats a question of another such row is a Drop.

    Args:
        path: the file.
        shape: a name of `lextune.data.importers.shapes.shapes`.
        options: keys to ignore, and what to learn of function calls.

    Raises:
        DataError: a table with unknown or missing columns, or see `lextune.data.importers.rows.read_rows`.
    """
    known: Shape = shapes(arguments=options.arguments)[shape]
    ids, answers, checked = Seen(), dict[bytes, bytes](), not is_table(path)
    for row in read_rows(path):
        if isinstance(row, Mistake):
            yield row
            continue
        if not checked:
            _check_columns(known, row, options.ignore)
            checked = True
        document, *rest = convert(known, row, options.ignore)
        if isinstance(document, Document):
            own = bool(row.values.get(ID)) and ID not in options.ignore
            if not own and (reason := _repeats(document, answers)):
                yield Drop(what="row", where=row.where, reason=reason)
                continue
            if ids.add(document.id):
                yield Mistake(row.where, repeated_id(document.id))
                continue
        yield document
        yield from rest


def _check_columns(shape: Shape, row: Row, ignore: tuple[str, ...]) -> None:
    """Refuse a table whose columns are wrong once, not once a row."""
    try:
        check_keys(shape, {key: value for key, value in row.values.items() if key not in ignore})
    except Wrong as error:
        do = "rename the column; `lextune data import --ignore NAME` leaves one out"
        raise DataError(f"{error} (a column)", where=row.where, do=do) from None


def _repeats(document: Document, seen: dict[bytes, bytes]) -> str | None:
    """Say why a row is of no use beside those seen; of a preference pair only the very same is."""
    answer = _digest([document.labels[OUTPUT].answer, document.rejected])
    question = document.sha256.encode() + (answer if document.rejected is not None else b"")
    before = seen.setdefault(hashlib.blake2b(question, digest_size=16).digest(), answer)
    if before is answer:
        return None
    return "a repeated row" if before == answer else "another output for the same question"


def _digest(value: Any) -> bytes:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=12).digest()


def take_in(items: Iterable[Item], folder: Path, source: Path, *, skip_bad: bool = False) -> Summary:
    """Write what a source holds to a folder, as it comes.

    Args:
        items: what `import_source` yields.
        folder: where `documents.jsonl`, `drops.jsonl` and `nulls.json` go (counts by field and raw value).
        source: named in errors.
        skip_bad: make every mistake a Drop instead of refusing the source.

    Returns:
        n_in = n_out + n_dropped, with the drops of parts of documents (`rejects` counts all), reasons, values that
        became null by field, and documents whose text holds a control token of some model (harmless: content never
        becomes one).

    Raises:
        DataError: mistakes (one error with their number and the first five), no document, or what the source's
            reader raises.
    """
    tally, seen = Tally(), Seen()
    with (
        (folder / "documents.jsonl").open("w", encoding="utf-8") as documents,
        (folder / "drops.jsonl").open("w", encoding="utf-8") as drops,
    ):
        for item in items:
            if isinstance(item, Document) and seen.add(item.id):
                item = Mistake(f"{source.name}, document {shorten(item.name, 60)}", repeated_id(item.id))
            if isinstance(item, Mistake) and skip_bad:
                item = Drop(what="row", where=item.where, reason=item.what)
            if isinstance(item, Document):
                tally.document(item)
                documents.write(item.model_dump_json() + "\n")
            elif isinstance(item, Drop):
                tally.drop(item)
                drops.write(item.model_dump_json() + "\n")
            elif isinstance(item, Mistake):
                tally.mistakes.add(item)
            else:
                tally.null(item)
    error = tally.error(source)
    if error is not None:
        raise error
    counts = {field: dict(raw.most_common()) for field, raw in sorted(tally.nulls.items())}
    write_atomic(folder / "nulls.json", json.dumps(counts, ensure_ascii=False, indent=1))
    return tally.summary()


def import_version(
    source: Path, folder: Path, options: Options, format: str = AUTO, *, skip_bad: bool = False
) -> Artifact:
    """Import a source as a dataset version: a sealed folder of kind `documents`, made whole or not at all.

    Its manifest records the format, the options and the hash of the source.

    Raises:
        DataError: see `import_source` and `take_in`.
        UserError: the folder holds something, or lies inside the source; a cluster for what is read as one file.
        MachineError: the disk is full or may not be written.
    """
    format = find_format(source, format)
    if options.ray is not None and format != "folder":
        raise UserError("only a folder of documents is read side by side", where="--ray", do="leave it out")
    if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
        raise UserError(
            "this is inside the source, which stays untouched", where=str(folder), do="choose another --out"
        )
    config = {
        "format": format,
        "schema": options.schema.name,
        "ignore": list(options.ignore),
        "arguments": options.arguments,
        "ocr": options.ocr,
        "skip_bad": skip_bad,
    }
    header = {"kind": "documents", "stage": "import", "stage_version": 2, "config": config, "seed": 0, "parents": {}}
    snapshot = Snapshot(source)

    def make(staging: Path) -> Summary:
        items = import_source(source, options, format)
        if format == "folder":  # of many documents, those that change are left out
            return take_in(snapshot.filtered(items), staging, source, skip_bad=skip_bad)
        summary = take_in(items, staging, source, skip_bad=skip_bad)
        snapshot.check()
        return summary

    return build_folder(folder, {**header, "inputs": {"source": snapshot.sha256}}, make)
