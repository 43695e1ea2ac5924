"""Documents that end the process that answers them: counted over runs, so that no batch stops at one for ever."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from lextune.core.artifacts import write_atomic
from lextune.core.errors import MachineError


class Deaths:
    """How many runs ended without a word while a document was answered.

    A note on the disk names the document that is answered. Where a run finds such a note, the run before it was killed,
    or ran out of memory, in the middle of that document. A count is kept until the document is finished.

    Args:
        note: the file; nobody else may write it.
    """

    def __init__(self, note: Path) -> None:
        self._note = note
        self._died, at_work = _read(note)
        if at_work is not None:
            self._died[at_work] = self._died.get(at_work, 0) + 1

    def of(self, key: bytes) -> int:
        """Return how many runs died of a document."""
        return self._died.get(key.hex(), 0)

    def begin(self, key: bytes) -> None:
        """Note that a document is answered now.

        Raises:
            MachineError: the disk is full or cannot be written.
        """
        self._write(key.hex())

    def finished(self, key: bytes) -> None:
        """Forget a document: it has come to an end. The disk learns of it with the next one."""
        self._died.pop(key.hex(), None)

    def spared(self) -> None:
        """Note that what ends this run is not the document that is answered."""
        with contextlib.suppress(MachineError):  # a full disk: counts are lost sooner than a document is blamed
            if self._died:
                self._write(None)
                return
        self._note.unlink(missing_ok=True)

    def _write(self, at_work: str | None) -> None:
        write_atomic(self._note, json.dumps({"at_work": at_work, "died": self._died}))


def _read(note: Path) -> tuple[dict[str, int], str | None]:
    """Return the counts, and the document that a run was at; nothing where there is no note or it is damaged."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        at_work = found["at_work"]
        return {str(key): int(runs) for key, runs in found["died"].items()}, at_work and str(at_work)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}, None
