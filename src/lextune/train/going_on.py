"""Going on from an earlier adapter: what it had learnt from, and what its head knows of this schema's fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lextune.core.artifacts import Artifact, write_atomic
from lextune.core.counts import counted
from lextune.core.errors import DataError, ModelError, shorten
from lextune.core.learnt import LEARNT_FILE, learnt_json, read_learnt, read_lock, read_trained, read_tuned
from lextune.core.mistakes import first_five
from lextune.expert.head import HEAD_FILE, Head
from lextune.expert.released import find_adapter, learnt_file
from lextune.expert.weights import read_binding
from lextune.train.settings import TrainConfig

SETTING = "train.init_adapter"
KEEP = "keep the seed, the split and the data that it was trained with, or train without init_adapter"


def write_learnt(split: Artifact, earlier: str | None, out: Path, warn: Callable[[str], None]) -> None:
    """Write into `out` what its adapter will have learnt from: this split but its test, and what an earlier one did.

    Args:
        split: the documents of the run.
        earlier: `init_adapter`.
        out: the adapter's folder.
        warn: told where it is not known what the earlier adapter learnt from.

    Raises:
        ArtifactError: there is no such adapter.
        DataError: it learnt from documents that are held out here (the message has their number and the first five), or
            was trained on some that choose weights and thresholds here.
    """
    own = split.path / LEARNT_FILE
    known, tuned = read_learnt(own), read_tuned(own)
    if earlier is not None:
        file = learnt_file(find_adapter(earlier))
        if not file.is_file():
            warn(f"{SETTING}: {earlier} does not say what it learnt from, and may know what is held out here")
        lock, trained = read_lock(split), read_trained(file)
        held_out = lock.among(read_learnt(file)) if lock else []
        if held_out:
            what = f"the adapter to go on from has learnt from {counted(len(held_out), 'document')} of this test"
            raise DataError(
                "\n".join([what, *first_five([shorten(name, 60) for name in held_out])]),
                where=f"{SETTING}: {earlier}",
                do=KEEP,
            )
        if seen := len(tuned & trained):
            what = f"the adapter to go on from was trained on {counted(seen, 'document')} of this validation"
            raise DataError(f"{what}, which choose weights and thresholds", where=f"{SETTING}: {earlier}", do=KEEP)
        known, tuned = known | read_learnt(file), (tuned | read_tuned(file)) - (known - tuned)
    write_atomic(out / LEARNT_FILE, learnt_json(known, tuned))


def take_head(model: Any, fields: Sequence[str], config: TrainConfig) -> None:
    """Go on from the head of an earlier adapter: the rows of fields that it has by the same name; others begin anew.

    An adapter without a head, of another strategy, leaves the model's as it is.

    Args:
        model: with the head to fill, a row a field.
        fields: of the schema, in the order of the rows.
        config: with `init_adapter`.

    Raises:
        ModelError: its head does not say which fields it scores, or reads windows in another way.
    """
    import torch

    folder = find_adapter(str(config.init_adapter))
    if not (folder / HEAD_FILE).is_file():
        return
    head, scored = Head.load(folder), read_binding(folder).head_fields
    where = f"{SETTING}: {folder}"
    if head.attention != config.attention:
        raise ModelError(
            f"the head to go on from is of a model with {head.attention} attention (asked for: {config.attention})",
            where=where,
            do=f"set train.attention to {head.attention}, or train without init_adapter",
        )
    if len(scored) != head.fields:
        raise ModelError(
            "the head to go on from does not say which fields it scores",
            where=where,
            do="train that adapter again with this version, or train without init_adapter",
        )
    both = [(row, scored.index(name)) for row, name in enumerate(fields) if name in scored]
    with torch.no_grad():
        for row, earlier in both:
            model.head.weight[row] = torch.from_numpy(head.weight[earlier])
            model.head.bias[row] = float(head.bias[earlier])
