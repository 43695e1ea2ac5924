"""The plots of a report: scores by field, and the curves of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lextune.core.errors import shorten
from lextune.core.figures import MARKERS, SERIES, page_svg
from lextune.evaluate.formatting import bounds, finite
from lextune.text.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABEL = 40  # characters of a name beside a plot


@dataclass(frozen=True)
class Series:
    """One arm of a plot: `points` maps names to scores `{value, low, high}`; a null is not drawn."""

    label: str
    points: Mapping[str, Any]


def field_plot(names: Sequence[str], series: Sequence[Series], *, label: str) -> str:
    """Draw scores with their intervals, a row a name, the first on top.

    Args:
        names: rows from top to bottom.
        series: at most three arms.
        label: what the plot shows, for those who cannot see it.

    Returns:
        an `<svg>` element; "" where there is nothing to draw.
    """
    drawn = [[(place, *bounds(one.points.get(name))) for place, name in enumerate(names)] for one in series]
    if not any(value is not None for points in drawn for _, value, _, _ in points):
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for index, points in enumerate(drawn):
            shift = 0.22 * (index - (len(drawn) - 1) / 2)
            colour, marker = SERIES[index], MARKERS[index]
            for place, value, low, high in points:
                if value is None:
                    continue
                if low is not None and high is not None:
                    axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=1.2)
                axes.plot([value], [place + shift], color=colour, marker=marker, markersize=4.5)
        axes.set_yticks(range(len(names)), [shorten(printable(name), LABEL) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("F1")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="both")

    return page_svg("fields", printable(label), (8.0, 0.9 + 0.3 * len(names)), draw)


def curve_points(rows: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[float, float]], int]:
    """Return the (step, value) points that can be drawn, and how many are not finite."""
    points = [(finite(row.get("step")), finite(row.get("value"))) for row in rows]
    kept = [(step, value) for step, value in points if step is not None and value is not None]
    return kept, len(points) - len(kept)


def curve_plot(curves: Mapping[str, Sequence[Mapping[str, Any]]], *, label: str) -> str:
    """Draw training and validation loss over steps and, under them, the learning rate.

    Args:
        curves: `loss`, `eval_loss` and `lr`, each [{step, value}]; any may be missing or empty.
        label: what the plot shows, for those who cannot see it.

    Returns:
        an `<svg>` element; "" where there is nothing to draw.
    """
    points = {name: curve_points(curves.get(name) or [])[0] for name in ("loss", "eval_loss", "lr")}
    losses = [name for name in ("loss", "eval_loss") if points[name]]
    panels = [names for names in (losses, ["lr"] if points["lr"] else []) if names]
    if not panels:
        return ""

    def draw(figure: Figure) -> None:
        heights = [3 if names == losses else 1 for names in panels]
        every = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, names in zip(every, panels, strict=True):
            for name in names:
                style = ("loss", "eval_loss", "lr").index(name)
                steps, values = zip(*points[name], strict=True)
                marker = MARKERS[style] if name == "eval_loss" or len(steps) == 1 else ""
                axes.plot(steps, values, color=SERIES[style], linewidth=1.4, marker=marker, markersize=5)
            axes.set_ylabel("loss" if names == losses else "learning rate")
            axes.grid(axis="y")
        every[-1].set_xlabel("optimiser step")

    return page_svg("curves", printable(label), (8.0, 2.8 + 1.2 * (len(panels) - 1)), draw)
