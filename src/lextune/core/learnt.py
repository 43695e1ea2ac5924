"""What has been learnt from, and what a test holds back: both are known by hashes of words, and hold no word.

A split writes both: `test_lock.json` of its test documents, `learnt_from.json` of the others. The latter goes on with
the adapter that is trained on them, which adds what the adapter that it went on from had learnt from, and with the
release.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import Artifact

LEARNT_FILE = "learnt_from.json"
LOCK_FILE = "test_lock.json"
LEARNT_DIGITS = 16  # of a hash that are kept there: enough to tell, and a third of the size


class TestLock(BaseModel):
    """The test documents of one split. `texts` has the hash of the words of each by its id."""

    __test__ = False  # not a test of pytest's
    model_config = ConfigDict(frozen=True, extra="forbid")
    sha256: str
    texts: dict[str, str]

    def among(self, learnt: frozenset[str]) -> list[str]:
        """Return the ids of its documents that are among what was learnt from, as `read_learnt` returns that."""
        return [name for name, digest in self.texts.items() if digest[:LEARNT_DIGITS] in learnt]


def read_lock(split: Artifact) -> TestLock | None:
    """Return the lock of a split, None where it was made before there were locks."""
    if LOCK_FILE not in split.manifest.files:
        return None
    return TestLock.model_validate_json(split.file(LOCK_FILE).read_bytes())


def learnt_json(hashes: Iterable[str], tuned: Iterable[str] = ()) -> str:
    """Return what `learnt_from.json` holds of documents with these hashes: the first digits of each.

    Args:
        hashes: of all of them.
        tuned: of those that trained nothing, and chose weights and thresholds.
    """
    kept = {"texts": hashes, "tuned": tuned}
    return json.dumps(
        {name: sorted({digest[:LEARNT_DIGITS] for digest in each}) for name, each in kept.items()}, indent=0
    )


def read_learnt(file: Path) -> frozenset[str]:
    """Return the first digits of the hashes in a file of `learnt_json`; none where there is no file."""
    return frozenset(_kept(file).get("texts", ()))


def read_tuned(file: Path) -> frozenset[str]:
    """Return those of `read_learnt` that trained nothing; none where the file does not say which."""
    return frozenset(_kept(file).get("tuned", ()))


def read_trained(file: Path) -> frozenset[str]:
    """Return those of `read_learnt` that were trained on; none where the file does not say which."""
    return read_learnt(file) - read_tuned(file) if "tuned" in _kept(file) else frozenset()


def _kept(file: Path) -> dict[str, list[str]]:
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
