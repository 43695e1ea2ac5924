"""Plots as SVG to stand inside an HTML page.

matplotlib draws; what it writes is then made fit for a page: no XML header, metadata or style sheet (its
style sheet would apply to the whole page), ids of its own for every plot, text as text, and colours that are
the page's CSS variables, so that a plot follows light, dark and print. The same data give the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lextune.core.errors import shorten
from lextune.evaluate.formatting import bounds, finite
from lextune.text.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABEL = 40  # characters of a name beside a plot
INK, RULE, SOFT = "#010101", "#020202", "#030303"
SERIES = ("#0a0a01", "#0a0a02", "#0a0a03")
MARKERS = ("o", "s", "^")
SYMBOLS = ("●", "■", "▲")
_CSS = {
    INK: "var(--ink)",
    RULE: "var(--rule)",
    SOFT: "var(--soft)",
    **{colour: f"var(--series-{place})" for place, colour in enumerate(SERIES, start=1)},
}
"""The page's variable for each colour drawn with; the colours themselves are never seen."""
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


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

    return _svg("fields", label, (8.0, 0.9 + 0.3 * len(names)), draw)


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

    return _svg("curves", label, (8.0, 2.8 + 1.2 * (len(panels) - 1)), draw)


def _svg(name: str, label: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Run `draw` on an empty figure of `size` inches and return it as an `<svg>` for a page."""
    import matplotlib.style
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": name}]), warnings.catch_warnings():
        # The browser chooses the font, so that a glyph is missing in matplotlib's does no harm.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _for_a_page(buffer.getvalue(), name, label)


def _for_a_page(svg: str, name: str, label: str) -> str:
    """Make matplotlib's SVG file an element of a page; `name` makes its ids the page's only ones."""
    from lxml import etree

    root = etree.fromstring(svg.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    for element in list(root.iter()):
        if not isinstance(element.tag, str) or etree.QName(element).localname in ("style", "metadata"):
            element.getparent().remove(element)
            continue
        element.tag = etree.QName(element).localname
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            element.set(etree.QName(key).localname, _attribute(etree.QName(key).localname, value, name))
    etree.cleanup_namespaces(root)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", printable(label))
    return str(etree.tostring(root, encoding="unicode", with_tail=False))


def _attribute(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-", 1)
    value = re.sub(r"url\(#", f"url(#{name}-", value)
    return re.sub("|".join(_CSS), lambda match: _CSS[match[0]], value) if key == "style" else value
