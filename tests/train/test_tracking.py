"""Trackers: what is missing is said at once, each run has a name and an end, and no key is written anywhere."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
import sys
import types
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import MachineError
from lextune.core.stage import Context
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.train import tracking
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.stages import PreflightConfig, run_preflight, run_sft
from lextune.train.tag import train_tag
from lextune.train.tracking import check_trackers, run_name, told
from lextune.train.trainer import trainer_arguments

CONFIG = TrainConfig(batch=4, steps=2, evaluations=1, lora=LoraSettings(r=2))
KEY = "local-0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("name", "package"),
    [("wandb", "wandb"), ("mlflow", "mlflow"), ("trackio", "trackio"), ("tensorboard", "tensorboardX")],
)
def test_a_missing_package_is_said_before_anything_is_done(
    name: str, package: str, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    config = PreflightConfig(
        task="clause-extraction",
        schema_name="clauses-47",
        base=base.name,
        window=WindowConfig(),
        train=CONFIG.model_copy(update={"report_to": (name,)}),
    )
    for stage in (run_preflight, run_sft):
        with pytest.raises(MachineError) as caught:
            stage(config, {}, tmp_path, Context())  # it has no inputs to read
        assert caught.value.exit_code == 3
        assert str(caught.value) == f"train.report_to: {name}: {name} is not installed\n  -> pip install {package}"


def test_any_package_of_a_tracker_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package == "tensorboardX" or None)
    check_trackers(())
    check_trackers(("tensorboard",))


def test_a_run_is_called_after_recipe_and_stage() -> None:
    assert run_name("demo", Path("runs/demo/.sft-0123456789ab.partial")) == "demo sft-0123456789ab"
    assert run_name("", Path("somewhere/out")) == "out"


def test_progress_tells_loss_and_speed() -> None:
    assert told({"loss": 0.51234, "tokens_per_second": 1234.5}) == "loss 0.512, 1,234 tokens/s"
    assert told({"loss": 2.0}) == "loss 2.000"


def test_nobody_is_contacted_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKIO_SPACE_ID", raising=False)
    arguments = trainer_arguments(CONFIG, tmp_path, seed=0, steps=2)
    assert arguments["report_to"] == []
    assert arguments["trackio_space_id"] is None, "transformers would make a space on the hub"
    monkeypatch.setenv("TRACKIO_SPACE_ID", "me/mine")
    assert trainer_arguments(CONFIG, tmp_path, seed=0, steps=2)["trackio_space_id"] == "me/mine"


def test_tensorboard_has_each_run_beside_the_artifacts_and_no_key_is_written(
    base: Base,
    windows: dict[str, list[WindowExample]],
    seal: Callable[..., Artifact],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("WANDB_API_KEY", "HF_TOKEN", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.setenv(variable, KEY)
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)

    def fill(folder: Path) -> None:
        for part in ("train", "validation"):
            write_jsonl(folder / f"{part}.jsonl", windows[part])

    config = PreflightConfig(
        task="clause-extraction",
        schema_name=_schema(tmp_path),
        base=base.name,
        window=WindowConfig(),
        train=CONFIG.model_copy(update={"report_to": ("tensorboard",)}),
    )
    inputs = {"examples": seal("examples", fill)}
    inputs["preflight"] = seal("preflight", lambda folder: run_preflight(config, inputs, folder, Context()))
    notes: list[str] = []
    context = Context(0, lambda done, total, note: notes.append(note), {"name": "try"})
    adapter = seal("adapter", lambda folder: run_sft(config, inputs, folder, context))
    (events,) = (adapter.path.parent / "tensorboard").glob("try-adapter-*/events.out.tfevents.*")
    logged = events.read_bytes()
    for name in ("train/loss", "eval/loss", "train/grad_norm", "train/tokens_per_second", "train/memory_mib"):
        assert name.encode() in logged
    assert notes[-1].endswith("tokens/s")
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in written if KEY.encode() in file.read_bytes()]
    assert {"training.html", "training.svg", "log.jsonl"} <= set(adapter.manifest.files)
    page = adapter.file("training.html").read_text()
    for quantity in ("loss", "learning rate", "gradient norm", "tokens/s", "memory, MiB", "perplexity"):
        assert (f">{quantity}" in page) == (quantity != "perplexity"), "a tagger has no perplexity"
    assert adapter.file("training.svg").read_text().count("var(--") == 0


def _schema(folder: Path) -> str:
    path = folder / "small.yaml"
    fields = "".join(f'  - {{name: {name}, type: boolean, question: "?"}}\n' for name in ("Law", "Term", "Audit"))
    path.write_text(f"name: small\nfields:\n{fields}")
    return str(path)


def test_what_a_tracker_has_open_ends_with_the_training(
    base: Base, windows: dict[str, list[WindowExample]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    fake = types.SimpleNamespace(finish=lambda: ended.append("wandb"))
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr(tracking, "_end_runs", lambda names, real=tracking._end_runs: real([*names, "wandb"]))

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    train_tag(base, windows, ("Law", "Term", "Fee"), CONFIG, tmp_path / "a", RunOptions(0))
    assert ended == ["wandb"]
    with pytest.raises(KeyboardInterrupt):
        train_tag(base, windows, ("Law", "Term", "Fee"), CONFIG, tmp_path / "b", RunOptions(0, stop))
    assert ended == ["wandb", "wandb"]


def _in_mlflow(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        (name,) = store.execute("select name from runs").fetchone()
        assert name == "demo sft-0123"
        return {key for (key,) in store.execute("select key from metrics")}


def _in_wandb(folder: Path) -> set[str]:
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    written = file.read_bytes()
    assert b"demo sft-0123" in written
    return {name.decode() for name in re.findall(rb"(?:train|eval)/[a-z_]+", written)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the trackers' own making
@pytest.mark.parametrize(("name", "read"), [("mlflow", _in_mlflow), ("wandb", _in_wandb)])
def test_a_tracker_leaves_its_log_on_this_machine(
    name: str,
    read: Callable[[Path], set[str]],
    base: Base,
    windows: dict[str, list[WindowExample]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With nothing set but W&B's offline mode, in the folder that the command was called in."""
    monkeypatch.chdir(tmp_path)
    for variable in ("MLFLOW_TRACKING_URI", "WANDB_DIR", "WANDB_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(variable, value)
    config = CONFIG.model_copy(update={"report_to": (name,)})
    train_tag(base, windows, ("Law", "Term", "Fee"), config, tmp_path / "out", RunOptions(0, name="demo sft-0123"))
    logged = {each.removeprefix("train/").replace("/", "_") for each in read(tmp_path)}
    wanted = {"loss", "grad_norm", "learning_rate", "tokens_per_second", "memory_mib"}
    assert {*wanted, "eval_loss"} <= logged
