"""CUAD's words and the Jaccard index of two sets of them: how alike two quotes are."""

from __future__ import annotations

_CUAD = str.maketrans({".": None, ",": None, ";": None, ":": None, "/": " "})


def tokens(text: str) -> frozenset[str]:
    """Return CUAD's tokens of a text: lower case, `.,;:` dropped, `/` as a space, a set of words.

    Source: `get_jaccard` in CUAD's evaluate.py (Hendrycks et al. 2021, arXiv 2103.06268).
    """
    return frozenset(text.lower().translate(_CUAD).split())


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Return the share of tokens in both sets among those in either, in [0, 1]; 0 for two empty sets."""
    shared = len(a & b)
    union = len(a) + len(b) - shared
    return shared / union if union else 0.0
