"""Train, validation and test: families stay together, types, laws and lengths are spread, and nothing leaks.

The split is a pure function of the documents, their families and the config. Families are ordered by a hash
of seed and name, so the order of the files does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import model_validator

from lextune.core.errors import DataError, shorten
from lextune.core.files import read_text
from lextune.core.mistakes import first_five
from lextune.core.recipe import Config
from lextune.core.records import Document, Drop
from lextune.data.dedupe import LEAK, Near, opening, overlaps, own_words
from lextune.data.importers.cuad_json import read_squad
from lextune.data.importers.names import match_names
from lextune.data.stratify import Item, item, spread

Split = Literal["train", "validation", "test"]
Place = Split | None  # None: left out
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
BEYOND = "in no part of the split: beyond the sizes asked for"
LIKE_TEST = "in no part of the split: like an official test contract"
TOO_LARGE = "in no part of the split: of a family of {} documents that share much wording, too large for every part"
COUNTED = 10_000  # leaks beyond so many are not counted: two copies of one row in n places are n^2 pairs


class SplitConfig(Config):
    """How documents are divided.

    A part is a share of the documents (under 1) or a count of them (1 or more, whole). Documents beyond what
    is asked for are left out of the split. With `mode: official` the shares are of the documents that are not
    in the official test part.
    """

    mode: Literal["random", "official"] = "random"
    """`random`, or `official`, where `official_test` names the test contracts."""
    train: float | None = None
    """Share or count of training documents; null for the rest."""
    validation: float = 0.15
    """Share or count of validation documents."""
    test: float = 0.2
    """Share or count of test documents; not used with `official`."""
    seed: int = 0
    """Draws which documents go where."""
    official_test: Path | None = None
    """File of the test contracts: one a line, or JSON in SQuAD's layout."""

    @model_validator(mode="after")
    def _consistent(self) -> SplitConfig:
        sizes = [size for size in (self.train, self.validation, self.test) if size is not None]
        if any(size < 0 or (size >= 1 and size != int(size)) for size in sizes):
            raise ValueError("a part is a share under 1 or a whole number of documents")
        shares = sum(size for size in sizes if size < 1)
        if self.mode == "random" and shares > 1 + 1e-9:
            raise ValueError(f"the shares add up to {shares:.2f}, more than 1")
        if self.mode == "official" and self.official_test is None:
            raise ValueError("mode: official needs official_test, the file that names the test contracts")
        return self


class Division(NamedTuple):
    """The part of each document by id, and why each other is in none; both in the documents' order."""

    parts: dict[str, Split]
    reasons: dict[str, str]


class Leak(NamedTuple):
    """Two documents in different parts that share too much wording; see `lextune.data.dedupe`."""

    a: str
    b: str
    split_a: Split
    split_b: Split
    jaccard: float
    containment: float


def split_documents(
    documents: Sequence[Document], families: Iterable[Sequence[str]], config: SplitConfig
) -> dict[str, Split]:
    """Put each document in one part; as `divide`, for documents at hand."""
    return divide([item(document) for document in documents], families, config).parts


def divide(items: Sequence[Item], families: Iterable[Sequence[str]], config: SplitConfig) -> Division:
    """Put each document in one part.

    A family that is larger than what is left of every part goes into training, unless training is a count.

    Args:
        items: the documents, with unique ids.
        families: groups of document ids that must stay together, every document in exactly one; make them
            with `families(documents, LEAK)` for a split that passes `check_leakage`.
        config: sizes, seed, mode.

    Returns:
        The part of each document. Left out are documents beyond the sizes asked for, families that are too large
        for every part and, with `official`, relatives of test contracts.

    Raises:
        DataError: ids are repeated, families do not cover the documents, there are too few documents for the
            counts or for a part to have any, or the official list is missing or names unknown contracts.
    """
    families = list(families)
    _check_cover(items, families)
    assigned: dict[str, Place] = {}
    reasons: dict[str, str] = {}
    if config.mode == "official":
        test = _official_test(items, config)
        assigned.update((name, "test") for name in test)
        like_test = [family for family in families if test.intersection(family)]
        reasons = {name: LIKE_TEST for family in like_test for name in family}
        families = [family for family in families if not test.intersection(family)]
    known = {document.id: document for document in items}
    targets = _targets(sum(map(len, families)), config)
    overflow: Place = "train" if config.train is None or 0 < config.train < 1 else None
    assigned |= spread([[known[name] for name in family] for family in families], targets, config.seed, overflow)
    reasons |= {name: TOO_LARGE.format(len(family)) for family in families for name in family if name not in assigned}
    parts = {document.id: part for document in items if (part := assigned.get(document.id)) is not None}
    _check_filled(parts, families, config)
    return Division(parts, {d.id: reasons.get(d.id, BEYOND) for d in items if d.id not in parts})


def left_out(division: Division) -> list[Drop]:
    """Return a Drop for each document that is in no part."""
    return [Drop(what="document", where=name, reason=reason) for name, reason in division.reasons.items()]


def leakage(documents: Sequence[Document], assignment: Mapping[str, Split]) -> list[Leak]:
    """Return the pairs of documents in different parts whose own words are as alike as `LEAK` says, in order."""
    shared = opening(documents)
    near = overlaps((own_words(document, shared) for document in documents), LEAK)
    return sorted_leaks(near, [document.id for document in documents], assignment)


def sorted_leaks(near: Near, ids: Sequence[str], assignment: Mapping[str, Split]) -> list[Leak]:
    """Return the first `COUNTED` pairs across the split of what was found to be alike, in the documents' order.

    Args:
        near: which documents are alike.
        ids: theirs, in the same order.
        assignment: the part of each id; one that is missing is in none.
    """
    import numpy as np

    number = {part: place for place, part in enumerate(SPLITS)}
    parts = np.array([number[assignment[name]] if name in assignment else -1 for name in ids], np.int64)
    return [
        Leak(ids[a], ids[b], assignment[ids[a]], assignment[ids[b]], jaccard, containment)
        for a, b, jaccard, containment in sorted(islice(near.crossing(parts), COUNTED))
    ]


def check_leakage(documents: Sequence[Document], assignment: Mapping[str, Split]) -> None:
    """Refuse a split across which documents share too much wording.

    Raises:
        DataError: some do; the message has their number and the first five pairs.
    """
    refuse_leaks(leakage(documents, assignment))


def refuse_leaks(leaks: Sequence[Leak]) -> None:
    """Refuse a split that has leaks.

    Raises:
        DataError: it has; the message has their number and the first five pairs.
    """
    if not leaks:
        return
    lines = first_five(
        [
            f"{shorten(leak.a, 60)} ({leak.split_a}) and {shorten(leak.b, 60)} ({leak.split_b}): "
            f"Jaccard {leak.jaccard:.2f}, containment {leak.containment:.2f}"
            for leak in leaks
        ]
    )
    number = f"{len(leaks)}{' or more' if len(leaks) == COUNTED else ''} pair{'' if len(leaks) == 1 else 's'}"
    raise DataError(
        "\n".join([f"{number} of near-duplicates across the split", *lines]),
        where="split",
        do="keep such documents in one family, or remove one of each pair, and split again",
    )


def _check_cover(documents: Sequence[Item], families: Sequence[Sequence[str]]) -> None:
    if not documents:
        raise DataError("no documents to split", where="split", do="import documents first")
    repeated = [name for name, count in Counter(document.id for document in documents).items() if count > 1]
    if repeated:
        what = f"{len(repeated)} document ids are used twice, first {shorten(repeated[0], 60)!r}"
        raise DataError(what, where="split", do="give every document an id of its own")
    covered = Counter(name for family in families for name in family)
    wrong = sorted({document.id for document in documents} ^ set(covered))
    wrong += [name for name, count in covered.items() if count > 1]
    if wrong:
        what = f"the families do not hold every document exactly once, first {shorten(wrong[0], 60)!r}"
        raise DataError(what, where="split", do="make the families from the same documents")


def _targets(total: int, config: SplitConfig) -> dict[Place, int]:
    """Return how many documents each part shall have, and how many stay out (None)."""
    sizes: dict[Split, float | None] = {
        "test": config.test if config.mode == "random" else 0,
        "validation": config.validation,
        "train": None if _complete(config) else config.train,
    }
    targets: dict[Place, int] = {}
    rest = total
    for part, size in sizes.items():
        if size is None:
            targets[part] = max(rest, 0)
        else:
            targets[part] = int(size) if size >= 1 else min(round(size * total), max(rest, 0))
        rest -= targets[part]
    if rest < 0:
        raise DataError(
            f"{total - rest} documents are asked for, there are {total}",
            where="split",
            do="ask for fewer, or for shares",
        )
    targets[None] = rest
    return targets


def _complete(config: SplitConfig) -> bool:
    """Say whether three shares add up to all documents: then rounding leaves none out."""
    test = 0 if config.mode == "official" else config.test
    return max(test, config.validation) < 1 and abs(test + config.validation + (config.train or 0) - 1) < 1e-9


def _check_filled(assignment: Mapping[str, Split], families: Sequence[Sequence[str]], config: SplitConfig) -> None:
    sizes = Counter(assignment.values())
    wanted = {"train": config.train, "validation": config.validation, "test": config.test}
    empty = [part for part in SPLITS if wanted[part] != 0 and not sizes[part]]
    if empty:
        largest, total = max(families, key=len, default=()), sum(map(len, families))
        what = f"too few documents: the part {empty[0]!r} is empty"
        if 2 * len(largest) > total > 2:
            what += (
                f"; {len(largest)} of {total} share so much wording that they stay together "
                f"(one of them is {shorten(largest[0], 60)!r})"
            )
        do = "bring more documents" + (", or set split.test: 0" if empty[0] == "test" else "")
        raise DataError(what, where="split", do=do)
    for part in SPLITS:
        size = wanted[part]
        official = part == "test" and config.mode == "official"
        if size is not None and size >= 1 and sizes[part] != size and not official:
            raise DataError(
                f"{part} has {sizes[part]} documents instead of {int(size)}: families cannot be divided",
                where="split",
                do=f"change split.{part} by one or two, or give a share",
            )


def _official_test(documents: Sequence[Item], config: SplitConfig) -> set[str]:
    """Return the ids of the documents that the official list names."""
    path = config.official_test
    assert path is not None  # the config's own check
    names = _official_names(path)
    matches = match_names(names, [document.name for document in documents])
    if matches.failures:
        index, reason = next(iter(matches.failures.items()))
        raise DataError(
            f"{len(matches.failures)} of {len(names)} official test contracts are not among the documents; "
            f"first {shorten(names[index], 60)!r} ({reason})",
            where=str(path),
            do="import all 510 contracts, or use split.mode: random",
        )
    return {documents[place].id for place in matches.pairs.values()}


def _official_names(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError(
            "no list of the official test contracts",
            where=str(path),
            do="give CUAD's test.json or a text file with a name a line as split.official_test",
        )
    if path.suffix.lower() == ".json":
        return [contract.title for contract in read_squad(path).data]
    names = [line.strip() for line in read_text(path)[1].splitlines() if line.strip()]
    if not names:
        raise DataError("the list of official test contracts is empty", where=str(path), do="a name a line")
    return names
