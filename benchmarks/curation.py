"""Measure the memory of curation: `python -m benchmarks.curation [--quick]`.

Every `lextune data` command that reads a data set, and the stages `documents`, `clean`, `split` and `examples` of a
recipe, run on texts of several sizes that are made here: rows of instructions, rows of chats, labelled contracts of
50,000 characters. Of each run are shown the seconds and the peak of the resident memory of the command and all
processes that it starts; of each command, the slope: what a further 1,000 rows or contracts add to that peak.

Resident memory counts the pages of temporary files that a command has mapped; the system takes these back when
memory is short. `anonymous` is the peak without them.

Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks._command import say
from lextune.core.records import Document
from lextune.data.synthesis import generate
from lextune.expert.schema import load_schema

SEED = 23
CHARACTERS = 50_000  # of a contract
POOL = 300  # contracts that the others are made of
CHANGED = 0.15  # share of the words that are another one of the same length
MEGABYTES, QUICK_MEGABYTES = (50, 100, 200), (1, 2)
CONTRACTS, QUICK_CONTRACTS = (1_000, 2_000, 4_000), (20, 40)
EVERY = 0.05  # seconds between two looks at the processes
LABELS = 7  # of so many labels the second annotator gives all but one
CHAT_FORMATS = ("chat", "alpaca", "sharegpt", "prompt-completion")
_WORD = re.compile(r"[A-Za-z]{3,}")
_RECIPE = """\
name: curation
task: clause-extraction
schema_name: clauses-47
base: smollm2-135m
clean: {}
train: {strategy: tag}
"""


class Wording:
    """Texts from which others are made: the words by length, and the paragraphs, of generated contracts."""

    def __init__(self, contracts: int) -> None:
        self.documents = generate(contracts, SEED, schema=load_schema("clauses-47"))
        paragraphs = {p for d in self.documents for p in d.text.split("\n\n") if len(p) > 200}
        self.paragraphs = sorted(paragraphs)
        self.words: dict[int, list[str]] = defaultdict(list)
        for word in sorted({w for p in self.paragraphs for w in _WORD.findall(p)}):
            self.words[len(word)].append(word)
        self._places = {text: [m.span() for m in _WORD.finditer(text)] for text in self.paragraphs}
        self._places |= {d.text: [m.span() for m in _WORD.finditer(d.text)] for d in self.documents}

    def changed(self, text: str, rng: random.Random, closed: bytes = b"") -> str:
        """Return a known text with some words replaced by others of the same length, but where `closed` says 1."""
        places = self._places[text]
        out = list(text)
        for start, end in rng.sample(places, round(CHANGED * len(places))):
            if not any(closed[start:end]):
                out[start:end] = rng.choice(self.words[end - start])
        return "".join(out)


def person(rng: random.Random, wording: Wording) -> str:
    """Return a line with a name, an address and a telephone number of its own."""
    given = rng.choice(("Margaret", "Robert", "Jennifer", "William", "Patricia", "David", "Susan", "Charles"))
    surname = "".join(rng.choice(wording.words[4])).capitalize() + rng.choice(("son", "man", "field", "worth", "ton"))
    mail = f"{given}.{surname}{rng.randrange(10_000)}@example.com".lower()
    phone = f"({rng.randrange(201, 989)}) 555-{rng.randrange(10_000):04d}"
    return f"By: {given} {surname}\nEmail: {mail}\nPhone: {phone}"


def instructions(wording: Wording, size: int) -> Iterator[dict[str, Any]]:
    """Yield rows of instruction, input and output, some with a person; `size` bytes in all."""
    rng = random.Random(SEED)
    tasks = ("Which clause is this?", "Summarise the clause in plain English.", "Who has to act, and by when?")
    number = 0
    while size > 0:
        number += 1
        said = wording.changed(rng.choice(wording.paragraphs), rng)
        if rng.random() < 0.1:
            said = f"{said}\n{person(rng, wording)}"
        row = {"id": f"row-{number}", "instruction": f"{rng.choice(tasks)} (Matter {number})", "input": said[:1200],
               "output": wording.changed(rng.choice(wording.paragraphs), rng)[:300]}  # fmt: skip
        size -= len(json.dumps(row, ensure_ascii=False)) + 1
        yield row


def preferences(wording: Wording, size: int) -> Iterator[dict[str, Any]]:
    """Yield the same as preference pairs."""
    for row in instructions(wording, size):
        asked = f"{row['instruction']}\n{row['input']}"
        yield {"id": row["id"], "prompt": asked, "chosen": row["output"], "rejected": row["output"][::-1]}


def chats(wording: Wording, size: int) -> Iterator[dict[str, Any]]:
    """Yield rows of messages: a system message, two to four questions with answers; `size` bytes in all."""
    rows = instructions(wording, size)
    rng = random.Random(SEED + 1)
    system = {"role": "system", "content": "You are a careful contract lawyer. Answer briefly."}
    while turns := [row for _, row in zip(range(rng.randint(2, 4)), rows, strict=False)]:
        said = [
            {"role": role, "content": text}
            for row in turns
            for role, text in (("user", f"{row['instruction']}\n{row['input']}"), ("assistant", row["output"]))
        ]
        yield {"id": f"chat-{turns[0]['id']}", "messages": [system, *said]}


def contracts(wording: Wording, count: int) -> Iterator[dict[str, Any]]:
    """Yield contracts as doccano exports them: a labelled one with changed words, then paragraphs of others."""
    rng = random.Random(SEED + 2)
    for number in range(count):
        base = wording.documents[rng.randrange(len(wording.documents))]
        text = wording.changed(base.text, rng, _quoted(base)) + f"\n{person(rng, wording)}\n"
        parts, length = [text], len(text)
        while length < CHARACTERS:
            parts.append(wording.changed(rng.choice(wording.paragraphs), rng))
            length += len(parts[-1]) + 2
        spans = [
            [place.start, place.end, name]
            for name, label in base.labels.items()
            for occurrences in label.spans
            for place in occurrences[:1]
        ]
        yield {"id": f"contract-{number}", "text": "\n\n".join(parts), "label": spans}


def _quoted(document: Document) -> bytes:
    """Return, for each character, whether a label quotes it."""
    out = bytearray(len(document.text))
    for label in document.labels.values():
        for span in (span for occurrences in label.spans for span in occurrences):
            out[span.start : span.end] = b"\1" * (span.end - span.start)
    return bytes(out)


def write_annotators(folder: Path, wording: Wording, count: int) -> int:
    """Write contracts that two annotators labelled, as doccano exports them; return how many rows there were."""
    folder.mkdir()
    second = ({**row, "label": [one for n, one in enumerate(row["label"]) if n % LABELS]} for row in
              contracts(wording, count))  # fmt: skip
    return write(folder / "first.jsonl", contracts(wording, count)) + write(folder / "second.jsonl", second)


def write(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    """Write rows as JSON Lines and return how many there were."""
    count = 0
    with path.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


class Measured(NamedTuple):
    """One run: memory in MiB."""

    seconds: float
    peak: int
    anonymous: int


def _memory(pid: int) -> tuple[int, int]:
    """Return the resident memory of a process, and what of it no file stands behind, in KiB."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "RssAnon"):
            found[name] = int(value.split()[0])
    return found.get("VmRSS", 0), found.get("RssAnon", 0)


def measure(command: Sequence[str]) -> Measured:
    """Run lextune and watch it and all processes it starts.

    Raises:
        RuntimeError: it failed; the message has the end of what it said.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        run = subprocess.Popen([str(Path(sys.executable).with_name("lextune")), *command], stdout=said, stderr=said)
        tree, peak, anonymous = psutil.Process(run.pid), 0, 0
        while run.poll() is None:
            total = bare = 0
            try:
                for each in (tree, *tree.children(recursive=True)):
                    resident, own = _memory(each.pid)
                    total, bare = total + resident, bare + own
            except (psutil.NoSuchProcess, OSError):
                continue
            peak, anonymous = max(peak, total), max(anonymous, bare)
            time.sleep(EVERY)
        if run.returncode:
            said.seek(0)
            raise RuntimeError(f"lextune {' '.join(command)}: exit {run.returncode}\n{said.read()[-2000:]}")
    return Measured(round(time.perf_counter() - started, 1), peak >> 10, anonymous >> 10)


class Job(NamedTuple):
    """One command: its name, its arguments, and the folders or files that it writes."""

    name: str
    command: tuple[object, ...]


def row_jobs(source: Path, folder: Path, formats: Sequence[str] = CHAT_FORMATS) -> Iterator[Job]:
    """Yield what is run on rows; the first makes the data set of the others."""
    data, key = folder / "data", folder / "key"
    sealed = folder / "pseudonyms"
    yield Job("import", ("import", source, "--out", data))
    yield Job("clean", ("clean", data, "--out", folder / "clean"))
    yield Job("dedupe", ("dedupe", data, "--out", folder / "dedupe"))
    yield Job("dedupe --level clause", ("dedupe", data, "--level", "clause", "--report-only"))
    yield Job("conflicts", ("conflicts", data))
    yield Job("spotcheck", ("spotcheck", data, "--html", folder / "sheet.html", "--csv", folder / "sheet.csv"))
    yield Job("personal", ("personal", data))
    yield Job("pseudonymise", ("pseudonymise", data, "--out", sealed, "--key", key))
    vault = folder / "pseudonyms.vault"
    yield Job("restore", ("restore", sealed, "--vault", vault, "--key", key, "--out", folder / "restored"))
    yield Job("pseudonymise --mode mask", ("pseudonymise", data, "--mode", "mask", "--out", folder / "masked"))
    yield Job("card", ("card", data, "--html", folder / "card.html"))
    yield Job("diff", ("diff", data, sealed))
    if formats:
        yield Job("preview", ("preview", data, "--base", "smollm2-135m", "--strategy", "text"))
    for each in formats:
        yield Job(f"export {each}", ("export", data, "--format", each, "--out", folder / f"{each}.jsonl"))


def preference_jobs(source: Path, folder: Path) -> Iterator[Job]:
    """Yield what only preference pairs have."""
    yield Job("import", ("import", source, "--out", folder / "data"))
    yield Job(
        "export preference", ("export", folder / "data", "--format", "preference", "--out", folder / "pairs.jsonl")
    )


def contract_jobs(source: Path, folder: Path) -> Iterator[Job]:
    """Yield what is run on labelled contracts: stages of a recipe, and what reads labels."""
    data, recipe = folder / "data", folder / "recipe.yaml"
    recipe.write_text(_RECIPE, encoding="utf-8")
    yield from row_jobs(source, folder, ())
    for stage in ("documents", "clean", "split", "examples"):
        run = ("run", recipe, "--data", data, "--until", stage, "--out", folder / "run")
        yield Job(f"run --until {stage}", run)
    yield Job("suspects", ("suspects", data))


def annotator_jobs(source: Path, folder: Path) -> Iterator[Job]:
    """Yield what compares annotators."""
    yield Job("import", ("import", source, "--out", folder / "data", "--format", "doccano"))
    yield Job("agreement", ("agreement", folder / "data"))


def arguments(job: Job) -> list[str]:
    """Return the arguments of `lextune`."""
    return [str(word) for word in (job.command if job.command[0] == "run" else ("data", *job.command))]


def slope(sizes: Sequence[int], peaks: Sequence[int]) -> float:
    """Return the MiB that a further thousand of what is counted add: the line through the first and last size."""
    return round(1000 * (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0]), 2)


class Kind(NamedTuple):
    """Texts of one kind: how many of what, how they are written, what is run on them."""

    sizes: Sequence[int]
    make: Callable[[Path, int], int]
    jobs: Callable[[Path, Path], Iterator[Job]]


def kinds(wording: Wording, quick: bool) -> dict[str, Kind]:
    """Return the kinds of texts by name; sizes are bytes of rows, and numbers of contracts."""
    sizes = [1_000_000 * size for size in (QUICK_MEGABYTES if quick else MEGABYTES)]
    counts = QUICK_CONTRACTS if quick else CONTRACTS
    return {
        "instructions": Kind(sizes, lambda path, size: write(path, instructions(wording, size)), row_jobs),
        "chats": Kind(sizes, lambda path, size: write(path, chats(wording, size)), row_jobs),
        "preferences": Kind(sizes[:2], lambda path, size: write(path, preferences(wording, size)), preference_jobs),
        "contracts": Kind(counts, lambda path, size: write(path, contracts(wording, size)), contract_jobs),
        "annotators": Kind(counts[:2], lambda path, size: write_annotators(path, wording, size), annotator_jobs),
    }


def run_kind(name: str, kind: Kind) -> dict[str, Any]:
    """Run all commands on all sizes of one kind; return rows and MB of each size, and what each command took."""
    sizes, took = [], defaultdict[str, list[Measured]](list)
    for size in kind.sizes:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "rows.jsonl" if name != "annotators" else "rows")
            rows = kind.make(source, size)
            sizes.append(rows)
            for job in kind.jobs(source, Path(folder)):
                found = measure(arguments(job))
                took[job.name].append(found)
                say(f"{rows} {name}: {job.name}: {found.seconds} s, {found.peak} MiB, anonymous {found.anonymous}")
    commands = {
        job: {
            "seconds": [found.seconds for found in runs],
            "peak_mib": [found.peak for found in runs],
            "anonymous_mib": [found.anonymous for found in runs],
            "mib_per_thousand": slope(sizes, [found.peak for found in runs]),
        }
        for job, runs in took.items()
    }
    return {"rows": sizes, "commands": commands}


def main() -> None:
    """Print the results of all kinds, or of those that are named."""
    quick = "--quick" in sys.argv[1:]
    named = [word for word in sys.argv[1:] if not word.startswith("-")]
    every = kinds(Wording(60 if quick else POOL), quick)
    print(json.dumps({name: run_kind(name, kind) for name, kind in every.items() if not named or name in named}))


if __name__ == "__main__":
    main()
