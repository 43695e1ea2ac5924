"""The locked test: what may never be trained on, and the checks that refuse it.

A split records its test documents in `test_lock.json`: the id of each, and the hash of its words in order as its source
has them, without case, punctuation and white space. The hash over all of them stands in the card and in the summary, so
two scores are of the same test exactly when their hashes are equal. A test document is refused in training in two ways:

- by ancestry: what was made from test documents (predictions on them, their evaluation, a data set of the part)
  is not trained on, whatever it holds now;
- by content: a training document with the words of a test document of any split that it descends from is refused,
  whatever it is called now. An adapter that learnt from one is not gone on from (`lextune.train.going_on`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lextune.core.artifacts import Artifact
from lextune.core.errors import DataError, shorten
from lextune.core.learnt import LEARNT_DIGITS, TestLock, read_learnt, read_lock
from lextune.core.mistakes import first_five
from lextune.core.records import Document
from lextune.data.dedupe import wording
from lextune.text.edits import restore

TEST_KINDS = ("predictions", "evaluation")  # kinds that are made from the test part of a split
_WORD = re.compile(r"\w+")


class Overlap(NamedTuple):
    """A document that is in a locked test: its id, the id that it has there, and the hash of that lock."""

    id: str
    locked: str
    lock: str


def text_hash(document: Document) -> str:
    """Return the hex sha256 of a document's words in order, without case, punctuation and white space.

    They are those of its source: what cleaning changed is undone, so that it is known whether it was cleaned or not.
    """
    source = document.model_copy(update={"text": restore(document.text, document.edits)})
    words = " ".join(_WORD.findall(wording(source).casefold()))
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


def make_lock(texts: Mapping[str, str]) -> TestLock:
    """Return the lock of test documents.

    Args:
        texts: `text_hash` of each by its id.
    """
    lines = "".join(f"{name}\0{texts[name]}\n" for name in sorted(texts))
    digest = hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()
    return TestLock(sha256=digest, texts={name: texts[name] for name in sorted(texts)})


def learnt_from(file: Path, documents: Iterable[Document]) -> list[str]:
    """Return the ids of documents whose words are in a file of `learnt_json`; none where there is no file."""
    known = read_learnt(file)
    return [document.id for document in documents if text_hash(document)[:LEARNT_DIGITS] in known]


def overlaps_with(documents: Iterable[Document], locks: Iterable[TestLock]) -> Iterator[Overlap]:
    """Yield the documents whose words are those of a locked one; those without words are not compared."""
    names = {digest: (name, lock.sha256) for lock in locks for name, digest in lock.texts.items()}
    names.pop(hashlib.sha256(b"").hexdigest(), None)
    for document in documents if names else ():
        locked = names.get(text_hash(document))
        if locked is not None:
            yield Overlap(document.id, *locked)


def check_not_test(documents: Iterable[Document], *locks: TestLock, where: str = "train") -> None:
    """Refuse training documents that are in a locked test.

    Args:
        documents: read once.
        locks: the tests.
        where: what the documents are for, named in the error.

    Raises:
        DataError: some are; the message has their number and the first five.
    """
    found = list(overlaps_with(documents, locks))
    if found:
        lines = first_five(
            [shorten(o.id, 60) + (f" (there {shorten(o.locked, 60)})" if o.id != o.locked else "") for o in found]
        )
        one = len(found) == 1
        what = f"{len(found)} document{' is' if one else 's are'} in the locked test {found[0].lock[:12]}"
        raise DataError("\n".join([what, *lines]), where=where, do="take test documents out of what is trained on")


def refuse_locked(inputs: Mapping[str, Artifact], documents: Iterable[Document] = (), where: str = "train") -> None:
    """Refuse training on a locked test, by ancestry and by content.

    Args:
        inputs: the artifacts that training would read.
        documents: those it would learn from; read once.
        where: what the documents are for, named in the error.

    Raises:
        DataError: an input was made from test documents, or some documents have the words of test documents.
    """
    locks = []
    for name, artifact in inputs.items():
        for path in lineage(artifact):
            above = path[-1]
            if above.kind in TEST_KINDS or above.manifest.config.get("part") == "test":
                chain = " from ".join(shorten(step.path.name, 60) for step in path)
                raise DataError(
                    f"the input {name} was made from test documents: {chain}",
                    where=where,
                    do="train on what was made from the train part of a split",
                )
            lock = read_lock(above) if above.kind == "split" else None
            if lock is not None:
                locks.append(lock)
    check_not_test(documents, *locks, where=where)


def lineage(artifact: Artifact) -> Iterator[tuple[Artifact, ...]]:
    """Yield the ways from an artifact up to itself and each of its ancestors that is still there.

    Parents are looked for beside the artifact, as runs leave them, or where the manifest's full path says; one
    whose content is not what the manifest names is passed over, for it is another artifact.
    """
    seen: set[str] = set()

    def climb(way: tuple[Artifact, ...]) -> Iterator[tuple[Artifact, ...]]:
        last = way[-1]
        if last.hash in seen:
            return
        seen.add(last.hash)
        yield way
        for name, parent in last.manifest.parents.items():
            place = last.path.resolve().parent / Path(parent)
            if (place / "manifest.json").is_file():
                above = Artifact.open(place, verify=False)
                if above.hash == last.manifest.inputs.get(name):
                    yield from climb((*way, above))

    yield from climb((artifact,))
