"""Which labels a spot check looks at.

A *label* is what a document says of one field: present, with quotes, or absent. Two designs:

- `random`: every label has the same chance, a simple random sample. Most labels of most datasets are absent ones.
- `strata`: half of the sheet are present labels and half absent ones, each half spread over the fields in proportion
  (a systematic sample in the order of the fields). The error rate then weights the halves by what they stand for.

The sample is a pure function of the dataset's hash, the seed, n and the design, all of which are in the sheet's name,
so that verdicts can be read back with nothing but the CSV and the dataset. Labels are drawn by a hash of seed,
document and field: no random generator whose numbers another version could change.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from lextune.core.errors import DataError
from lextune.data.quality import Read

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Design = Literal["random", "strata"]
PRESENT, ABSENT = "present", "absent"
HASH = 12  # characters of the dataset's hash in the sheet's name


class Chosen(NamedTuple):
    """A label that was drawn: its name on the sheet, the document (its place and id) and the field."""

    id: str
    place: int
    document: str
    field: str
    present: bool


class Plan(NamedTuple):
    """Which labels a sheet holds. `sizes` counts the labels of the dataset, present and absent."""

    sheet: str
    design: Design
    sizes: Mapping[str, int]
    chosen: tuple[Chosen, ...]


def plan_sheet(read: Read, dataset: str, *, n: int, seed: int = 0, design: Design = "random") -> Plan:
    """Draw the labels of a sheet.

    Args:
        read: the documents; read twice.
        dataset: the dataset's hash.
        n: labels wanted; all of them where there are fewer.
        seed: draws other labels.
        design: see the module.

    Raises:
        DataError: the dataset has no labels.
    """
    import numpy as np

    names: dict[str, int] = {}
    keys, places, fields, present = array("Q"), array("Q"), array("L"), array("B")
    for place, document in enumerate(read()):
        for field, label in document.labels.items():
            keys.append(_key(seed, document.id, field))
            places.append(place)
            fields.append(names.setdefault(field, len(names)))
            present.append(label.present)
    if not keys:
        raise DataError("no document has labels", do="give a dataset with annotations")
    ranks = {name: rank for rank, name in enumerate(sorted(names))}
    by_name = np.array([ranks[name] for name in names])[np.array(fields)]
    there = np.array(present, dtype=bool)
    drawn = _draw(np.array(keys), by_name, there, (n, seed, design))
    drawn = drawn[np.lexsort((by_name[drawn], np.array(places)[drawn]))]
    sheet = f"{design}-{n}-{seed}-{dataset[:HASH]}"
    all_names = list(names)
    wanted = [(places[i], all_names[fields[i]], bool(there[i])) for i in drawn.tolist()]
    ids = _ids(read, {place for place, _, _ in wanted})
    return Plan(
        sheet=sheet,
        design=design,
        sizes={PRESENT: int(there.sum()), ABSENT: int((~there).sum())},
        chosen=tuple(
            Chosen(f"{sheet}-{number:03d}", place, ids[place], field, yes)
            for number, (place, field, yes) in enumerate(wanted, start=1)
        ),
    )


def _key(seed: int, *words: str) -> int:
    """Return 64 bits that look random."""
    text = "\0".join([str(seed), *words]).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def _draw(
    keys: NDArray[np.uint64], fields: NDArray[np.int64], present: NDArray[np.bool_], how: tuple[int, int, Design]
) -> NDArray[np.int64]:
    """Return the places of the labels drawn."""
    import numpy as np

    n, seed, design = how
    if design == "random":
        return np.argsort(keys, kind="stable")[:n]
    there, missing = np.flatnonzero(present), np.flatnonzero(~present)
    half = min(len(there), max((n + 1) // 2, n - len(missing)))
    parts: list[NDArray[np.int64]] = []
    for members, size in ((there, half), (missing, min(len(missing), n - half))):
        ordered = members[np.lexsort((keys[members], fields[members]))]
        step = len(members) / size if size else 0.0
        start = _key(seed, str(len(parts))) / 2**64 * step
        parts.append(ordered[[min(len(members) - 1, math.floor(start + k * step)) for k in range(size)]])
    return np.concatenate(parts).astype(np.int64)


def _ids(read: Read, places: set[int]) -> dict[int, str]:
    return {place: document.id for place, document in enumerate(read()) if place in places}
