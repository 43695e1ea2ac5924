"""Datasets without personal data, and back: sealed artifacts of documents, read and written a row at a time."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from lextune.core.artifacts import Artifact, derive_folder, read_jsonl, write_jsonl
from lextune.core.cluster import spread
from lextune.core.errors import DataError, MachineError, UserError, shorten
from lextune.core.parallel import cores
from lextune.core.records import Document
from lextune.data.privacy.beside import Beside, copy_others, each_string
from lextune.data.privacy.kinds import KINDS, Kind, masked
from lextune.data.privacy.pseudonyms import Mask, Namer, Pseudonyms, Style
from lextune.data.privacy.rewrite import TAG, Found, look, replace_personal, restore_document
from lextune.data.privacy.vault import Vault, load_key, make_key, new_id, read_vault, write_vault

Mode = Literal["pseudonym", "mask"]
DOCUMENTS = "documents.jsonl"
SHOWN = 5
FEW = 64  # documents searched in this process before others are started
AHEAD = 4  # documents that wait for each core: what bounds the memory


class Options(NamedTuple):
    """How personal data is replaced.

    `style` is what pseudonyms look like; `key` the file of the vault's key, None for $LEXTUNE_PRIVACY_KEY; `earlier`
    a vault to go on from, so that its people keep their pseudonyms in this dataset. `ray` is the address of a cluster
    that looks for personal data: it gets the documents, and neither key nor vault.
    """

    mode: Mode = "pseudonym"
    style: Style = "placeholder"
    kinds: tuple[Kind, ...] = KINDS
    key: Path | None = None
    earlier: Path | None = None
    ray: str | None = None


def check_options(mode: str, style: str, kinds: tuple[Kind, ...], key: Path | None, earlier: Path | None) -> Options:
    """Return the options of these values.

    Raises:
        UserError: a mode or a style that does not exist, or a key or a vault for a mask, which has no way back.
    """
    for name, value, allowed in (("--mode", mode, get_args(Mode)), ("--style", style, get_args(Style))):
        if value not in allowed:
            raise UserError(f"no {name[2:]} {value!r}", where=name, do=f"use {' or '.join(allowed)}")
    if mode == "mask" and (key or earlier):
        raise UserError("a mask has no key and no vault", where="--mode mask", do="leave out --key and --vault")
    return Options(mode, style, kinds, key, earlier)  # type: ignore[arg-type]  # checked above


@contextlib.contextmanager
def prepared_key(out: Path, options: Options) -> Iterator[bool]:
    """Make the key where its file does not exist yet, and say whether it was made.

    Where what is done with it fails, a key that was made is taken away again, unless a vault is locked with it.

    Raises:
        UserError: the output's vault exists, the key would lie in the dataset, or an earlier vault needs a key that is
            not there.
        MachineError: the file cannot be written.
    """
    if options.mode == "pseudonym":
        _check_places(out, options)
    if options.mode == "mask" or options.key is None or options.key.exists() or options.earlier:
        yield False
        return
    make_key(options.key)
    try:
        yield True
    except BaseException:
        if not vault_path(out).exists():
            options.key.unlink(missing_ok=True)
        raise


def vault_path(out: Path) -> Path:
    """Return where the vault of a dataset is written: beside its folder."""
    out = out.resolve()  # "." has no name
    return out.with_name(f"{out.name}.vault")


def pseudonymise_dataset(source: Artifact, out: Path, options: Options) -> Artifact:
    """Write a dataset with its personal data replaced, and, beside it, the vault that leads back.

    Args:
        source: an artifact of kind `documents`.
        out: the folder to write.
        options: mode, kinds, key.

    Returns:
        The new artifact; its summary counts what was replaced by kind.

    Raises:
        UserError: the folder or the vault exists, the key would lie in the dataset, or there is no key.
        DataError: the dataset is pseudonymised already; the earlier vault does not open.
    """
    out = out.resolve()  # sealing replaces the folder, which may be the one that this process is in
    if options.mode == "mask":
        return _build(source, out, "mask", _settings(options), lambda to: _write(source, to, options, Mask(), {}))
    _check_places(out, options)
    key = load_key(options.key)
    earlier = read_vault(options.earlier, key) if options.earlier else Vault((), Pseudonyms(options.style))
    pseudonyms, name = earlier.pseudonyms, new_id()
    pseudonyms.style = options.style

    def make(folder: Path) -> dict[str, Any]:
        summary = _write(source, folder, options, pseudonyms, {TAG: name})
        write_vault(vault_path(out), Vault((*earlier.ids, name), pseudonyms), key)
        return summary

    try:
        return _build(source, out, "pseudonymise", {**_settings(options), "vault": name}, make)
    except BaseException:
        if not out.exists():
            vault_path(out).unlink(missing_ok=True)
        raise


def restore_dataset(source: Artifact, vault_file: Path, key_file: Path | None, out: Path) -> Artifact:
    """Write a pseudonymised dataset as it was before.

    Raises:
        DataError: the vault does not open with this key, is damaged, or is another dataset's.
        UserError: the folder exists, or there is no key.
    """
    vault = read_vault(vault_file, load_key(key_file))
    ids = set(vault.ids)

    def documents() -> Iterator[Document]:
        for document in read_jsonl(source.file(DOCUMENTS), Document):
            if document.tags.get(TAG) not in ids:
                raise DataError(
                    "this vault is of another dataset"
                    if TAG in document.tags
                    else "this dataset has documents that were not pseudonymised",
                    where=f"{source.path}: {shorten(document.id, 60)}",
                    do="give the vault that was written beside the dataset it was made as",
                )
            yield restore_document(document, vault.pseudonyms)

    def make(folder: Path) -> dict[str, Any]:
        count = write_jsonl(folder / DOCUMENTS, documents())
        copy_others(source, folder, DOCUMENTS, partial(each_string, change=vault.pseudonyms.restore))
        return {"n_in": count, "n_out": count, "n_dropped": 0}

    return _build(source, out, "restore", {"vault": vault.ids[-1]}, make)


class Personal(NamedTuple):
    """What was found in documents: how many they are, counts by kind, and a few values of each, masked."""

    documents: int
    counts: dict[str, int]
    documents_with: dict[str, int]
    examples: dict[str, list[str]]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return self._asdict()


def list_personal(documents: Iterable[Document], kinds: Sequence[Kind] = KINDS, shown: int = SHOWN) -> Personal:
    """Count the personal data of documents by kind; values are shown masked, and never over 80 characters."""
    counts: Counter[str] = Counter()
    having: Counter[str] = Counter()
    examples: dict[str, list[str]] = {kind: [] for kind in kinds}
    number = 0
    for document, rows in _searched(documents, tuple(kinds), reversible=False):
        number += 1
        found = [(document.text, f) for f in rows.text]
        found += [(text, f) for text, row in rows.others.items() for f in row if text != document.id]
        counts.update(f.kind for _, f in found)
        having.update({f.kind for _, f in found})
        for text, finding in found:
            value = shorten(masked(text[finding.start : finding.end]))
            if len(examples[finding.kind]) < shown and value not in examples[finding.kind]:
                examples[finding.kind].append(value)
    ordered: dict[str, int] = {kind: counts[kind] for kind in kinds}
    return Personal(number, ordered, {kind: having[kind] for kind in kinds}, examples)


def _check_places(out: Path, options: Options) -> None:
    if vault_path(out).exists():
        raise UserError(
            "this vault exists already", where=str(vault_path(out)), do="choose another --out, or remove it"
        )
    if options.key is not None and out.resolve() in options.key.resolve().parents:
        raise UserError(
            "the key must not lie in the dataset", where=str(options.key), do="keep it in a folder of its own"
        )


def _settings(options: Options) -> dict[str, Any]:
    """Return what the manifest says of the options: nothing of key or vault."""
    return {"mode": options.mode, "style": options.style, "kinds": list(options.kinds)}


def _build(
    source: Artifact, out: Path, stage: str, config: dict[str, Any], make: Callable[[Path], dict[str, Any]]
) -> Artifact:
    return derive_folder(out, source, (stage, 2), config, make)


def _searched(
    documents: Iterable[Document], kinds: tuple[Kind, ...], *, reversible: bool, ray: str | None = None
) -> Iterator[tuple[Document, Found]]:
    """Yield each document with what was found in it, in order; many are searched on all cores, or on a cluster."""
    documents = iter(documents)
    search = partial(look, kinds=kinds, reversible=reversible)
    if ray is not None:
        yield from _side_by_side(search, documents, ray)
        return
    for document in itertools.islice(documents, FEW):
        yield document, search(document)
    first = next(documents, None)
    if first is None:
        return
    try:
        yield from _side_by_side(search, itertools.chain([first], documents))
    except BrokenProcessPool:
        raise MachineError(
            "a process that looks for personal data was killed", where="privacy", do="free memory, and run it again"
        ) from None


def _side_by_side(
    search: Callable[[Document], Found], documents: Iterable[Document], ray: str | None = None
) -> Iterator[tuple[Document, Found]]:
    workers = cores()
    pool = partial(ProcessPoolExecutor, workers, mp_context=get_context("spawn"))
    yield from spread(search, documents, pool, AHEAD * workers, ray=ray)


def _write(source: Artifact, folder: Path, options: Options, namer: Namer, tags: dict[str, str]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    changed = 0
    reversible = options.mode == "pseudonym"
    beside = Beside(options.kinds, namer, reversible=reversible)

    def documents() -> Iterator[Document]:
        nonlocal changed
        rows_in = read_jsonl(source.file(DOCUMENTS), Document)
        searched = _searched(rows_in, options.kinds, reversible=reversible, ray=options.ray)
        for number, (document, found) in enumerate(searched, start=1):
            if reversible and TAG in document.tags:
                raise DataError(
                    "this dataset is pseudonymised already",
                    where=f"{source.path}: {shorten(document.id, 60)}",
                    do="restore it first, or use it as it is",
                )
            rows = [found.text, *found.others.values()]
            counts.update(f.kind for row in rows for f in row if f.kind != "literal")
            changed += any(rows)
            new = replace_personal(document, found, namer, tags)
            if not reversible and new.id != document.id:
                # two masked ids could be the same, and any of them another's: the dataset's own hash is in no id of it
                new = new.model_copy(update={"id": f"document-{number}-{source.hash[:8]}"})
            if any(rows):
                beside.learn(document, new, found)
            yield new

    count = write_jsonl(folder / DOCUMENTS, documents())
    copy_others(source, folder, DOCUMENTS, beside.rewritten)
    totals = {kind: counts[kind] for kind in options.kinds}
    return {"n_in": count, "n_out": count, "n_dropped": 0, "changed": changed, "found": totals}
