"""The plots of training and of a search, and the pages they stand in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lextune.core.artifacts import write_atomic
from lextune.core.figures import MARKERS, SERIES, page_svg, standalone
from lextune.core.pages import page_template

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = (  # title, its curves and what they are called
    ("loss", {"loss": "training", "eval_loss": "validation"}),
    ("perplexity (validation)", {"eval_perplexity": ""}),
    ("metric (validation)", {"eval_metric": ""}),
    ("learning rate", {"lr": ""}),
    ("gradient norm", {"grad_norm": ""}),
    ("tokens/s", {"tokens_per_second": ""}),
    ("memory, MiB", {"memory_mib": ""}),
)
Curves = Mapping[str, Sequence[Mapping[str, float]]]


class Section(NamedTuple):
    """A part of a page: a heading, a plot (an `<svg>`, or "") and a table (header and rows of text)."""

    heading: str
    svg: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()


def write_page(out: Path, name: str, title: str, sections: Sequence[Section]) -> None:
    """Write `NAME.html`, and the plot of its first section as `NAME.svg`."""
    page = page_template("lextune.train", "page.html.j2").render(title=title, sections=sections)
    write_atomic(out / f"{name}.html", page)
    write_atomic(out / f"{name}.svg", standalone(sections[0].svg))


def write_training(out: Path, curves: Curves) -> None:
    """Write `training.html` and `training.svg`: every quantity that was logged, by step.

    Args:
        out: the artifact.
        curves: of `lextune.train.trainer.train`: by name, [{step, value}].
    """
    numbers = [
        (name, f"{points[-1]['step']:g}", f"{points[-1]['value']:.5g}", *_ends(points))
        for name, points in curves.items()
        if points
    ]
    plot = training_plot(curves)
    columns = ("quantity", "last step", "last", "lowest", "highest")
    write_page(out, "training", "Training", [Section("By optimizer step", plot, columns, numbers)])


def _ends(points: Sequence[Mapping[str, float]]) -> tuple[str, str]:
    values = [point["value"] for point in points]
    return f"{min(values):.5g}", f"{max(values):.5g}"


def training_plot(curves: Curves) -> str:
    """Return the curves as an `<svg>`, a panel a quantity; what was not logged has none."""
    panels = [(title, {n: label for n, label in names.items() if _drawn(curves, n)}) for title, names in PANELS]
    panels = [(title, names) for title, names in panels if names]
    rows = math.ceil(len(panels) / 2)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, 2, squeeze=False).flatten()
        for axes, (title, names) in zip(grid, panels, strict=False):
            for place, (name, label) in enumerate(names.items()):
                steps, values = zip(*_drawn(curves, name), strict=True)
                marker = MARKERS[place] if name.startswith("eval_") or len(steps) == 1 else ""
                axes.plot(steps, values, color=SERIES[place], linewidth=1.3, marker=marker, markersize=4, label=label)
            axes.set_title(title, fontsize=9, loc="left")
            axes.grid(axis="y")
            axes.xaxis.get_major_locator().set_params(integer=True)
            if len(names) > 1:
                axes.legend(frameon=False)
        for axes in grid[len(panels) :]:
            axes.remove()
        figure.supxlabel("optimizer step", fontsize=9)

    return page_svg("training", "curves of training by optimizer step", (8.0, 0.6 + 1.9 * rows), draw)


def _drawn(curves: Curves, name: str) -> list[tuple[float, float]]:
    points = [(point["step"], point["value"]) for point in curves.get(name, ())]
    return [(step, value) for step, value in points if math.isfinite(value)]


class Mark(NamedTuple):
    """A finished trial in a plot: its number, its objectives, whether it is among the best, and its values."""

    number: int
    objectives: Sequence[float]
    best: bool
    values: Mapping[str, Any]


def pareto_plot(marks: Sequence[Mark], names: Sequence[str], before: float) -> str:
    """Return trials by metric and general ability as an `<svg>`: those that no other beats in both are joined.

    Args:
        marks: finished trials.
        names: of the two objectives.
        before: the general ability before training.
    """

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        front = sorted((mark.objectives for mark in marks if mark.best), key=lambda pair: pair[0])
        rest = [mark.objectives for mark in marks if not mark.best]
        axes.axhline(before, color=SERIES[2], linewidth=1, linestyle="--", label="general ability before training")
        if rest:
            across, up = zip(*rest, strict=True)
            axes.scatter(across, up, color=SERIES[0], marker=MARKERS[0], s=22, label="beaten in both")
        axes.plot(*zip(*front, strict=True), color=SERIES[1], marker=MARKERS[1], markersize=5, label="Pareto set")
        for mark in marks:
            axes.annotate(
                str(mark.number),
                (mark.objectives[0], mark.objectives[1]),
                (4, 4),
                textcoords="offset points",
                fontsize=8,
            )
        axes.set_xlabel(names[0])
        axes.set_ylabel(f"{names[1]} (accuracy)")
        axes.grid()
        axes.legend(frameon=False)

    return page_svg("pareto", "trials by task metric and general ability", (8.0, 4.2), draw)


def trials_plot(marks: Sequence[Mark], name: str) -> str:
    """Return the first objective by trial, and by each setting that was searched, as an `<svg>`."""
    searched = [key for key in marks[0].values if len({mark.values[key] for mark in marks}) > 1]
    panels = ["trial", *searched]
    rows = math.ceil(len(panels) / 2)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, 2, squeeze=False, sharey=True).flatten()
        for axes, key in zip(grid, panels, strict=False):
            for best, colour, marker in ((False, SERIES[0], MARKERS[0]), (True, SERIES[1], MARKERS[1])):
                of = [mark for mark in marks if mark.best == best]
                across = [mark.number if key == "trial" else mark.values[key] for mark in of]
                axes.scatter(across, [mark.objectives[0] for mark in of], color=colour, marker=marker, s=22)
            axes.set_xlabel(key)
            if key == "lr":
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter("{x:g}")  # matplotlib's own is in TeX
                axes.xaxis.set_minor_formatter("")
            if key == "trial":
                axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(axis="y")
        for axes in grid[len(panels) :]:
            axes.remove()
        figure.supylabel(name, fontsize=9)

    return page_svg("trials", f"{name} by trial and by setting", (8.0, 0.5 + 2.1 * rows), draw)
