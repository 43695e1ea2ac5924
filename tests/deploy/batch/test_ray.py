"""The same batch on a Ray cluster: the same records, kept by the machine that started it as they come."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace as Tools
from typing import Any

import pytest

from lextune.core.errors import ModelError
from lextune.core.records import Document
from lextune.deploy.batch.options import BatchOptions

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
OPTIONS = BatchOptions(ray="local", workers=2)


def sent(expert: Any) -> Any:
    """Return a start that brings its expert with it: nodes cannot import the tests."""
    import sys

    from ray import cloudpickle

    module = sys.modules[type(expert).__module__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return partial(cloudpickle.loads, cloudpickle.dumps(expert))
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def test_a_cluster_gives_the_same_records(batch: Any, tools: Tools, ray_logs: Path, tmp_path: Path) -> None:
    tools.write(batch.folder, **{f"n{n}": f"Ohio {n}" for n in range(12)})
    tools.write(batch.folder, empty="")
    (batch.folder / "page.html").write_text("<p>of Ohio")
    (batch.folder / "latin.txt").write_bytes(b"caf\xe9")
    here = batch.run()
    expected, batch.out = batch.records(), tmp_path / "there"
    limited = BatchOptions(ray="local", workers=2, limit=5)
    assert batch.run(options=limited, start=sent(tools.Scripted()))["documents"]["left"] == 10
    there = batch.run(options=OPTIONS, start=sent(tools.Scripted()))
    assert batch.records() == expected
    for part in ("documents", "fields", "types", "failures"):
        assert there[part] == here[part]
    assert there["ledger"]["tokens"] == here["ledger"]["tokens"]
    runs = [json.loads(line)["run"] for line in (batch.out / "journal.jsonl").read_text().splitlines()]
    assert runs == [1] * 5 + [2] * 10
    logs = b"".join(file.read_bytes() for file in ray_logs.rglob("*") if file.is_file())
    assert logs
    assert b"of Ohio" not in logs


class Killing:
    """An expert whose process ends at one document, or has no memory for it, and that refuses another."""

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Any:
        import os

        if document.name == "kills.txt":
            os._exit(9)
        if document.name == "huge.txt":
            raise MemoryError
        raise ModelError("no head")


@pytest.mark.parametrize("name", ["kills", "huge"])
def test_a_document_that_kills_its_worker_is_a_failure_and_a_broken_release_ends_the_batch(
    batch: Any, tools: Tools, ray_logs: Path, name: str
) -> None:
    tools.write(batch.folder, **{name: "x"})
    one = BatchOptions(ray="local", workers=1)
    summary = batch.run(options=one, start=sent(Killing()))
    assert summary["failures"] == {"the process that read it was killed, each time": 1}
    tools.write(batch.folder, refused="y")
    with pytest.raises(ModelError, match="no head"):
        batch.run(options=one, start=sent(Killing()))


class Unready:
    """An expert that no node can load."""

    def __reduce__(self) -> Any:
        return divmod, (1, 0)


def test_a_node_that_cannot_load_the_release_ends_the_batch(batch: Any, tools: Tools, ray_logs: Path) -> None:
    tools.write(batch.folder, a="x")
    with pytest.raises(ZeroDivisionError):
        batch.run(options=OPTIONS, start=sent(Unready()))
    assert not (batch.out / "records.jsonl").exists()
