"""What stands in place of personal data: one pseudonym for each spelling, one number for each person.

`[PERSON_17]` is the first spelling seen of person 17, `[PERSON_17.2]` the second ("JOHN SMITH", "Mr. Smith"'s
surname), so that the same person has the same number everywhere and every pseudonym leads back to one string.
With the style `realistic` it is `⟦Alan Whitfield⟧`, marked by brackets that contracts do not use.

Why restoring is exact: a pseudonym is a bracket, text without brackets, and a bracket. Text of the source that
looks like one is itself replaced (`[LITERAL_3]`), and what is left of the source cannot complete one across a
pseudonym, because each brings its own two brackets. So all that looks like a pseudonym afterwards is one.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple, Protocol

from lextune.data.privacy.kinds import KINDS, Finding, Kind
from lextune.data.privacy.name_lists import fold

Style = Literal["placeholder", "realistic"]

_NAMES = "|".join(kind.upper() for kind in (*KINDS, "literal"))
PSEUDONYM = re.compile(rf"\[(?:{_NAMES})_[0-9]+(?:\.[0-9]+)?\]|⟦[^⟦⟧\[\]\n]{{1,80}}⟧")
_SUFFIXES = frozenset(("jr", "sr", "ii", "iii", "iv"))
BRITISH_DIGITS = 11  # of a number at most; 011 before more of them is how Americans dial abroad
_INITIALS = re.compile(r"(?:[^\W\d_]\.?)+")


class Namer(Protocol):
    """Chooses what is written in place of a string."""

    def name(self, kind: Kind, keys: Keys, surface: str) -> str:
        """Return what stands for `surface`, a spelling of what `keys` identify."""
        ...

    def hash(self, new: str, old: str) -> str:
        """Return what stands for the hash of a source, of which the rewritten document's is `new`."""
        ...


class Keys(NamedTuple):
    """What identifies something: its own key; that of the fuller name it is short for; whether it is known by
    its own key in other documents too (a surname alone is not); the keys of that fuller name's shorter whole forms
    in the document, by which the person may be known already, unless a fuller name that does not fit is, too."""

    own: str
    fuller: str
    everywhere: bool
    shorter: tuple[str, ...] = ()


def literals(text: str) -> Iterator[Finding]:
    """Yield what looks like a pseudonym already."""
    for match in PSEUDONYM.finditer(text):
        yield Finding("literal", *match.span(), 1.0, "looks like a pseudonym")


class Mask:
    """Writes the kind alone: `[PERSON]`. There is no way back."""

    def name(self, kind: Kind, keys: Keys, surface: str) -> str:
        """Return the kind in brackets."""
        return f"[{kind.upper()}]"

    def hash(self, new: str, old: str) -> str:
        """Return the new hash."""
        return new


class Pseudonyms:
    """The mapping of a dataset: it grows while documents are read, and is what a vault keeps.

    Args:
        style: what new pseudonyms look like.
        rows: a mapping to go on from, as `rows` gives it.
    """

    def __init__(self, style: Style = "placeholder", rows: Iterable[Mapping[str, str]] = ()) -> None:
        self.style = style
        self.originals: dict[str, str] = {}
        """The string that each pseudonym stands for."""
        self.hashes: dict[str, str] = {}
        """The source's hash that each hash of a rewritten document stands for."""
        self._numbers: dict[tuple[Kind, str], int] = {}
        self._known: dict[tuple[Kind, int], set[str]] = {}  # the keys of each number
        self._forms: dict[tuple[Kind, int], dict[str, str]] = {}
        self._last: dict[Kind, int] = {}
        for row in rows:
            self._load(row)

    def name(self, kind: Kind, keys: Keys, surface: str) -> str:
        """Return the pseudonym of a spelling, a new one where it has none yet."""
        known = (*((keys.own,) if keys.everywhere else ()), keys.fuller, *keys.shorter)
        numbers = (self._number(kind, key, keys.fuller) for key in known)
        number = next((number for number in numbers if number is not None), None)
        if number is None:
            number = self._last[kind] = self._last.get(kind, 0) + 1
        for key in (keys.fuller, *((keys.own,) if keys.everywhere else ())):
            if (kind, key) not in self._numbers:
                self._learn(kind, key, number)
        forms = self._forms.setdefault((kind, number), {})
        if surface not in forms:
            pseudonym = self._new(kind, number, len(forms) + 1, surface)
            forms[surface], self.originals[pseudonym] = pseudonym, surface
        return forms[surface]

    def _number(self, kind: Kind, key: str, fuller: str) -> int | None:
        """Return a key's number, None where it is shorter than `fuller` and that of another fuller name as well."""
        number = self._numbers.get((kind, key))
        if number is None or key == fuller:
            return number
        others = self._known[kind, number]
        return number if all(k == fuller or _short_for(k, fuller) or _short_for(fuller, k) for k in others) else None

    def _learn(self, kind: Kind, key: str, number: int) -> None:
        self._numbers[kind, key] = number
        self._known.setdefault((kind, number), set()).add(key)

    def hash(self, new: str, old: str) -> str:
        """Return the new hash, or one made from it where that stands for the hash of another source already."""
        found, count = new, 1
        while self.hashes.setdefault(found, old) != old:
            count += 1
            found = hashlib.sha256(f"{new} {count}".encode()).hexdigest()
        return found

    def _new(self, kind: Kind, number: int, form: int, surface: str) -> str:
        if self.style == "placeholder" or kind == "literal":
            return f"[{kind.upper()}_{number}{'' if form == 1 else f'.{form}'}]"
        invented, count = INVENTORS[kind](number, surface), 1
        while (pseudonym := f"⟦{invented}{'' if count == 1 else f' {count}'}⟧") in self.originals:
            count += 1
        return pseudonym

    def restore(self, text: str) -> str:
        """Return a string with every pseudonym of this mapping as the string it stands for."""
        return PSEUDONYM.sub(lambda match: self.originals.get(match.group(), match.group()), text)

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield the mapping: every spelling, then every key that finds a number again, then the hashes."""
        for (kind, number), forms in self._forms.items():
            for surface, pseudonym in forms.items():
                yield {"kind": kind, "number": str(number), "pseudonym": pseudonym, "original": surface}
        for (kind, key), number in self._numbers.items():
            yield {"kind": kind, "number": str(number), "key": key}
        for new, old in self.hashes.items():
            yield {"kind": "hash", "new": new, "original": old}

    def _load(self, row: Mapping[str, str]) -> None:
        if row["kind"] == "hash":
            self.hashes[row["new"]] = row["original"]
            return
        kind: Kind = row["kind"]  # type: ignore[assignment]  # written by `rows`
        number = int(row["number"])
        if "key" in row:
            self._learn(kind, row["key"], number)
            return
        self._forms.setdefault((kind, number), {})[row["original"]] = row["pseudonym"]
        self.originals[row["pseudonym"]] = row["original"]
        self._last[kind] = max(number, self._last.get(kind, 0))


# --- what is the same -----------------------------------------------------------------------------------------
def identify(findings: Iterable[tuple[Kind, str]]) -> dict[tuple[Kind, str], Keys]:
    """Say what each string that was found in one document identifies.

    A person's shorter name ("J. Smith", "SMITH") is that of the one fuller name in the document that it fits,
    and of nobody where it fits several.

    Args:
        findings: kinds and strings, as they stand in the document.
    """
    keys = {(kind, value): _key(kind, value) for kind, value in findings}
    people: dict[str, set[str]] = {}
    for (kind, _), key in keys.items():
        for word in key.split()[-2:] if kind == "person" else ():  # a surname, or what stands before "jr"
            people.setdefault(word, set()).add(key)
    named: dict[tuple[Kind, str], tuple[str, str, bool]] = {}
    shorter: dict[str, list[str]] = {}
    for (kind, value), key in keys.items():
        alike = people.get(key.split()[-1], ()) if kind == "person" and key else ()
        fuller = [other for other in alike if _short_for(key, other)]
        fullest = [other for other in fuller if not any(_short_for(other, third) for third in fuller)]
        whole = kind != "person" or _is_whole(key)
        if len(fullest) == 1 and whole:
            shorter.setdefault(fullest[0], []).append(key)
        named[kind, value] = (key, fullest[0] if len(fullest) == 1 else key, whole or len(fullest) != 1)
    return {
        (kind, value): Keys(own, fuller, everywhere, tuple(shorter.get(fuller, ())) if kind == "person" else ())
        for (kind, value), (own, fuller, everywhere) in named.items()
    }


def _key(kind: Kind, value: str) -> str:
    if kind == "person":
        return " ".join(_name_words(value))
    if kind == "literal":
        return value
    if kind == "phone":
        return _dialled(value)
    folded = fold(value)
    if kind == "email":
        return "".join(folded.split())
    return "".join(c for c in folded if c.isalnum()) or value


def _dialled(value: str) -> str:
    """Return a phone number as it is dialled from anywhere (E.164), and its extension; its digits where it is none."""
    import phonenumbers

    value = fold(value)
    digits = "".join(c for c in value if c.isdigit())
    british = digits.startswith("0") and not (digits.startswith("011") and len(digits) > BRITISH_DIGITS)
    try:
        number = phonenumbers.parse(value, "GB" if british else "US")
    except phonenumbers.NumberParseException:
        return digits
    key = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{key}x{number.extension}" if number.extension else str(key)


def _name_words(value: str) -> list[str]:
    """Return the folded words of a name, initials each for itself and without dots."""
    words: list[str] = []
    for word in re.split(r"[\s,]+", fold(value)):
        words += word.split(".") if "." in word else [word]
    return [word for word in words if word]


def _is_whole(key: str) -> bool:
    """Say whether a name has a given name and a surname, neither of them an initial."""
    return sum(len(word) > 1 and word not in _SUFFIXES for word in key.split()) > 1


def _short_for(short: str, long: str) -> bool:
    """Say whether `short` is a shorter way to write the whole name `long`: the same surname, fewer or initials."""
    a, b = short.split(), long.split()
    if a == b or len(a) > len(b) or not _is_whole(long) or not a:
        return False
    if a[-1] not in _SUFFIXES and b[-1] in _SUFFIXES and len(b) > 2:
        b = b[:-1]
    if a[-1] != b[-1] or len(a[-1]) < 2:
        return False
    rest = iter(b[:-1])
    fits = all(any(word == other or (len(word) == 1 and other[0] == word) for other in rest) for word in a[:-1])
    return fits and (len(a) == 1 or a[0][0] == b[0][0])


# --- invented values ------------------------------------------------------------------------------------------
@functools.cache
def _invented_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    from faker.providers.person.en_GB import Provider

    given, surnames = (sorted(n for n in set(names) if n.isascii() and n.isalpha() and len(n) > 3)
                       for names in (Provider.first_names, Provider.last_names))  # fmt: skip
    return tuple(given), tuple(surnames)


def _invented_name(number: int) -> tuple[str, str]:
    """Return the given name and surname of person `number`; pairs repeat after about 100,000."""
    given, surnames = _invented_names()
    turn, place = divmod(number * 7, len(given))
    return given[place], surnames[(turn + place * 3) % len(surnames)]


def _person(number: int, surface: str) -> str:
    given, surname = _invented_name(number)
    words = surface.split()
    if len(words) == 1:
        name = surname
    else:
        name = f"{given[0]}. {surname}" if _INITIALS.fullmatch(words[0]) and len(words[0]) < 3 else f"{given} {surname}"
    return name.upper() if surface.isupper() and len(surface) > 2 else name


def _email(number: int, surface: str) -> str:
    given, surname = _invented_name(number)
    return f"{given}.{surname}{number}@example.com".lower()


INVENTORS: dict[Kind, Callable[[int, str], str]] = {
    "person": _person,
    "email": _email,
    "phone": lambda number, surface: f"({200 + number // 100 % 800}) 555-01{number % 100:02d}",
    "id": lambda number, surface: f"ID {number:06d}",
    "account": lambda number, surface: f"account {number:08d}",
    "address": lambda number, surface: f"{number} Example Street",
}
"""What a value of each kind looks like in the style `realistic`: of a number, and the string it stands for."""
