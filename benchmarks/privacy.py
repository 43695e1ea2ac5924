"""Personal data found, and what replacing it costs: `python -m benchmarks.privacy [--quick]`.

`missed` are planted values of which something is left, of 50 each (`tests/data/privacy/planted.json`). `per_contract`
is what is found in a contract, by kind; `mb_per_second` how fast. `cost` is the micro field F1 of the `linear`
baseline, trained on contracts as they are, with pseudonyms, and masked, on the same held-out contracts as they are,
with the paired difference. `--quick` reads 120 contracts.

The contracts are those of $LEXTUNE_CUAD, else of `../shared/cuad`, else the package's own samples, which are easy.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._command import contracts
from lextune.core.records import Document
from lextune.data.importers.cuad import import_cuad
from lextune.data.privacy.cost import Setting, f1_cost, rewrite_all
from lextune.data.privacy.find import find_personal
from lextune.expert.schema import load_schema
from lextune.expert.templates import Codec
from lextune.expert.weights import SMOLLM2, resolve_base

HERE = Path(__file__).resolve().parents[1]
HELD_OUT = 0.2
QUICK = 120
SEED = 1


def planted() -> dict[str, Any]:
    """Return, for each kind, how many values were planted and which are still there."""
    rows = json.loads((HERE / "tests/data/privacy/planted.json").read_text(encoding="utf-8"))
    result = {}
    for kind, texts in rows.items():
        values = [(row["text"], value) for row in texts for value in row["values"]]
        result[kind] = {"n": len(values), "missed": [value for text, value in values if survives(text, value)]}
    return result


def survives(text: str, value: str) -> bool:
    """Say whether a letter or digit of a value is in no finding."""
    covered = {at for f in find_personal(text) for at in range(f.start, f.end)}
    start = text.index(value)
    return any(text[at].isalnum() and at not in covered for at in range(start, start + len(value)))


def density(documents: Sequence[Document]) -> dict[str, Any]:
    """Return how much is found in a contract, and how fast."""
    counts: Counter[str] = Counter()
    started = time.perf_counter()
    for document in documents:
        counts.update(f.kind for f in find_personal(document.text))
    seconds = time.perf_counter() - started
    per_contract = {kind: round(n / len(documents), 2) for kind, n in counts.most_common()}
    speed = sum(len(d.text) for d in documents) / 1e6 / seconds
    return {"per_contract": per_contract, "mb_per_second": round(speed, 2)}


def cost(documents: Sequence[Document]) -> dict[str, Any]:
    """Return what pseudonyms and masks cost on held-out contracts."""
    order = list(documents)
    random.Random(SEED).shuffle(order)
    cut = round(HELD_OUT * len(order))
    held_out, train = order[:cut], order[cut:]
    setting = Setting(load_schema("clauses-47"), Codec(resolve_base(SMOLLM2).path), seed=SEED)
    found = {}
    for mode in ("pseudonym", "mask"):
        found[mode] = f1_cost(train, rewrite_all(train, mode), held_out, setting).as_json()
        print(mode, found[mode], file=sys.stderr, flush=True)
    return {"train": len(train), "held_out": len(held_out), **found}


def main() -> None:
    """Print the results; the last line of stdout is one JSON object."""
    folder, what = contracts()
    documents = import_cuad(folder, load_schema("clauses-47")).documents[: QUICK if "--quick" in sys.argv[1:] else None]
    result = {"contracts": len(documents), "data": what, "planted": planted(), **density(documents[:40])}
    print(json.dumps({**result, "cost": cost(documents)}))


if __name__ == "__main__":
    main()
