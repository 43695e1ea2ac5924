"""The plots of a report: scores by field or by part, curves by arm, cost beside quality, and the curves of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lextune.core.errors import shorten
from lextune.core.figures import MARKERS, SERIES, SOFT, page_svg
from lextune.evaluate.formatting import bounds, finite
from lextune.text.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL = 40  # characters of a name beside a plot
FEW_POINTS = 12  # a curve of no more has a mark at each


@dataclass(frozen=True)
class Series:
    """One arm of a plot: `points` maps names to scores `{value, low, high}`; a null is not drawn."""

    label: str
    points: Mapping[str, Any]


class Line(NamedTuple):
    """One arm of a plot of curves: (x, y) points, and the interval of each y where it has one."""

    label: str
    points: Sequence[tuple[float, float]]
    intervals: Sequence[tuple[float | None, float | None]] = ()


class Arm(NamedTuple):
    """One arm of a plot of cost and quality: what a document takes, and a score `{value, low, high}`."""

    label: str
    cost: float
    score: Any


def scale(scores: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of an axis of scores: from 0 to 1, or to 100 of a metric that goes so far, and a little more.

    Only scores that lie outside of that widen it.
    """
    lowest, highest = min([0.0, *scores]), max([0.0, *scores])
    top = next((each for each in (1.0, 100.0) if highest <= each), highest)
    margin = 0.02 * (top - lowest)
    return lowest - margin, top + margin


def field_plot(
    names: Sequence[str],
    series: Sequence[Series],
    *,
    label: str,
    metric: str = "F1",
    name: str = "fields",
    whole: float | None = None,
) -> str:
    """Draw scores with their intervals, a row a name, the first on top.

    Args:
        names: rows from top to bottom.
        series: at most six arms.
        label: what the plot shows, for those who cannot see it.
        metric: what the scores are of.
        name: the plot's own in its page.
        whole: a score to draw a line at.

    Returns:
        an `<svg>` element; "" where there is nothing to draw.
    """
    drawn = [[(place, *bounds(one.points.get(row))) for place, row in enumerate(names)] for one in series]
    if not any(value is not None for points in drawn for _, value, _, _ in points):
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for index, points in enumerate(drawn):
            shift = min(0.22, 0.7 / len(drawn)) * (index - (len(drawn) - 1) / 2)
            colour, marker = SERIES[index], MARKERS[index]
            for place, value, low, high in points:
                if value is None:
                    continue
                if low is not None and high is not None:
                    axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=1.2)
                axes.plot([value], [place + shift], color=colour, marker=marker, markersize=4.5)
        if whole is not None:
            axes.axvline(whole, color=SOFT, linewidth=1.0, linestyle=":")
        axes.set_yticks(range(len(names)), [shorten(printable(row), LABEL) for row in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        scores = [each for points in drawn for _, *leaf in points for each in (*leaf, whole) if each is not None]
        axes.set_xlim(scale(scores))
        axes.set_xlabel(printable(metric))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="both")

    return page_svg(name, printable(label), (8.0, 0.9 + 0.3 * len(names)), draw)


def line_plot(name: str, lines: Sequence[Line], titles: tuple[str, str], *, label: str, diagonal: bool = False) -> str:
    """Draw a curve an arm in the unit square.

    Args:
        name: the plot's own in its page.
        lines: at most six arms; one without points is not drawn, and keeps its colour.
        titles: of the two axes.
        label: what the plot shows, for those who cannot see it.
        diagonal: whether to draw the line on which both are equal.

    Returns:
        an `<svg>` element; "" where there is nothing to draw.
    """
    if not any(line.points for line in lines):
        return ""

    def draw(figure: Figure) -> None:
        axes = _square(figure, titles)
        if diagonal:
            axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1.0, linestyle=":")
        for index, line in enumerate(lines):
            if not line.points:
                continue
            x, y = zip(*line.points, strict=True)
            marker = MARKERS[index] if len(x) <= FEW_POINTS else ""
            axes.plot(x, y, color=SERIES[index], linewidth=1.4, marker=marker, markersize=4.5)
            for place, (low, high) in zip(x, line.intervals, strict=False):
                if low is not None and high is not None:
                    axes.plot([place, place], [low, high], color=SERIES[index], linewidth=1.0)

    return page_svg(name, printable(label), (8.0, 3.6), draw)


def _square(figure: Figure, titles: tuple[str, str]) -> Axes:
    axes = figure.add_subplot()
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(titles[0])
    axes.set_ylabel(titles[1])
    axes.grid(axis="both")
    return axes


def cost_plot(arms: Sequence[Arm], titles: tuple[str, str], *, label: str) -> str:
    """Draw what an arm scores beside what a document takes, on a logarithmic scale; each is named at its mark.

    Args:
        arms: any number; the first has a mark of its own. One without a cost or a score is not drawn.
        titles: of the two axes.
        label: what the plot shows, for those who cannot see it.

    Returns:
        an `<svg>` element; "" where fewer than two can be drawn.
    """
    measured = [(arm, *bounds(arm.score)) for arm in arms if arm.cost > 0]
    drawn = [(arm, value, low, high) for arm, value, low, high in measured if value is not None]
    if len(drawn) < 2:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for arm, value, low, high in drawn:
            style = 0 if arm is arms[0] else 1
            if low is not None and high is not None:
                axes.plot([arm.cost, arm.cost], [low, high], color=SERIES[style], linewidth=1.0)
            axes.plot([arm.cost], [value], color=SERIES[style], marker=MARKERS[style], markersize=6)
            name = shorten(printable(arm.label), LABEL)
            axes.annotate(name, (arm.cost, value), xytext=(6, 4), textcoords="offset points")
        axes.set_xscale("log")
        axes.margins(x=0.2)
        axes.set_ylim(scale([each for _, *leaf in drawn for each in leaf if each is not None]))
        axes.set_xlabel(titles[0])
        axes.set_ylabel(titles[1])
        axes.grid(axis="both")

    return page_svg("cost", printable(label), (8.0, 3.6), draw)


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
