"""The screen: at least the share that was asked for passes where it was fitted, and what is empty is skipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lextune.core.errors import DataError
from lextune.core.records import Document
from lextune.expert.held_out import HeldOut
from lextune.expert.screen import PRIOR, Screen, fit_screen

FIELDS, WINDOWS, SIZE = 3, 30, 4


def as_it_is(_: Sequence[HeldOut]) -> np.ndarray:
    """The logits are log odds already."""
    return np.array([[1.0, 0.0]] * FIELDS)


@pytest.fixture
def held(document_of: Callable[[str], Document]) -> Callable[..., list[HeldOut]]:
    def make(documents: int, *, apart: float = 3.0, seed: int = 0) -> list[HeldOut]:
        """Documents of 30 windows of 4 sentences; of each field 2 windows are labelled, which have higher logits."""
        random, out = np.random.default_rng(seed), []
        for _ in range(documents):
            truth = np.zeros((WINDOWS * SIZE, FIELDS), np.int8)
            for field in range(FIELDS):
                truth[random.choice(WINDOWS, 2, replace=False) * SIZE + random.integers(SIZE), field] = 1
            logits = (random.normal(-4, 1, truth.shape) + apart * truth).astype(np.float32)
            window_of = np.repeat(np.arange(WINDOWS), SIZE)
            out.append(HeldOut(document_of("x"), [], window_of, logits, truth))
        return out

    return make


def measured(screen: Screen, held: list[HeldOut]) -> tuple[float, float]:
    """Recall of labels and share of windows skipped, one window after another."""
    kept = labels = skipped = windows = 0
    for each in held:
        for window in range(WINDOWS):
            rows = each.window_of == window
            count = int((each.truth[rows] == 1).any(axis=0).sum())
            passes = screen.passes(each.logits[rows])
            labels, kept = labels + count, kept + count * passes
            windows, skipped = windows + 1, skipped + (not passes)
    return kept / labels, skipped / windows


@pytest.mark.parametrize("share", [0.8, 0.95, 0.98, 1.0])
def test_the_share_asked_for_passes(held: Callable[..., list[HeldOut]], share: float) -> None:
    fitted_on, others = held(40), held(60, seed=1)
    screen = fit_screen(fitted_on, share, as_it_is).screen
    recall, _ = measured(screen, fitted_on)
    assert share <= recall < share + 0.02
    recall, skipped = measured(screen, others)
    assert recall == pytest.approx(screen.recall, abs=0.06), "what it states was measured on others too"
    assert skipped == pytest.approx(screen.skipped, abs=0.06)
    assert (screen.share, screen.n_documents) == (share, 40)


def test_what_the_tagger_tells_apart_is_skipped(held: Callable[..., list[HeldOut]]) -> None:
    sharp, blunt = (fit_screen(held(40, apart=apart), 0.95, as_it_is).screen for apart in (9.0, 0.0))
    labelled = 1 - (1 - 2 / WINDOWS) ** FIELDS
    assert sharp.skipped == pytest.approx(1 - labelled, abs=0.02), "all windows without a label, and no other"
    assert blunt.skipped < 0.2


def test_a_lower_share_skips_more(held: Callable[..., list[HeldOut]]) -> None:
    skipped = [fit_screen(held(40), share, as_it_is).screen.skipped for share in (1.0, 0.98, 0.9, 0.5)]
    assert skipped == sorted(skipped)
    assert skipped[0] < skipped[-1]


def test_a_rare_field_takes_the_limit_of_all(held: Callable[..., list[HeldOut]]) -> None:
    """One field's logits are higher by 4: with many labels its limit is too, with three it is not."""

    def limits(labels: int) -> tuple[float, ...]:
        given = held(60)
        for number, each in enumerate(given):
            each.logits[:, 2] += 4
            if number >= labels:
                each.truth[:, 2] = 0
        return fit_screen(given, 0.9, as_it_is).screen.limits

    many, few = limits(60), limits(1)
    assert PRIOR > 2
    assert many[2] > many[0] + 2
    assert few[2] < few[0] + 1


@pytest.mark.parametrize("documents", [0, 1])
def test_too_little_to_fit_on_is_refused(held: Callable[..., list[HeldOut]], documents: int) -> None:
    with pytest.raises(DataError, match="a screen is fitted on two or more held-out documents with labels") as caught:
        fit_screen(held(documents), 0.98)
    assert caught.value.do == "give the split more validation documents, or leave the screen out"


@pytest.mark.parametrize("labelled", [1, 2, 3, 6])
def test_every_part_of_the_documents_has_labels(held: Callable[..., list[HeldOut]], labelled: int) -> None:
    """Where the few labels fell into one fold, limits were fitted on none."""
    given = held(6)
    for each in given[labelled:]:
        each.truth[:] = 0
    if labelled == 1:
        with pytest.raises(DataError, match="two or more held-out documents with labels"):
            fit_screen(given, 0.9)
        return
    screen, passes = fit_screen(given, 0.9)
    assert len(screen.limits) == FIELDS
    assert [len(each) for each in passes] == [WINDOWS] * 6


def test_a_document_passes_by_what_others_fitted(held: Callable[..., list[HeldOut]]) -> None:
    """The one document whose labels have low logits keeps them where it fits its own screen, and not here."""
    given = held(8, apart=9.0)
    odd = given[3]
    odd.logits[odd.truth == 1] = -6
    screen, passes = fit_screen(given, 1.0, as_it_is)
    labelled = np.logical_or.reduceat((odd.truth == 1).any(axis=1), odd.starts)
    assert measured(screen, [odd])[0] == 1
    assert not passes[3][labelled].all()
    assert screen.recall < 1
