"""The British twin of an American draft: the same contract as a drafter in England would have written it.

    twin = anglicise(document).document
    drafting(twin.text).kind                 # "UK"

What changes: spelling (`lextune.text.spelling`; the nouns licence and practice by their neighbours), the order of day
and month (`January 5, 2020` is `5 January 2020`; `01/31/2020` is `31/01/2020`, and a date that can be read both ways
stays), the contract's parts (Section is clause, Exhibit is Schedule), and the terms in `TERMS`.

What stays: the law that is chosen and its courts, statutes and their sections, forms of company, money, quotation
marks, names of parties, bodies and streets, and "judgment", which British courts spell so too. So every answer of the
document is an answer of its twin. Only whole words change, and a twin's twin is itself.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from lextune.core.records import Document
from lextune.text.dates import MONTH_FIRST, number_orders
from lextune.text.drafting import drafting
from lextune.text.edits import Change, apply
from lextune.text.parties import COMPANY_SUFFIX, read_parties
from lextune.text.rewriting import Rewritten, rewrite
from lextune.text.spelling import british, like

TWIN = "twin"  # the tag of a twin, and its value
UK = "UK"
SUFFIX = "+uk"  # of a twin's id
PARTIES = "Parties"  # the field whose parts are names

TERMS: tuple[tuple[str, str], ...] = (
    (r"attorneys?['’]?s?_fees", "legal costs"),
    (r"(?<!power of )(?<!powers of )attorneys(?:_at_law)?(?!['’-]|_in_fact)", "legal advisers"),
    (r"(?<!power of )(?<!powers of )attorney(?:_at_law)?(?!['’-]|_in_fact|_general)", "legal adviser"),
    (r"stockholders", "shareholders"),
    (r"stockholder", "shareholder"),
    (r"common_stock", "ordinary shares"),
    (r"preferred_stock", "preference shares"),
    (r"capital_stock", "share capital"),
    (r"by-?laws", "articles of association"),
    (r"fiscal_year", "financial year"),
    (r"fiscal_years", "financial years"),
    (r"sales_(?:and_use_|or_use_|and/or_use_)?tax", "value added tax"),
    (r"sales_(?:and_use_|or_use_|and/or_use_)?taxes", "value added taxes"),
    (r"zip_code", "postcode"),
    (
        r"(?:registered_or_certified|certified_or_registered|certified|registered)_mail"
        r"(?:,?_(?:with_)?return_receipt_requested)?",
        "recorded delivery",
    ),
    (r"first[- ]class_mail", "first class post"),
    (r"labor_union", "trade union"),
    (r"labor_unions", "trade unions"),
    (r"plaintiff", "claimant"),
    (r"plaintiffs", "claimants"),
    (r"cell(?:ular)?_phone", "mobile phone"),
    (r"(?<=by )check", "cheque"),
    (r"checks(?=_payable)", "cheques"),
    (r"check(?=_payable)", "cheque"),
    (r"except_as", "save as"),
    (r"except_that", "save that"),
    (r"except_for", "save for"),
    (r"except_where", "save where"),
    (r"now,?_therefore", "accordingly"),
    (r"hereinabove", "above"),
    (r"w ?i ?t ?n ?e ?s ?s ?e ?t ?h", "background"),
)
"""American terms, as regular expressions in which `_` is white space, and what stands for them."""

_SOURCES = (f"(?P<t{number}>{old})(?![\\w-])" for number, (old, _) in enumerate(TERMS))
_TERM = re.compile(
    "(?<![\\w-])(?:" + "|".join(_SOURCES).replace("_", "\\s+") + ")",
    re.IGNORECASE,
)

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_SHORT = "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"
_MONTH = rf"(?P<month>(?:{_MONTHS}|{_MONTHS.upper()})\b|(?:{_SHORT})\b\.?)"
_DAY = r"(?P<day>\d{1,2})(?P<th>(?:st|nd|rd|th|ST|ND|RD|TH)\b)?"
_FULL_DATE = re.compile(rf"\b{_MONTH}(?P<gap>\s+){_DAY}(?P<comma>\s?,)?(?P<rest>\s*)(?P<year>(?:1[6-9]|20)\d\d)\b")
_DAY_OF = re.compile(rf"\bthe\s+{_DAY}\s+day\s+of\s+{_MONTH}(?:,\s*|\s+)(?P<year>(?:1[6-9]|20)\d\d)\b")
_NO_YEAR = re.compile(rf"\b{_MONTH}(?P<gap>\s+){_DAY}(?![\w%]|\s?[-–/]\s?\d|[.,:]\d|\s{0, 3},?\s{0, 3}\d|\s?\()")
_NUMBERS = re.compile(
    r"(?<![\w/.-])(?P<month>0?[1-9]|1[0-2])(?P<sep>[/-])(?P<day>0?[1-9]|[12]\d|3[01])(?P=sep)(?P<year>\d{4}|\d\d)(?![\w/-]|\.\d)"
)
_AFTER_DAY = re.compile(r"(?:\d(?:st|nd|rd|th)?|\bof)\s+$", re.IGNORECASE)

_SECTION = re.compile(r"(?<![\w-])(?:Sections?|SECTIONS?|sections?(?=\s+\(?\d))(?![\w-])")
_OF_STATUTE = re.compile(
    r"(?:[^.;]|\.\d){0,60}?\b(?:U\.?\s?S\.?\s?C|C\.?\s?F\.?\s?R"
    r"|(?:Acts?|ACT|Code|CODE|Regulations?|Rules?|Statutes?|Law|Constitution)\b(?! of this))"
)
_STARTS = re.compile(r"(?:^|[\n.!?:;])[\s\"“(]*$")
_EXHIBIT = re.compile(r"(?<![\w-])(?:Exhibits?|EXHIBITS?)(?![\w-])")

_WORD = re.compile(r"(?<![\w@/.’'])[A-Za-z]{4,}(?![\w@]|['’](?!s\b)\w|\.[a-z])")
_LICENCE = re.compile(r"(sub-?)?licen(s)(es?)", re.IGNORECASE)
_VERBS = frozenset(
    "to shall may will not can could would must should hereby otherwise we i they who you cannot never".split()  # noqa: SIM905
)
_NOUNS = frozenset(
    "a an the this that these those such any each all no its their his her our your said another every some existing"  # noqa: SIM905
    " exclusive non-exclusive nonexclusive perpetual irrevocable worldwide world-wide royalty-free transferable"
    " non-transferable nontransferable limited free paid-up patent software trademark trade mark marks technology"
    " copyright know-how brand business liquor operating content product sole valid under of for by implied express"
    " required necessary applicable governmental regulatory sublicensable sublicenseable revocable cross in with"
    " intellectual property state local federal professional occupational".split()
)
_THINGS = frozenset(
    "agreement agreements fee fees grant grants granted key keys term terms period is are rights right royalty"  # noqa: SIM905
    " royalties under year number numbers shall will may".split()
)
_BEFORE = re.compile(r"([\w’'-]+)[\s\"“(]+$")
_AFTER = re.compile(r"[\"”)]*\s+([\w’'-]+)")
_SOFTWARE = re.compile(r"\b(?:computer|software|application|object code|source code)\s+programs?\b", re.IGNORECASE)

# One capitalised word is matched too, and left out later: else each part of "A-A-A-..." would be tried to its end.
_RUN = re.compile(r"(?<!\w)[A-Z][\w&'’-]*+(?P<more>[ \n](?:(?:of|and|for|the|on|&)[ \n]){0,2}[A-Z][\w&'’-]*+)*")
_BODY = re.compile(
    r"\b(?:Acts?|Code|Commission|Departments?|Association|Bureau|Administration|Institute|Society|Office|University"
    r"|College|Hospital|Exchange|Treaty|Convention|Directive|Street|Avenue|Boulevard|Road|Drive|Lane|Plaza|Parkway"
    r"|Suite|Building|Ministry|Foundation|League|Union)\b"
)
_ADDRESS = re.compile(r"@|://|\bwww\.")
_BEFORE_SUFFIX = re.compile(r"(?:[A-Z][\w&'’.-]*,?[ \t]+(?:(?:of|and|the|&)[ \t]+)?){1,6}$")
_ARTICLE = re.compile(r"\b([Aa])(n?)(\s+)$")
_NAME_LENGTH = 90  # characters before a company's suffix in which its name is looked for
_SHORT_NAME = 6  # words; a longer part of the parties is a sentence


def anglicise(document: Document) -> Rewritten:
    """Return the twin of a document, with its labels; see the module for what changes.

    The twin has an id, a name and a hash of its own, and the tag `twin`; a twin comes back as it is.
    """
    if document.tags.get(TWIN) == UK:
        return rewrite(document, ())
    names = list(document.labels[PARTIES].parts) if PARTIES in document.labels else []
    made = rewrite(document, find_changes(document.text, names), lambda part: anglicise_text(part, names))
    tags = {**document.tags, TWIN: UK}
    if "drafting" in tags:
        tags["drafting"] = drafting(made.document.text).kind
    update = {
        "id": f"{document.id}{SUFFIX}",
        "name": f"{document.name} (UK twin)",
        "sha256": hashlib.sha256(made.document.text.encode("utf-8", "surrogatepass")).hexdigest(),
        "tags": tags,
    }
    return made._replace(document=made.document.model_copy(update=update))


def has_twin(document: Document) -> bool:
    """Say whether a document is neither a twin nor in British drafting already."""
    return TWIN not in document.tags and drafting(document.text).kind != UK


def anglicise_text(text: str, names: Sequence[str] = ()) -> str:
    """Return a text as a British drafter would have written it; `names` of parties stay."""
    return apply(text, find_changes(text, names))


def find_changes(text: str, names: Sequence[str] = ()) -> list[Change]:
    """Return what changes in a text, in order and apart.

    Args:
        text: a contract, or a piece of one.
        names: quotes that name the parties, which stay as they are wherever they stand.
    """
    kept = _Kept(text, names)
    found = [*_dates(text), *_parts(text), *_terms(text), *_words(text)]
    changes: list[Change] = []
    for change in sorted(found, key=lambda c: (c.start, -c.end)):
        if (not changes or change.start > changes[-1].end) and not kept.touches(change.start, change.end):
            changes.append(_with_article(text, change, changes[-1].end if changes else 0))
    return [change for change in changes if text[change.start : change.end] != change.new]


class _Kept:
    """The places of names and addresses: nothing there changes."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        spans = [*_addresses(text), *_companies(text), *_named(text, names)]
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def touches(self, start: int, end: int) -> bool:
        """Say whether a kept place shares a character with [start, end)."""
        at = bisect_right(self._starts, end - 1) - 1
        return at >= 0 and self._ends[at] > start


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    for match in re.finditer(r"\S+", text):
        if _ADDRESS.search(match.group()):
            yield match.span()
    for match in _RUN.finditer(text):
        if match["more"] and _BODY.search(match.group()):
            yield match.span()


def _companies(text: str) -> Iterator[tuple[int, int]]:
    for match in COMPANY_SUFFIX.finditer(text):
        start = max(0, match.start() - _NAME_LENGTH)
        name = _BEFORE_SUFFIX.search(text[start : match.start()])
        if name is not None:
            yield start + name.start(), match.end()


def _named(text: str, quotes: Sequence[str]) -> Iterator[tuple[int, int]]:
    names = {name for quote in quotes for name in read_parties(quote) or ()}
    names |= {quote for quote in quotes if len(quote.split()) <= _SHORT_NAME}
    names |= {COMPANY_SUFFIX.sub("", name).strip(" ,.") for name in names}
    for name in sorted(name for name in names if re.search(r"\w{3}", name)):
        wanted = r"\s+".join(map(re.escape, name.split()))
        for match in re.finditer(rf"(?<!\w){wanted}(?!\w)", text, re.IGNORECASE):
            yield match.span()


def _dates(text: str) -> Iterator[Change]:
    for match in _FULL_DATE.finditer(text):
        day, rest = f"{match['day']}{match['th'] or ''}", match["rest"] or " "
        yield Change(*match.span(), f"{day}{match['gap']}{match['month']}{rest}{match['year']}")
    for match in _DAY_OF.finditer(text):
        yield Change(*match.span(), f"{int(match['day'])} {match['month']} {match['year']}")
    for match in _NO_YEAR.finditer(text):
        if not _AFTER_DAY.search(text[max(0, match.start() - 8) : match.start()]):
            yield Change(*match.span(), f"{match['day']}{match['th'] or ''}{match['gap']}{match['month']}")
    american = MONTH_FIRST in number_orders(text)  # then 01/05/2020 is the fifth of January beside 01/31/2020
    for match in _NUMBERS.finditer(text):
        if int(match["day"]) > 12 or (american and match["day"] != match["month"]):
            yield Change(*match.span(), f"{match['day']}{match['sep']}{match['month']}{match['sep']}{match['year']}")


def _parts(text: str) -> Iterator[Change]:
    """Yield Section as clause, and Exhibit as Schedule, or as Annex where there are Schedules already."""
    for match in _SECTION.finditer(text):
        if not _OF_STATUTE.match(text, match.end(), match.end() + 100):
            word = "clauses" if match.group()[-1] in "sS" else "clause"
            starts = _STARTS.search(text[max(0, match.start() - 12) : match.start()])
            model = match.group() if starts or match.group().isupper() else "x"
            yield Change(*match.span(), like(word, model))
    if re.search(r"\bSchedules?\b", text) is None:
        one, many = "schedule", "schedules"
    elif re.search(r"\b(?:Annex|Annexes)\b", text) is None:
        one, many = "annex", "annexes"
    else:
        return
    for match in _EXHIBIT.finditer(text):
        yield Change(*match.span(), like(many if match.group()[-1] in "sS" else one, match.group()))


def _terms(text: str) -> Iterator[Change]:
    for match in _TERM.finditer(text):
        yield Change(*match.span(), like(TERMS[int((match.lastgroup or "t0")[1:])][1], match.group()))


def _words(text: str) -> Iterator[Change]:
    software = _SOFTWARE.search(text) is not None
    for match in _WORD.finditer(text):
        word = match.group()
        new = british(word) or _by_sense(text, match, word.lower(), software)
        if new is not None:
            yield Change(*match.span(), new)


def _by_sense(text: str, match: re.Match[str], word: str, software: bool) -> str | None:
    """Return the British form of a word that is spelt by its sense, None where it stays."""
    if word in ("program", "programs") and not software:
        return like({"program": "programme", "programs": "programmes"}[word], match.group())
    if word not in ("license", "licenses", "sublicense", "sublicenses", "practice"):
        return None
    before = _BEFORE.search(text[max(0, match.start() - 40) : match.start()])
    previous = before.group(1).lower() if before else ""
    if word == "practice":
        return like("practise", match.group()) if previous in _VERBS else None
    if previous in _VERBS:
        return None
    after = _AFTER.match(text, match.end(), match.end() + 40)
    titled = match.group()[0].isupper() and not match.group().isupper()
    if titled or previous in _NOUNS or (after is not None and after.group(1).lower() in _THINGS):
        return like(word.replace("licens", "licenc"), match.group())
    return None


def _with_article(text: str, change: Change, since: int) -> Change:
    """Return a change with the article before it, where its new first sound asks for another one."""
    vowels = "aeiouAEIOU"
    first, new = text[change.start], change.new[0]
    article = _ARTICLE.search(text, max(since, change.start - 6), change.start)
    if article is None or (first in vowels) == (new in vowels) or not first.isalpha() or not new.isalpha():
        return change
    begin = change.start - len(article.group())
    return Change(begin, change.end, f"{article[1]}{'n' if new in vowels else ''}{article[3]}{change.new}")
