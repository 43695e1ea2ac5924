"""What HTML, XML and UTF-8 can hold."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """Replace controls and lone surrogates, which HTML and XML cannot hold, by U+FFFD, one for one."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
