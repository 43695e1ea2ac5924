"""The plots of a data card: SVG as data URIs, for a page that is one file. The same numbers give the same bytes."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from lextune.core.errors import shorten

INK, FIRST, SECOND = "#1a1a1a", "#0b4fa8", "#c9d8ec"  # legible on white, told apart without colour by lightness
LABEL = 32  # characters of a name beside a bar
LINE = 90  # characters that stand side by side under the columns
_STYLE = {
    "svg.fonttype": "path",
    "svg.hashsalt": "card",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}


def columns(counts: Mapping[str, int], *, label: str, unit: str) -> str:
    """Draw counts as columns, in their order.

    Args:
        counts: height by name; "" comes back where there are none.
        label: of the horizontal axis.
        unit: what is counted, for the vertical one.

    Returns:
        a data URI.
    """
    if not counts:
        return ""
    names = list(counts)
    every = max(1, -(-len(names) // 24))
    crowded = sum(len(name) for name in names[::every]) > LINE

    def draw(axes: Any) -> None:
        axes.bar(range(len(names)), list(counts.values()), color=FIRST, width=0.85)
        axes.set_xticks(range(0, len(names), every), names[::every], rotation=45 if crowded else 0)
        axes.set_xlabel(label)
        axes.set_ylabel(unit)
        axes.yaxis.set_major_locator(_whole_numbers())
        axes.grid(axis="y", linewidth=0.4)

    return _uri(8.0, 2.8, draw)


def bars(rows: Mapping[str, tuple[int, int]], *, unit: str) -> str:
    """Draw two counts a name as one bar: dark for the first, light for what the second has beyond it.

    Args:
        rows: (part, whole) by name, the first on top; "" comes back where there are none.
        unit: what is counted.

    Returns:
        a data URI.
    """
    if not rows:
        return ""

    def draw(axes: Any) -> None:
        places = range(len(rows))
        axes.barh(places, [whole for _, whole in rows.values()], color=SECOND)
        axes.barh(places, [part for part, _ in rows.values()], color=FIRST)
        axes.set_yticks(places, [shorten(name, LABEL) for name in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(unit)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(_whole_numbers())
        axes.grid(axis="x", linewidth=0.4)

    return _uri(8.0, 0.8 + 0.2 * len(rows), draw)


def _whole_numbers() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def _uri(width: float, height: float, draw: Callable[[Any], None]) -> str:
    """Run `draw` on the axes of an empty figure, sizes in inches, and return it as a data URI."""
    import matplotlib.style
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the table has the name
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", facecolor="white", metadata=nothing)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
