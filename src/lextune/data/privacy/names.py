"""Names of natural persons: by what stands around them, by lists of names, and by what else the document says.

A candidate is a run of capitalised words that are no contract words. It is a name where its surroundings say so
(an honorific, "/s/", "Name:", "an individual", a title after it), where its first word is a given name, or where
it has an initial in the middle. A name that ends in a company's suffix, or begins one, is a company's. Once a
full name is known, its surname and its capitals elsewhere in the same document are that person too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lextune.data.privacy.kinds import Finding
from lextune.data.privacy.name_lists import Lists, name_lists
from lextune.data.privacy.words import Companies, Word, companies_in, words_of

_HONORIFIC = re.compile(
    r"(?<![^\W_])(?:M(?:r|rs|s|x|iss)|Messrs|Dr|Prof(?:essor)?|Sir|Dame|Lord|Lady|Hon(?:ou?rable)?|Judge|Justice"
    r"|Rev(?:erend)?|MR|MRS|MS|DR|Capt|Col|Gen|Lt|Sgt)\.?[ \t\u00a0\n]{1,3}$"
)
_SIGNED = re.compile(r"/[ ]?[sS][ ]?/[\s_]{0,12}$")
_LABEL = re.compile(
    r"(?<![^\W_])(?<!Company )(?<!Product )(?<!Trade )(?<!Domain )(?<!Business )(?<!Legal )(?<!Brand )"
    r"(?i:(?:(?:(?:print(?:ed)?|typed|full)[ ])?name(?:[ ]\(print(?:ed)?\))?|attention|attn"
    r"|contact(?:[ ](?:person|name))?|signatory|signed(?:[ ]by)?|signature|witness(?:ed[ ]by)?|cc|prepared[ ]by"
    r"|submitted[ ]by|inventors?|authors?|reviewers?|employee|executive|consultant|guarantor|tenant|landlord|borrower"
    r"|representative|manager|from|to|dear|mother|father|wife|husband|spouse|son|daughter|trustee|attorney|notary)"
    r"[ \t\u00a0]{0,3}:[\s_.]{0,40}"
    r"|(?:c/o|dear|named|attn|attention|witness name|print name|contact person|i,)[ \t]{1,3})$"
)
_BY = re.compile(r"(?<![^\W_])(?:By|BY)[ \t]{0,3}:[\s_]{0,40}$")
_PERSON_AFTER = re.compile(
    r"[ \t]{0,3},?[ \t\n]{1,3}\(?(?:an individual|a natural person|individually|an adult|residing|who resides"
    r"|resident (?:at|of|in)|whose(?:[ ]\w+)? address|domiciled|born|aged|Esq\b|M\.?D\.?\b|Ph\.?D\b|CPA\b|[QK]\.?C\.?\b"
    r"|(?:his|her) (?:wife|husband|heirs|spouse)|social security|passport|SSN)"
)
_TITLE_AFTER = re.compile(
    r"[ \t]{0,3}(?:,\s{0,4}|\n[ \t]{0,40}|[ \t]{2,}|[ ](?=Title\b)|[ ]\(|[ ]as[ ]|[ ][–-][ ])"
    r"(?:(?:its|the|our|as|acting|interim|Its|Title|Position)\b[ \t]{0,3}:?[ \t]{0,3})?"
    r"(?:Title\b|Chief\b|C[EFOT]O\b|(?:(?:Senior |Executive |Sr\.? )?Vice[ -])?President\b|PRESIDENT\b|[ES]?VP\b"
    r"|Chair(?:man|woman)?\b|(?:(?:Managing|Executive|Finance|Representative) )?Director\b"
    r"|(?:General |Senior |Legal )?Counsel\b|(?:Company )?Secretary\b|Treasurer\b"
    r"|(?:General |Managing )(?:Manager|Partner|Member)\b|Authori[sz]ed\b|Duly\b|Attorney\b"
    r"|Solicitor\b|(?:Co-)?Founder\b|Head of\b|Partner\b|Trustee\b|Notary\b)"
)
_SUFFIX = re.compile(r",?[ \t\u00a0]{1,2}(?:Jr|Sr|JR|SR|III|II|IV)\b\.?")
_THE = re.compile(r"(?<![^\W_])(?:[Tt]he|THE|[Aa]n?|such|this|any|each)[ \t\n]{1,3}$")
_NEXT = re.compile(r"[ \t\u00a0]{1,3}(?:&[ \t\u00a0]{1,3})?([^\W\d_a-z][\w'’]*)")
_NEAR = re.compile(r"[ \t\u00a0]{1,3}")
_WRAP = re.compile(r"[ \t\u00a0]{0,3}\r?\n[ \t\u00a0]{0,3}")
GENERATIONS = ("jr", "sr", "ii", "iii", "iv")
LOOK_BACK, LOOK_AHEAD = 64, 90
MOST_WORDS = 6


class _Text(NamedTuple):
    text: str
    words: list[Word]
    companies: Companies


class _Found(NamedTuple):
    words: tuple[Word, ...]
    finding: Finding


def find_persons(texts: Sequence[str]) -> list[list[Finding]]:
    """Find the names of natural persons in the texts of one document.

    Args:
        texts: strings that belong together: what one of them tells about a name holds in all.

    Returns:
        The findings of each text, in order and without overlap.
    """
    lists = name_lists()
    read = [_Text(text, words := words_of(text), companies_in(text, words)) for text in texts]
    lower = {w.folded for part in read for w in part.words if not w.capital and not _in_address(part.text, w)}
    found = [list(_by_evidence(part, lists, lower)) for part in read]
    people = _People.of([f for row in found for f in row], lists, lower, [part.companies for part in read])
    return [_merged(part, row, people, lists) for part, row in zip(read, found, strict=True)]


def _in_address(text: str, word: Word) -> bool:
    """Say whether a word is a part of an email address or a link, where names are in small letters too."""
    return text[word.start - 1 : word.start] in ("@", ".", "_", "/") or text[word.end : word.end + 1] in ("@", "_")


def _by_evidence(part: _Text, lists: Lists, lower: set[str]) -> Iterator[_Found]:
    for several in _runs(part, lists, lower):
        for run in _apart(several, lists):
            confidence, rule = _judge(part, run, lists, lower)
            if confidence:
                yield _Found(tuple(run), _finding(part.text, run, confidence, rule))


def _apart(run: list[Word], lists: Lists) -> Iterator[list[Word]]:
    """Divide a run in which a second person's given name follows the first one's surname, as in signature blocks."""
    while run and (run[-1].folded in lists.particles or run[-1].folded in GENERATIONS):
        run = run[:-1]
    half = len(run) // 2
    if half > 1 and [w.folded for w in run[:half]] == [w.folded for w in run[half:]]:
        yield from (run[:half], run[half:])
        return
    for at in range(2, len(run) - 1):
        given = lists.is_given(run[at].folded) and run[at].folded not in lists.surnames | lists.ambiguous
        pair = len(run) == 4 and at == 2 and lists.is_surname(run[1].folded)  # Lance Mitchell Jamie Samson
        if given and not run[at - 1].initial and (pair or not lists.is_given(run[at - 1].folded)):
            yield run[:at]
            yield from _apart(run[at:], lists)
            return
    yield run


def _finding(text: str, run: Sequence[Word], confidence: float, rule: str) -> Finding:
    suffix = _SUFFIX.match(text, run[-1].end)
    return Finding("person", run[0].start, suffix.end() if suffix else run[-1].end, confidence, f"person: {rule}")


def _runs(part: _Text, lists: Lists, lower: set[str]) -> Iterator[list[Word]]:
    """Yield runs of neighbouring words that could be a name."""
    run: list[Word] = []
    for word in part.words:
        if run and not _follows(part.text, run, word):
            yield run
            run = []
        small = word.folded in lists.particles and run
        if (word.capital or small) and not _blocked(word, lists, lower):
            run.append(word)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _follows(text: str, run: Sequence[Word], word: Word) -> bool:
    """Say whether a word stands right after a run: on its line, or on the next one after a given name alone."""
    if _NEAR.fullmatch(text, run[-1].end, word.start):
        return True
    first_part = sum(not w.initial for w in run) == 1 and len(run) <= 2
    return first_part and bool(_WRAP.fullmatch(text, run[-1].end, word.start))


def _blocked(word: Word, lists: Lists, lower: set[str]) -> bool:
    if word.initial or word.folded in lists.particles:
        return False
    if word.folded in lists.never or word.folded in lists.honorifics:
        return True
    known = lists.is_given(word.folded) or lists.is_surname(word.folded)
    return word.folded in lower and not known


def _judge(part: _Text, run: Sequence[Word], lists: Lists, lower: set[str]) -> tuple[float, str]:
    """Return how sure it is that a run is a person's name, 0 for not, and what tells."""
    full = [word for word in run if not word.initial and word.folded not in lists.particles]
    if not full or len(run) > MOST_WORDS or part.companies.covers(run[0].start, run[-1].end):
        return 0.0, ""
    if any(word.folded in lists.organisation for word in full[1:]) or _before_organisation(part, run, lists):
        return 0.0, ""
    around = _by_surroundings(part.text, run, full, lists)
    if around[0]:
        return around
    if _THE.search(part.text, max(0, run[0].start - 12), run[0].start):
        return 0.0, ""
    if part.companies.starts_with([word.folded for word in run]):
        return 0.0, ""
    return _by_lists(run, full, lists, lower)


def _before_organisation(part: _Text, run: Sequence[Word], lists: Lists) -> bool:
    """Say whether the words after a run make it an organisation's name or the first half of a firm's."""
    after = _NEXT.match(part.text, run[-1].end)
    return after is not None and after.group(1).lower() in lists.organisation


def _by_surroundings(text: str, run: Sequence[Word], full: Sequence[Word], lists: Lists) -> tuple[float, str]:
    start, end = run[0].start, run[-1].end
    back = max(0, start - LOOK_BACK)
    if _HONORIFIC.search(text, back, start):
        return 0.95, "honorific"
    if _SIGNED.search(text, back, start):
        return 0.95, "signature"
    known = _known(run, full, lists)
    if len(full) + len(run) < 3:  # one word alone
        return (0.6, "label") if known == 3 and _LABEL.search(text, back, start) else (0.0, "")
    after = text[end : end + LOOK_AHEAD]
    if _PERSON_AFTER.match(after):
        return 0.9, "individual"
    if _LABEL.search(text, back, start):
        return 0.9, "label"
    titled = _TITLE_AFTER.match(after) is not None
    if (titled or _BY.search(text, back, start)) and (known or titled) and full[-1].folded not in lists.places:
        return (0.85 if known else 0.7), "title" if titled else "signature"
    return 0.0, ""


def _known(run: Sequence[Word], full: Sequence[Word], lists: Lists) -> int:
    """Return 3 for a sure given name first, 2 for an initial in the middle, 1 for a likely name, 0 for none."""
    if lists.is_given(full[0].folded) and full[0].folded not in lists.ambiguous:
        return 3
    if len(run) >= 3 and len(full) >= 2 and any(word.initial for word in run[1:-1]):
        return 2
    return int(full[0].folded in lists.ambiguous or lists.is_surname(full[-1].folded))


def _by_lists(run: Sequence[Word], full: Sequence[Word], lists: Lists, lower: set[str]) -> tuple[float, str]:
    known, last = _known(run, full, lists), full[-1]
    surname = lists.is_surname(last.folded) and last.folded not in lower
    if len(last.folded) < 2 or len(run) < 2 or run[-1].initial:
        return 0.0, ""
    if run[0].initial:  # J. Smith, J. Robert Smith
        likely = surname or (len(full) >= 2 and lists.is_given(full[0].folded))
        if not likely and run[0].folded.count(".") > 1:  # J.R. Whitlock
            likely = not (last.upper or last.folded in lower or run[0].folded in lists.abbreviations)
        return (0.7, "initials") if likely and last.folded not in lists.places else (0.0, "")
    if len(full) < 2:
        return 0.0, ""
    if known == 3 and full[0].folded not in lower:
        return (0.9 if surname else 0.75), "given name"
    if known == 2:
        return 0.8, "middle initial"
    if lists.is_given(full[0].folded) and surname and last.folded not in lists.places | lists.ambiguous:
        return 0.6, "given name"
    if full[0].folded in lists.family_first and len(run) <= 3 and last.folded not in lower | lists.places:
        return 0.6, "family name first"
    odd = full[0].folded in lists.places or full[0].folded in lists.ambiguous or full[0].folded in lower
    if surname and len(full) == 2 and not odd and last.folded not in lists.places | lists.ambiguous and not last.upper:
        return 0.5, "surname"
    return 0.0, ""


class _People(NamedTuple):
    """The persons known in a document: their full names, and the words that alone name one of them."""

    names: frozenset[tuple[str, ...]]
    surnames: frozenset[str]

    @classmethod
    def of(cls, found: Sequence[_Found], lists: Lists, lower: set[str], companies: Sequence[Companies]) -> _People:
        """Collect them; a word that also names a company, a place or a thing names no person alone."""
        names, alone = set(), set()
        taken = {word for part in companies for name in part.names for word in name}
        taken |= lower | lists.places | lists.never | lists.organisation
        for words, finding in found:
            key = tuple(w.folded for w in words)
            if finding.confidence >= 0.7 and len(key) > 1:
                names.add(key)
                alone.add(key[-1])
        return cls(frozenset(names), frozenset(w for w in alone if len(w) > 2 and w not in taken))


def _merged(part: _Text, found: Sequence[_Found], people: _People, lists: Lists) -> list[Finding]:
    """Return what was found, and every other mention of the same people."""
    findings = [f.finding for f in found]
    covered = {word.start for f in found for word in f.words}
    words, at = part.words, 0
    while at < len(words):
        size = _mention(part, at, people)
        run = words[at : at + size]
        free = size and run[0].start not in covered and not part.companies.covers(run[0].start, run[-1].end)
        if free and not _before_organisation(part, run, lists):
            findings.append(_finding(part.text, run, 0.7, "mentioned again"))
        at += max(1, size)
    return sorted(findings, key=lambda f: f.start)


def _mention(part: _Text, at: int, people: _People) -> int:
    """Return of how many words the mention of a known person at this word is, 0 for none."""
    words = part.words
    if not words[at].capital:
        return 0
    for size in range(min(MOST_WORDS, len(words) - at), 1, -1):
        key = tuple(word.folded for word in words[at : at + size])
        if key in people.names and not re.search(r"\n\s*\n", part.text[words[at].start : words[at + size - 1].end]):
            return size
    return int(words[at].folded in people.surnames)
