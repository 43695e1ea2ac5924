"""The data stages on a Ray cluster: the same bytes as on this machine."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path

import pytest

from lextune.apps.cli.main import main
from lextune.core.artifacts import Artifact
from lextune.pipeline import Recipe, run

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
TEXT = "Page {n}\n\nThis agree-\nment is made with Mr. John Smith, john{n}@example.com, on 1 May 20{n}.\n\nIt ends."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    (path / "sub").mkdir(parents=True)
    for n in range(10, 22):
        (path / "sub" / f"{n}.txt").write_text(TEXT.format(n=n), encoding="utf-8")
    (path / "copy.txt").write_text(TEXT.format(n=10), encoding="utf-8")
    (path / "page.html").write_bytes("<h1>Lease</h1><p>of a café".encode())
    (path / "says.docx").write_bytes(b"no Word file at all")
    (path / "empty.txt").write_bytes(b"")
    (path / "bad.pdf").write_bytes(b"%PDF-1.4 cut")
    (path / "notes.csv").write_bytes(b"a,b")
    os.mkfifo(path / "pipe.txt")
    return path


def both(command: list[str], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> list[Artifact]:
    """Run a command here and on the cluster, and return what it made."""
    made = []
    for where, extra in (("here", []), ("there", ["--ray", "local"])):
        out = tmp_path / f"{name}-{where}"
        with pytest.raises(SystemExit) as ended:
            main(["data", *command, "--out", str(out), "--json", *extra])
        printed = capsys.readouterr()
        assert ended.value.code == 0, printed.err
        made.append(Artifact.open(out))
        assert json.loads(printed.out)["hash"] == made[-1].hash
    return made


def test_every_stage_makes_the_same_artifact(
    folder: Path, tmp_path: Path, ray_logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "keys" / "key"
    key.parent.mkdir()
    imported = both(["import", str(folder)], tmp_path, "import", capsys)
    assert imported[0].manifest.summary["n_out"] >= 14
    assert imported[0].manifest.summary["rejects"] >= 4
    stages = [("clean", []), ("dedupe", ["--threshold", "0.5"]), ("pseudonymise", ["--mode", "mask"])]
    made = imported
    for stage, options in stages:
        made += (pair := both([stage, str(imported[0].path), *options], tmp_path, stage, capsys))
        assert pair[0].manifest.summary != imported[0].manifest.summary
    for here, there in zip(made[::2], made[1::2], strict=True):
        assert here.hash == there.hash
        assert here.manifest.config == there.manifest.config
        assert here.manifest.inputs == there.manifest.inputs
    here, there = both(["pseudonymise", str(imported[0].path), "--key", str(key)], tmp_path, "pseudonym", capsys)
    texts = [a.file("documents.jsonl").read_text().replace(a.manifest.config["vault"], "") for a in (here, there)]
    assert texts[0] == texts[1]
    assert "[PERSON_1]" in texts[0]
    logs = b"".join(file.read_bytes() for file in ray_logs.rglob("*") if file.is_file())
    assert logs
    assert not [word for word in ("John Smith", "@example.com", key.read_text().strip()) if word.encode() in logs]


def test_families_are_the_same(
    folder: Path, tmp_path: Path, ray_logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, _ = both(["import", str(folder)], tmp_path, "import", capsys)
    found = []
    for extra in ([], ["--ray", "local"]):
        for level in ("document", "clause"):
            with pytest.raises(SystemExit):
                main(["data", "dedupe", str(here.path), "--report-only", "--level", level, "--json", *extra])
            found.append(json.loads(capsys.readouterr().out))
    assert found[:2] == found[2:]
    assert found[0]["families"]


def test_a_recipe_cleans_there_and_its_artifacts_stay_the_same(tmp_path: Path, ray_logs: Path) -> None:
    recipe = Recipe.model_validate({"name": "try", "clean": {}})
    data = str(resources.files("lextune.resources").joinpath("sample_contracts"))
    here, there = (
        run(recipe, out=tmp_path / f"{ray}", data=data, until="clean", ray=ray)[-1].artifact for ray in (None, "local")
    )
    assert (here.path.name, here.hash) == (there.path.name, there.hash)
    assert here.manifest.summary["n_out"] > 1
    noted: list[str] = []
    run(Recipe(name="try"), out=tmp_path / "plain", data=data, until="documents", ray="local", note=noted.append)
    assert "--ray: nothing to do there, this recipe cleans no documents" in noted


def refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main(["data", *command])
    return ended.value.code, capsys.readouterr().err


def test_what_a_cluster_cannot_do_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"instruction":"a","output":"b"}\n', encoding="utf-8")
    out = ["--out", str(tmp_path / "out"), "--ray", "local"]
    assert refused(["import", str(rows), *out], capsys) == (
        2,
        "error: --ray: only a folder of documents is read side by side\n  -> leave it out\n",
    )
    assert refused(["clean", str(folder), *out, "--workers", "2"], capsys) == (
        2,
        "error: --workers: processes of this machine, and a cluster works\n  -> leave it out\n",
    )
