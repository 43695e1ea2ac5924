"""Plots as SVG to stand inside an HTML page.

matplotlib draws; what it writes is then made fit for a page: no XML header, metadata or style sheet (its
style sheet would apply to the whole page), ids of its own for every plot, text as text, and colours that are
the page's CSS variables, so that a plot follows light, dark and print. The same data give the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, RULE, SOFT = "#010101", "#020202", "#030303"
SERIES = ("#0a0a01", "#0a0a02", "#0a0a03", "#0a0a04", "#0a0a05", "#0a0a06")
MARKERS = ("o", "s", "^", "D", "v", "P")
SYMBOLS = ("●", "■", "▲", "◆", "▼", "✚")
_CSS = {
    INK: "var(--ink)",
    RULE: "var(--rule)",
    SOFT: "var(--soft)",
    **{colour: f"var(--series-{place})" for place, colour in enumerate(SERIES, start=1)},
}
"""The page's variable for each colour drawn with; the colours themselves are never seen."""
LIGHT = {
    "ink": "#1a1a1a",
    "rule": "#c4c4cc",
    "soft": "#5c5c66",
    "series-1": "#0b4fa8",
    "series-2": "#b04a00",
    "series-3": "#3d7a2a",
    "series-4": "#6a2fa0",
    "series-5": "#a3104a",
    "series-6": "#00696b",
}
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


def page_svg(name: str, label: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Run `draw` on an empty figure and return it as an `<svg>` element for a page.

    Args:
        name: of letters, the plot's own in its page.
        label: what the plot shows, for those who cannot see it; printable.
        size: width and height in inches.
        draw: draws in the colours of this module.
    """
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
    root.set("aria-label", label)
    return str(etree.tostring(root, encoding="unicode", with_tail=False))


def _attribute(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-", 1)
    value = re.sub(r"url\(#", f"url(#{name}-", value)
    return re.sub("|".join(_CSS), lambda match: _CSS[match[0]], value) if key == "style" else value


def standalone(svg: str) -> str:
    """Return a plot for a page as a file of its own: on white, in the colours of a light page."""
    for variable, colour in LIGHT.items():
        svg = svg.replace(f"var(--{variable})", colour)
    return svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" style="background: #fff"', 1)
