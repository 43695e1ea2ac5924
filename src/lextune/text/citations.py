"""Citations of US cases: found, their form checked, short forms led back to the case, and looked up where a list is.

    find_citations("Roe v. Wade, 410 U.S. 113 (1973). Id. at 116.", known=lambda case: case == "410 U.S. 113")

eyecite finds them and knows the reporters, with the years in which each was published. What it does not find because
there is no such reporter, and what no volume has, is found here and called malformed. References to statutes are in
`lextune.text.articles`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from lextune.core.records import Span

if TYPE_CHECKING:
    from eyecite.models import CitationBase, FullCaseCitation

Known = Callable[[str], bool]
"""Says whether a case exists, given its citation in normal form: `410 U.S. 113`."""

KNOWN, UNKNOWN, MALFORMED, UNRESOLVED, UNCHECKED = "known", "unknown", "malformed", "unresolved", "unchecked"
MAX_VOLUME, MAX_PAGE = 1_000, 5_000
"""Largest plausible volume and first page of a printed reporter: series begin anew at volume 999."""

UNPAGED = "___"  # the page of a case whose volume is not printed yet

# A pin cite before a capital is a parallel citation's volume, so the star may be possessive: it never has to give back.
_PINS = r"(?:,?\s*(?:at\s+)?\*?\d+(?:\s*[-–]\s*\d+)?(?:\s*(?:n\.|&\s*n\.)\s*\d+)?(?=[\s,(])(?!\s+[A-Z]))*+"
_PARALLEL = r"(?:,\s*\d+\s+[A-Z][\w.' ]{0,24}?\s\d+)*"
_YEAR = re.compile(rf"{_PINS}{_PARALLEL}{_PINS}\s*\((?:[^()\d]|\d(?!\d{{3}}\)))*?(\d{{4}})\)")
_WORD = r"[A-Z][A-Za-z']*\.?"
_SERIES = r"[2-9](?:d|nd|rd|th)\b"
_NUMBERED = re.compile(
    rf"(?<![\w.$§])(?<!No\. )(\d{{1,4}})\s+({_WORD}(?:(?:\s|(?<=\.))(?:{_WORD}|{_SERIES})){{0,6}})\s+(\d{{1,5}})(?!\w)"
)
_NO_REPORTER = re.compile(
    r"\bL\. ?(?:Rev|J)|Rev\.|J\.$|U\. ?S\. ?C|C\. ?F\. ?R|Fed\. ?Reg|Stat\.$"
    r"|^(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.|^No"
)
_YEAR_VOLUME = re.compile(r"1[6-9]\d\d|20\d\d")


class Citation(NamedTuple):
    """One place where a case is cited.

    `kind` is full, short, supra or id; `case` the normal form of what is cited, None for a short form that leads to
    nothing; `problem` says what is wrong with one that is malformed or unresolved. `status` is known or unknown where
    there is something to look it up in, and unchecked where there is not; an unknown one counts as invented. Each of
    two parallel citations is looked up by itself.
    """

    text: str
    span: Span
    kind: str
    case: str | None
    status: str
    problem: str = ""


def find_citations(text: str, known: Known | None = None) -> list[Citation]:
    """Return the citations of cases in a text, in order.

    A short form (`410 U.S. at 115`, `Roe, supra`, `Id.`) takes the status of the case that it leads to; an `Id.` that
    follows a statute or an article is none of a case. A full citation is malformed where its reporter does not exist
    or was not published in its year, or where no reporter has such a volume or page.

    Args:
        text: any text.
        known: says whether a case exists; None where nothing can be looked up.
    """
    from eyecite import get_citations, resolve_citations
    from eyecite.models import FullCaseCitation

    logging.getLogger("eyecite").setLevel(logging.ERROR)  # it would print the text that it is unsure of
    found = get_citations(text) if text else []  # it refuses the empty text
    problems, cases = dict[str, str](), dict[int, str]()
    for cited in resolve_citations(found).values():
        if isinstance(cited[0], FullCaseCitation):
            case = normal_form(cited[0])
            cases |= {id(citation): case for citation in cited}
            problems[case] = next((p for c in cited if isinstance(c, FullCaseCitation) if (p := _problem(c, text))), "")
    citations = []
    for citation, kind in _of_cases(found, cases):
        leads, span = cases.get(id(citation)), Span(start=citation.span()[0], end=citation.span()[1])
        problem = "no case before it to lead to" if leads is None else problems[leads]
        status = UNRESOLVED if leads is None else _status(leads, problem, known)
        citations.append(Citation(text[span.start : span.end], span, kind, leads, status, problem))
    taken = [citation.span() for citation in found]
    citations += _of_no_reporter(text, taken)
    return sorted(citations, key=lambda citation: citation.span.start)


def normal_form(citation: FullCaseCitation) -> str:
    """Return volume, reporter as its edition is written, and page of a citation that eyecite found: `410 U.S. 113`."""
    groups = citation.groups
    return f"{groups.get('volume')} {citation.corrected_reporter()} {groups.get('page') or UNPAGED}"


def known_cases(citations: Collection[str]) -> tuple[frozenset[str], list[str]]:
    """Return the normal forms of a list of citations, and those lines in which no case is cited."""
    forms, none = set[str](), []
    for line in citations:
        cases = {citation.case for citation in find_citations(line) if citation.case is not None}
        forms |= cases
        if not cases:
            none.append(line)
    return frozenset(forms), none


def _of_cases(found: list[CitationBase], cases: dict[int, str]) -> Iterator[tuple[CitationBase, str]]:
    """Yield the citations that are of a case with their kinds: not those of laws, nor what refers to them."""
    from eyecite.models import FullCaseCitation, IdCitation, ShortCaseCitation, SupraCitation

    kinds = {FullCaseCitation: "full", ShortCaseCitation: "short", SupraCitation: "supra", IdCitation: "id"}
    of_case = True
    for citation in found:
        kind = kinds.get(type(citation))
        if kind is None:
            of_case = False
        elif kind != "id":
            of_case = True
            yield citation, kind
        elif of_case or id(citation) in cases:
            yield citation, kind


def _status(case: str, problem: str, known: Known | None) -> str:
    if problem:
        return MALFORMED
    if known is None or case.endswith(UNPAGED):
        return UNCHECKED
    return KNOWN if known(case) else UNKNOWN


def _problem(citation: FullCaseCitation, text: str) -> str:
    """Say what is wrong with the form of a citation, empty where nothing is."""
    volume, page = citation.groups.get("volume") or "", citation.groups.get("page") or ""
    editions = citation.all_editions
    printed = all(edition.reporter.cite_type in ("federal", "state", "state_regional") for edition in editions)
    if printed and volume.isdigit() and not _YEAR_VOLUME.fullmatch(volume) and not 0 < int(volume) <= MAX_VOLUME:
        return f"no reporter has a volume {volume}"
    if printed and page.isdigit() and not 0 < int(page) <= MAX_PAGE:
        return f"no volume has a page {page}"
    stated = _YEAR.match(text, citation.span()[1])
    year = int(stated.group(1)) if stated else None
    if year is None or any(edition.includes_year(year) for edition in editions):
        return ""
    return f"{citation.corrected_reporter()} has no volume of {year}"


def _of_no_reporter(text: str, taken: list[tuple[int, int]]) -> Iterator[Citation]:
    """Yield what is written like a citation with its year, but of a reporter or volume that does not exist."""
    for match in _NUMBERED.finditer(text):
        volume, reporter, _ = match.groups()
        start, end = match.span()
        if any(a < end and start < b for a, b in taken):
            continue
        if "." not in reporter or _NO_REPORTER.search(reporter) or not _YEAR.match(text, end):
            continue
        problem = f"no reporter has a volume {volume}" if int(volume) == 0 else "no such reporter"
        yield Citation(match.group(), Span(start=start, end=end), "full", None, MALFORMED, problem)
