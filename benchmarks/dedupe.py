"""Measure near-duplicates: `python -m benchmarks.dedupe [--quick]`.

Three things are shown on texts that are made here, from raw text to verified families:

- the time against datasketch's MinHash and LSH on the same rows, with the same number of slots and bands and with
  every candidate counted exactly by both, in turns (A B A B);
- the share of pairs with Jaccard similarity at or over 0.8 that are found among 5,000 documents, against the product
  of the document x shingle matrix with itself, which counts all pairs;
- time and peak memory for clause-length rows of three sizes, each read from a file by a process of its own.

Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks._command import say
from lextune.data.dedupe import NEAR_DUPLICATE, Near, near_duplicates, shingles
from lextune.data.minhash import banding
from lextune.data.synthesis import generate
from lextune.expert.schema import load_schema

THRESHOLD = NEAR_DUPLICATE.jaccard
SEED = 11
DOCUMENTS = 5_000
PAIRED_ROWS, PAIRED_RUNS = 10_000, 5
SIZES = (100_000, 300_000, 1_000_000)
QUICK_SIZES = (20_000, 60_000, 200_000)
RECENT = 200  # an edited text is of one of so many before it


def vocabulary() -> list[str]:
    """Return the words of generated contracts, as often as they occur there."""
    return [word for d in generate(12, SEED, schema=load_schema("clauses-47")) for word in d.text.split()]


def make_texts(count: int, words: tuple[int, int], seed: int, changes: int) -> Iterator[str]:
    """Yield texts: two thirds fresh, a quarter edits of a recent one, the rest forms with a name filled in.

    Args:
        count: how many.
        words: the least and the greatest length of a fresh text.
        seed: draws everything.
        changes: an edit replaces, cuts or adds up to so many words.
    """
    rng = random.Random(seed)
    vocab = vocabulary()
    known = sorted(set(vocab))
    forms = [rng.choices(vocab, k=rng.randint(*words)) for _ in range(40)]
    recent: list[list[str]] = []
    for number in range(count):
        kind = rng.random()
        if kind < 0.08:
            text = [*rng.choice(forms), f"party{rng.randrange(50 * len(forms))}"]
        elif kind < 0.33 and recent:
            text = edited(rng.choice(recent), known, rng, changes)
        else:
            text = [*rng.choices(vocab, k=rng.randint(*words)), f"n{number}"]
        if len(recent) < RECENT:
            recent.append(text)
        else:
            recent[rng.randrange(RECENT)] = text
        yield " ".join(text)


def edited(text: Sequence[str], words: Sequence[str], rng: random.Random, changes: int) -> list[str]:
    """Return a copy with a few words replaced, cut or added."""
    made = list(text)
    for _ in range(rng.randint(0, changes)):
        place, kind = rng.randrange(len(made)), rng.random()
        if kind < 0.4:
            made[place] = rng.choice(words)
        elif kind < 0.7 and len(made) > 10:
            del made[place]
        else:
            made.insert(place, rng.choice(words))
    return made


def datasketch_families(texts: Sequence[str]) -> list[set[int]]:
    """Return families by datasketch's own pipeline, every candidate verified by exact Jaccard similarity."""
    from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

    cut = banding(THRESHOLD)
    sets = [shingles(text) for text in texts]
    coded = ([word.encode() for word in row] for row in sets)
    sketches = MinHash.bulk(coded, num_perm=cut.bands * cut.rows)
    index = MinHashLSH(num_perm=cut.bands * cut.rows, params=(cut.bands, cut.rows))
    family = list(range(len(texts)))

    def root(node: int) -> int:
        while family[node] != node:
            family[node] = family[family[node]]
            node = family[node]
        return node

    for place, sketch in enumerate(sketches):
        for other in index.query(sketch):
            one, two = sets[place], sets[other]
            common = len(one & two)
            if common >= THRESHOLD * (len(one) + len(two) - common):
                first, second = sorted((root(place), root(other)))
                family[second] = first
        index.insert(place, sketch, check_duplication=False)
    groups: dict[int, set[int]] = defaultdict(set)
    for place in range(len(texts)):
        groups[root(place)].add(place)
    return [group for group in groups.values() if len(group) > 1]


def paired(rows: int, runs: int) -> dict[str, Any]:
    """Time both pipelines on the same rows in turns; return the median of the ratios."""
    texts = list(make_texts(rows, (25, 65), SEED, 2))
    near_duplicates(texts[:100])  # tables are made once
    ratios = []
    for run in range(runs):
        start = time.perf_counter()
        theirs = datasketch_families(texts)
        middle = time.perf_counter()
        ours = [set(family) for family in near_duplicates(texts, THRESHOLD).repeated()]
        end = time.perf_counter()
        ratios.append((middle - start) / (end - middle))
        same = sum(family in ours for family in theirs)
        say(
            f"{rows} rows, run {run + 1}: datasketch {middle - start:.2f} s, lextune {end - middle:.3f} s, "
            f"{ratios[-1]:.1f} times; families {len(theirs)} and {len(ours)}, {same} the same"
        )
    return {"ratio_datasketch": round(statistics.median(ratios), 2), "ratios": [round(r, 2) for r in ratios]}


def all_pairs(texts: Sequence[str]) -> set[tuple[int, int]]:
    """Return all pairs at or over the threshold, by counting every pair that has a shingle in common."""
    import numpy as np
    from scipy.sparse import csr_array

    sets = [shingles(text) for text in texts]
    number: dict[str, int] = {}
    columns = [number.setdefault(shingle, len(number)) for row in sets for shingle in row]
    sizes = np.array([len(row) for row in sets])
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    matrix = csr_array((np.ones(len(columns), np.int32), columns, bounds), shape=(len(sets), len(number)))
    found = set()
    for first in range(0, len(sets), 256):
        common = (matrix[first : first + 256] @ matrix.T).tocoo()
        a, b = common.row + first, common.col
        alike = (a < b) & (common.data >= THRESHOLD * (sizes[a] + sizes[b] - common.data))
        found |= set(zip(a[alike].tolist(), b[alike].tolist(), strict=True))
    return found


def recall(count: int) -> dict[str, Any]:
    """Return the share of the true pairs that are listed, and that are in one family."""
    texts = list(make_texts(count, (200, 600), SEED + 1, 12))
    truth = all_pairs(texts)
    near: Near = near_duplicates(texts, THRESHOLD)
    listed = {(pair.a, pair.b) for pair in near.pairs()}
    family = near.root[near.row_of]
    together = sum(bool(family[a] == family[b]) for a, b in truth)
    say(f"{count} documents: {len(truth)} pairs, {len(truth & listed)} listed, {together} in one family")
    return {
        "recall": round(len(truth & listed) / len(truth), 5),
        "recall_families": round(together / len(truth), 5),
        "pairs": len(truth),
        "wrong": len(listed - truth),
    }


def read_rows(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as stream:
        yield from stream


def peak_mib() -> int:
    """Return the most memory this process has held; getrusage would count what its parent held before exec."""
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(line.split()[1]) / 1024)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def work(path: Path) -> None:
    """Find the families of the rows of a file; print time and memory (the process does nothing else)."""
    start = time.perf_counter()
    near = near_duplicates(read_rows(path), THRESHOLD)
    sizes = [len(family) for family in near.repeated()]
    found = {
        "rows": len(near.row_of),
        "seconds": round(time.perf_counter() - start, 2),
        "peak_mib": peak_mib(),
        "families": len(sizes),
        "in_families": sum(sizes),
        "largest": max(sizes, default=0),
    }
    print(json.dumps(found))


def scale(sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield what each size took."""
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = Path(folder) / "rows.txt"
            with path.open("w", encoding="utf-8") as stream:
                stream.writelines(f"{text}\n" for text in make_texts(size, (25, 65), SEED + 2, 2))
            command = [sys.executable, "-m", "benchmarks.dedupe", "--worker", str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            megabytes = path.stat().st_size / 1e6
            say(
                f"{size} rows ({megabytes:.0f} MB): {found['seconds']} s, peak {found['peak_mib']} MiB, "
                f"{found['families']} families of {found['in_families']} rows, the largest {found['largest']}"
            )
            yield found


def main() -> None:
    """Print the results."""
    if sys.argv[1:2] == ["--worker"]:
        work(Path(sys.argv[2]))
        return
    quick = "--quick" in sys.argv[1:]
    result = paired(PAIRED_ROWS, 3 if quick else PAIRED_RUNS) | recall(DOCUMENTS)
    runs = list(scale(QUICK_SIZES if quick else SIZES))
    result |= {key: runs[-1][key] for key in ("rows", "seconds", "peak_mib", "families")}
    result["linear"] = [{key: run[key] for key in ("rows", "seconds", "peak_mib")} for run in runs]
    small, large = runs[0], runs[-1]
    per_row = (large["seconds"] / large["rows"]) / (small["seconds"] / small["rows"])
    result["cost_per_row_largest_to_smallest"] = round(per_row, 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
