"""Parties: the names of the persons and companies that a contract's preamble, or an annotated answer, lists.

Defined terms ("the Company"), roles ("Distributor") and descriptions ("a Delaware corporation") are left
out of the names; what remains is the name as written. A role is kept beside it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

MATCH = 90.0
"""Two names are one party at this `rapidfuzz` token-sort ratio of their keys, or above."""

_SUFFIX = (
    r"(?:Inc|INC|Incorporated|INCORPORATED|Corp|CORP|Corporation|CORPORATION|Co|CO|Company|COMPANY|Ltd|LTD"
    r"|Limited|LIMITED|LLC|L\.\s?L\.\s?C|LLP|L\.L\.P|LLLP|LP|L\.\s?P|L\.C|P\.C|PC|N\.A|plc|PLC|P\.L\.C|Pte|PTE"
    r"|Pty|PTY|Ltda|LTDA|GmbH|GMBH|AG|A\.G|S\.?A|S/A|S\.A\.S|S\.p\.A|S\.?r\.?l|SRL|SARL|S\.à r\.l|B\.?V|N\.?V"
    r"|Oy|AB|A/S|K\.K|Trust|TRUST|Fund|FUND|Bank|BANK)"
)
_GOES_ON = (  # what of one name follows after its first suffix
    rf"(?:,?\s*(?:{_SUFFIX}|KG|KGaA)(?!\w)\.?|\s*&\s*(?:Co|CO)\b\.?,?\s*KG(?:aA)?\b|,?\s*National Association\b"
    r"|\s+(?:and|AND|&)\s+(?:Trust|TRUST)\b(?:\s+(?:Company|COMPANY|Co)\b\.?)?|\s+(?:and|&)\s+Savings Bank\b)"
)
COMPANY_SUFFIX = re.compile(rf"(?<![\w.]){_SUFFIX}(?!\w)\.?{_GOES_ON}*")
_BETWEEN = re.compile(r"\b(?:by and between|by and among|between|among(?:st)?)\b:?", re.I)
_PREAMBLE = re.compile(  # no name: "The Space Between Us LLC"
    r"(?:^(?i:this)\b.*?\b|\b(?i:by\s+and)\s+)(?i:between|among(?:st)?)\b|\b(?:between|among(?:st)?)\b"
)
_BEGINS_BETWEEN = re.compile(r"(?:between|among(?:st)?)\b", re.I)
_AND_ANOTHER = re.compile(  # "Between Alder, Inc. and Birch LLC", but "Between The Lines LLC"
    rf"(?:^|[;\n])\s*(?i:between|among(?:st)?)\b(?:\s*:|[^;\n]*?(?:[,.)]|\b{_SUFFIX})[;\n]?\s*\b(?i:and)\b)"
)
_LAST_NAME = re.compile(r"\),?\s*and\s+((?:[A-Z][\w'’-]*\.?\s+){1,3}[A-Z][\w'’-]*)\.?$")
_DOCUMENT = re.compile(
    r"this\s+(?:[\w-]+\s+){0,5}?(?:agreement|contract|lease|licen[sc]e|amendment|memorandum)\b", re.I
)
_TERM = re.compile(
    r"[(\[]\s*(?:[^()\[\]]*[\"“”„'‘’ʺ][^()\[\]]*"
    r"|(?:the|each|individually|collectively|sometimes|together|hereinafter|formerly|a|an)\b[^()\[\]]*)[)\]]?"
)
_QUOTED = re.compile(r"[\"“”„ʺ][^\"“”„ʺ]*[\"“”„ʺ]|[\"“”„ʺ][^\"“”„ʺ]*$")
_LAST_BRACKET = re.compile(r"\s*\([^()]*\)\s*$")
_DESCRIPTION = re.compile(
    r",?\s+(?:\(?a|an|having|with (?:its|a|an|offices?|principal)|whose|organized|incorporated (?:in|under)"
    r"|located|of the (?:first|second|other)|together with|acting|on behalf|as (?:successor|trustee|agent)"
    r"|duly|existing|individually|collectively|including (?:its|their)|\(?each)\b.*",
    re.S,
)
_META = re.compile(r"\b(?:parties|collectively|individually|referred to|hereinafter|hereof|singularly)\b|\"party", re.I)
_ROLE = re.compile(
    r"(?:(?:the|this|services?|servicing|channel|business|lead|master|joint venture|holding|operating"
    r"|investment|marketing|remarketing|transaction)\s+)*(?:(?:sub|co)-?)?"
    r"(?:party\s+\w{1,2}|part(?:y|ies|ners?|nership)|we|us|our|you|your|company|corporation|distributors?"
    r"|resellers?|franchis\w+|licens\w+|owners?|operators?|banks?|agents?|agency|advis[eo]rs?|consultants?"
    r"|contractors?|customers?|clients?|suppliers?|sellers?|buyers?|purchasers?|vendors?|providers?|producers?"
    r"|manufacturers?|sponsors?|recipients?|less(?:or|ee)|grant(?:or|ee)|shippers?|sender|transporter|carrier"
    r"|affiliates?|network|executive|employe[er]|celebrity|talent|professional|athlete|artist|individual"
    r"|developer|host|fund|trust|trustee|managers?|members?|subsidiary|parent|investors?|charterer|servicer"
    r"|(?:stock|share)?holders?|marketer|endorser|bailee|principals?|administrator|entities|services|merchant"
    r"|borrower|lender|guarantors?|landlord|tenant)",
    re.I,
)
_OTHER_NAME = re.compile(r"(?:d\s*/?\s*b\s*/?\s*a|doing business as|formerly|a/?k/?a|f/k/a|also known as)\b", re.I)
_DBA = re.compile(r",?\s+(?:d\s*/?\s*b\s*/?\s*a|doing business as|a/k/a|f/k/a)\b.*", re.I | re.S)
_DEFINED = re.compile(r"[\"“”„ʺ]([^\"“”„ʺ]{2,40})[\"“”„ʺ]|(?:^|;)\s*([^;()\"“”]{2,40}?)\s*(?=;|$)")
_KEY_WORDS = {
    "incorporated": "inc", "corporation": "corp", "company": "co", "limited": "ltd", "the": "", "and": "",
}  # fmt: skip
_LEGAL = re.compile(r"\b(?:inc|corp|co|ltd|llc|lp|llp|plc|ag|sa|bv|nv|gmbh|ltda|pte|pty|na)\b")
_FAMILY = {"trust", "estate", "family"}
_EDGES = " ,;:\"“”'‘’()[]*_<>-"
_TOGETHER = "together"  # a term that names all parties at once says nothing about the words before it
LONG = 12  # words; a longer piece is a sentence, in which names are looked for


def read_parties(text: str) -> list[str] | None:
    """Return the parties that an answer lists or a quote names, in order; None where there are none.

    Args:
        text: names apart by line breaks or semicolons, or the sentence that introduces them.
    """
    names: list[str] = []
    opens = _AND_ANOTHER.search(text)
    for line in re.split(r"[;\n]+", text):
        piece = " ".join(line.split())
        in_sentence = len(piece.split()) > LONG or _PREAMBLE.search(piece) or (opens and _BEGINS_BETWEEN.match(piece))
        names += _from_sentence(piece) if in_sentence else _from_piece(piece)
    by_key: dict[str, str] = {}
    for name in names:
        by_key.setdefault(party_key(name), name)
    unique = [name for key, name in by_key.items() if key]
    terms = {name: _term_after(name, text) for name in unique}
    full = [
        name
        for name in unique
        if not _is_short_for_another(name, unique) or (terms[name] and _role_in(terms[name]) is None)
    ]
    if len(full) == 1 and not _LEGAL.search(party_key(full[0])):  # a defined term follows its name: "Sony" is a party
        full = unique[: unique.index(full[0]) + 1]
    if sum(COMPANY_SUFFIX.search(name) is not None for name in full) > 1:  # one word beside companies is a defined term
        full = [name for name in full if len(name.split()) > 1 or COMPANY_SUFFIX.search(name) or terms[name]]
    return full or None


def read_roles(text: str) -> list[dict[str, str | None]] | None:
    """Return the parties with the role that each is given: `{"name": "Birch LLC", "role": "Distributor"}`.

    A role is a defined term that says what a party does under the contract, after its name and before the next one;
    None where a party has only a short name, or no term at all.

    Args:
        text: as for `read_parties`.
    """
    names = read_parties(text)
    if names is None:
        return None
    plain = " ".join(text.split())
    found = sorted((max(plain.find(name), 0), name) for name in names)
    ends = [start for start, _ in found[1:]] + [len(plain)]
    roles = {name: _role_in(plain[start + len(name) : end]) for (start, name), end in zip(found, ends, strict=True)}
    return [{"name": name, "role": roles[name]} for name in names]


def _role_in(text: str) -> str | None:
    for match in _DEFINED.finditer(text):
        term = re.sub(r"^the\s+", "", (match[1] or match[2]).strip(_EDGES), flags=re.I)
        if _ROLE.fullmatch(term) and not re.fullmatch(r"part(?:y|ies)", term, re.I):
            return term
    return None


def same_parties(gold: Sequence[Any], answer: Sequence[Any]) -> bool:
    """Say whether two lists name the same parties: each name of either has its own match in the other.

    A party is a name, or a mapping with one; roles are not compared.
    """
    from rapidfuzz import fuzz

    left, right = ([party_key(_name(party)) for party in each] for each in (gold, answer))
    if len(left) != len(right):
        return False
    for name in left:
        scores = [100.0 if name == other else fuzz.token_sort_ratio(name, other) for other in right]
        best = max(range(len(right)), key=scores.__getitem__)
        if scores[best] < MATCH:
            return False
        right.pop(best)
    return True


def party_key(name: str) -> str:
    """Return what is compared of a name: no case, accents, punctuation, articles or trade names."""
    plain = unicodedata.normalize("NFKD", _DBA.sub("", name)).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"(?<=\b\w)\.\s?(?=\w\b)", "", plain)  # l.l.c. -> llc, s. a. -> sa
    words = re.sub(r"[^\w\s]", " ", plain.replace("&", " ")).split()
    return " ".join(word for word in (_KEY_WORDS.get(word, word) for word in words) if word)


def _name(party: Any) -> str:
    return str(party.get("name", "")) if isinstance(party, Mapping) else str(party)


def _from_piece(piece: str) -> list[str]:
    bare = _QUOTED.sub(" ", _TERM.sub(" ", piece))
    bare = _LAST_BRACKET.sub("", " ".join(bare.split()))
    if not COMPANY_SUFFIX.search(bare) and _META.search(piece):
        return []
    return [name for part in _split(bare) if (name := _tidy(part))]


def _from_sentence(text: str) -> list[str]:
    """Return the names in a sentence: what stands before a defined term or ends in a company's suffix.

    The last of those that it is "between" may have neither.
    """
    opening = _BETWEEN.search(text)
    rest = text[opening.end() :] if opening else text
    names = []
    marked = _mark_terms(rest)
    for chunk in re.split(r"\)[,;]?\s*(?:and\b|;|,)?\s*", marked):
        head, mark, term = chunk.strip().partition("\x00")
        if not COMPANY_SUFFIX.search(head) and (not mark or term == _TOGETHER):
            continue
        if not _META.search(head) and head[:1].isupper():
            names += [name for part in _split(head) if (name := _tidy(part))]
    last = _LAST_NAME.search(marked.rstrip()) if opening else None
    if last is not None and (name := _tidy(last[1])) and name not in names:
        names.append(name)
    return names


def _mark_terms(text: str) -> str:
    """Put a mark before each defined term in brackets, so that the name before it can be told apart."""
    return _TERM.sub(lambda term: f"\x00{_TOGETHER if _META.search(term.group()) else ''})", text)


def _split(text: str) -> list[str]:
    """Split "A, Inc., B LLC and C Ltd." after the company suffixes."""
    parts, at = [], 0
    for match in COMPANY_SUFFIX.finditer(text):
        joint = re.match(r"\s*(?:,\s*(?:and\s+)?|\s+and\s+|\s*&\s+)(?=[A-Z])", text[match.end() :])
        if joint is not None:
            parts.append(text[at : match.end()])
            at = match.end() + joint.end()
    return [*parts, text[at:]]


def _tidy(text: str) -> str | None:
    name = _DESCRIPTION.sub("", text).strip(_EDGES)
    name = re.sub(r"^(?:(?:and|between|by|or)\b|WHEREAS\b,?|Party \w:)\s*", "", name)
    if len(name) < 2 or len(name.split()) > LONG or not re.search(r"[^\W\d_]", name):
        return None
    if _ROLE.fullmatch(name.rstrip(".")) or _OTHER_NAME.match(name):
        return None
    if _DOCUMENT.match(name) and not COMPANY_SUFFIX.search(name):
        return None
    return name if name[0].isupper() or name[0].isdigit() or COMPANY_SUFFIX.search(name) or "." in name else None


def _term_after(name: str, text: str) -> str:
    """Return the defined term in brackets that stands right after a name, which is no such term itself, then."""
    for match in re.finditer(rf"(?<!\w){re.escape(name)}[\s,]*", text):
        term = _TERM.match(text, match.end())
        if term is not None and not _META.search(term.group()):
            return term.group()
    return ""


def _is_short_for_another(name: str, names: Sequence[str]) -> bool:
    """Say whether `name` is a defined term for a longer name: its first words, or its initials."""
    key = party_key(name)
    words = key.split()
    if _LEGAL.search(key):
        return False
    return any(
        other != name
        and (_begins(words, party_key(other).split()) or (name.isupper() and _is_acronym(words, party_key(other))))
        for other in names
    )


def _begins(words: Sequence[str], longer: Sequence[str]) -> bool:
    more = set(longer) - set(words)
    if len(words) > 1 and more & _FAMILY:  # "John Smith" is another party than his family's trust
        return False
    return len(words) < len(longer) and set(words) <= set(longer)


def _is_acronym(words: Sequence[str], longer: str) -> bool:
    """Say whether a word of at most six letters is made, in order, of letters of a name with its first."""
    if len(words) != 1 or len(words[0]) > 6 or not longer or words[0][0] != longer[0] or len(longer.split()) < 2:
        return False
    letters = iter(longer)
    return all(letter in letters for letter in words[0])
