"""Jurisdictions: which state's or country's law a sentence chooses.

The gazetteer below is written for contracts: the states, provinces and territories whose own law is chosen,
and the countries that occur as a choice of law. The canonical name is the usual short English one
("Delaware", "Ontario", "China"); several are joined by "; " in the order of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_STATES = {
    "United States": (
        "Alabama, Alaska, Arizona, Arkansas, California, Colorado, Connecticut, Delaware, District of "
        "Columbia, Florida, Georgia, Hawaii, Idaho, Illinois, Indiana, Iowa, Kansas, Kentucky, "
        "Louisiana, Maine, Maryland, Massachusetts, Michigan, Minnesota, Mississippi, Missouri, "
        "Montana, Nebraska, Nevada, New Hampshire, New Jersey, New Mexico, New York, North Carolina, "
        "North Dakota, Ohio, Oklahoma, Oregon, Pennsylvania, Puerto Rico, Rhode Island, South "
        "Carolina, South Dakota, Tennessee, Texas, Utah, Vermont, Virginia, Washington, West "
        "Virginia, Wisconsin, Wyoming"
    ),
    "Canada": (
        "Alberta, British Columbia, Manitoba, New Brunswick, Newfoundland and Labrador, Northwest "
        "Territories, Nova Scotia, Nunavut, Ontario, Prince Edward Island, Quebec, Saskatchewan, "
        "Yukon"
    ),
    "United Kingdom": "England and Wales, Northern Ireland, Scotland",
    "Australia": (
        "Australian Capital Territory, New South Wales, Northern Territory, Queensland, South "
        "Australia, Tasmania, Victoria, Western Australia"
    ),
    "China": "Hong Kong, Macau",
    "United Arab Emirates": "Abu Dhabi, Abu Dhabi Global Market, Dubai, Dubai International Financial Centre",
}
_COUNTRIES = (
    "Albania, Algeria, Andorra, Angola, Antigua and Barbuda, Argentina, Armenia, Aruba, Australia, "
    "Austria, Azerbaijan, Bahamas, Bahrain, Bangladesh, Barbados, Belarus, Belgium, Belize, Bermuda, "
    "Bolivia, Bosnia and Herzegovina, Botswana, Brazil, British Virgin Islands, Brunei, Bulgaria, "
    "Cambodia, Cameroon, Canada, Cayman Islands, Chile, China, Colombia, Costa Rica, Croatia, Cuba, "
    "Curacao, Cyprus, Czech Republic, Denmark, Dominican Republic, Ecuador, Egypt, El Salvador, "
    "Estonia, Ethiopia, Fiji, Finland, France, Gabon, Germany, Ghana, Gibraltar, Greece, Guatemala, "
    "Guernsey, Honduras, Hungary, Iceland, India, Indonesia, Iran, Iraq, Ireland, Isle of Man, "
    "Israel, Italy, Ivory Coast, Jamaica, Japan, Jersey, Jordan, Kazakhstan, Kenya, Kuwait, "
    "Kyrgyzstan, Laos, Latvia, Lebanon, Liberia, Libya, Liechtenstein, Lithuania, Luxembourg, "
    "Madagascar, Malaysia, Malta, Marshall Islands, Mauritius, Mexico, Moldova, Monaco, Mongolia, "
    "Montenegro, Morocco, Mozambique, Myanmar, Namibia, Nepal, Netherlands, New Zealand, Nicaragua, "
    "Nigeria, North Korea, North Macedonia, Norway, Oman, Pakistan, Panama, Papua New Guinea, Paraguay, Peru, "
    "Philippines, Poland, Portugal, Qatar, Romania, Russia, Rwanda, Saudi Arabia, Senegal, Serbia, "
    "Seychelles, Singapore, Slovakia, Slovenia, South Africa, South Korea, Spain, Sri Lanka, Sweden, "
    "Switzerland, Taiwan, Tanzania, Thailand, Trinidad and Tobago, Tunisia, Turkey, Uganda, Ukraine, "
    "United Arab Emirates, United Kingdom, United States, Uruguay, Uzbekistan, Vanuatu, Venezuela, "
    "Vietnam, Zambia, Zimbabwe"
)
_ALIASES = {
    "China": (
        "People's Republic of China, Peoples Republic of China, PRC, P.R.C., P.R. China, PR China, Mainland China"
    ),
    "Curacao": "Curaçao",
    "Czech Republic": "Czechia",
    "District of Columbia": "Washington D.C., Washington DC, Washington, D.C.",
    "England and Wales": "England & Wales, England, Wales",
    "Germany": "Federal Republic of Germany",
    "Hong Kong": "Hong Kong SAR, Hong Kong Special Administrative Region",
    "Ivory Coast": "Côte d'Ivoire",
    "Macau": "Macao, Macau SAR, Macao SAR, Macau Special Administrative Region, Macao Special Administrative Region",
    "Massachusetts": "Massachussets, Massachussetts",
    "Netherlands": "Holland",
    "North Korea": "Democratic People's Republic of Korea, DPRK",
    "Quebec": "Québec",
    "Russia": "Russian Federation",
    "Slovakia": "Slovak Republic",
    "South Korea": "Republic of Korea, Korea",
    "Taiwan": "Republic of China, R.O.C.",
    "Turkey": "Türkiye, Turkiye",
    "United Arab Emirates": "U.A.E., UAE",
    "United Kingdom": "Great Britain, U.K., UK",
    "United States": "United States of America, U.S.A., USA, U.S., US, America",
    "Vietnam": "Viet Nam",
}


def _split(names: str) -> list[str]:
    return re.split(r", (?!D\.C\.)", names)


PARENT = {state: country for country, states in _STATES.items() for state in _split(states)}
"""The country of each state, province or territory."""

_ADJECTIVES = {
    "Australia": "Australian", "Austria": "Austrian", "Belgium": "Belgian", "Brazil": "Brazilian", "Canada": "Canadian",
    "China": "Chinese", "Denmark": "Danish", "England and Wales": "English", "Finland": "Finnish", "France": "French",
    "Germany": "German", "Greece": "Greek", "India": "Indian", "Ireland": "Irish", "Israel": "Israeli",
    "Italy": "Italian", "Japan": "Japanese", "Mexico": "Mexican", "Netherlands": "Dutch", "Norway": "Norwegian",
    "Poland": "Polish", "Portugal": "Portuguese", "Russia": "Russian", "Scotland": "Scots", "South Korea": "Korean",
    "Spain": "Spanish", "Sweden": "Swedish", "Switzerland": "Swiss", "Turkey": "Turkish",
}  # fmt: skip
_CANONICAL = {name.casefold(): name for name in (*PARENT, *_split(_COUNTRIES))}
_CANONICAL |= {alias.casefold(): name for name, aliases in _ALIASES.items() for alias in _split(aliases)}
_CANONICAL |= {f"{word} {law}".casefold(): name for name, word in _ADJECTIVES.items() for law in ("law", "laws")}


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    words = "|".join(re.escape(name).replace(r"\ ", r"\s+").replace("'", "['’]") for name in longest_first)
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.I)


_PLACE = _pattern(_CANONICAL)
_STOP = (
    r"other\s+than|not\s+includ\w+|without|conflicts?|exclu\w+|except\w*|courts?|venue|arbitrat\w+"
    r"|notwithstanding|regardless|irrespective"
    r"|submit\w*|residents?|convention|federal|applicable|actions?|suits?|proceedings?|brought|litigat\w+|corporation"
)
_CHOSEN = re.compile(rf"\blaws?\b(?:(?!\b(?:{_STOP})\b|\w{{4,}}\.\s+(?-i:[A-Z]))[^;]){{0,90}}$", re.I)
_LAW_AFTER = re.compile(
    r"^(?:\s+(?:state|general|internal|substantive|contract|civil))*\s+laws?\b(?!\s+(?:rules|princip))", re.I
)
_ASIDE = re.compile(rf"\b(?:{_STOP})\b[^;]{{0,60}}$", re.I)
_EXCLUDED = re.compile(  # "any law other than that of Utah" chooses Utah
    r"\b(?:(?<!whether or )not|(?<!law )(?<!laws )(?<!country )(?<!state )(?<!jurisdiction )other\s+than|rather\s+than"
    r"|exclud(?:e|es|ing)|not\s+includ\w+)(?:[\s,]+(?:be|governed|construed|by|under|in|accordance|with|to|the|those"
    r"|internal|laws?|of|states?|province|territory))*\s+$",
    re.I,
)
_AS_WELL = re.compile(r"\s*,?\s*(?:(?:and|or|nor)\s+)?(?:the\s+)?", re.I)
_GOVERNS = re.compile(r"\b(?:govern\w*|constru\w*|interpret\w*|accordance|subject to|laws?)\b", re.I)


def read_jurisdiction(text: str) -> str | None:
    """Return the jurisdiction that a quote chooses or an annotated answer names, None where there is none.

    In a sentence, places count that stand after "laws of" (up to "without", "except", "courts" and the like)
    or before "law"; where there are none, the first place does. A text without such words is an answer, and
    every place in it counts. No place counts that is excluded, "other than Hong Kong and Macau". A country is left
    out beside one of its own states.
    """
    places = [(_CANONICAL[_key(m.group())], m) for m in _included(text)]
    if not places:
        return None
    if _GOVERNS.search(text):
        chosen = [name for name, m in places if _is_chosen(text, m)]
        names = chosen or [places[0][0]]
    else:
        names = [name for name, _ in places]
    parents = {PARENT.get(name) for name in names}
    return "; ".join(dict.fromkeys(name for name in names if name not in parents))


def same_jurisdiction(gold: str, answer: str) -> bool:
    """Say whether two answers name the same set of jurisdictions, whatever their order and spelling."""
    return _names(gold) == _names(answer)


def _names(text: str) -> frozenset[str]:
    return frozenset((read_jurisdiction(text) or text.casefold()).split("; "))


def _included(text: str) -> Iterator[re.Match[str]]:
    """Yield the places of a text that are not excluded, alone or as one of several."""
    excluded_to = -1
    for match in _PLACE.finditer(text):
        if not _is_name(match.group()):
            continue
        listed = excluded_to >= 0 and _AS_WELL.fullmatch(text, excluded_to, match.start())
        if listed or _EXCLUDED.search(text, max(0, match.start() - 120), match.start()):
            excluded_to = match.end()
        else:
            yield match


def _is_name(text: str) -> bool:
    """Say whether a match is written as a name: "turkey" is none, nor is "Us"."""
    return text[0].isupper() and (len(text) > 3 or text.isupper())


def _key(text: str) -> str:
    return " ".join(text.replace("’", "'").split()).casefold()


def _is_chosen(text: str, place: re.Match[str]) -> bool:
    before = text[max(0, place.start() - 120) : place.start()]
    if _CHOSEN.search(before) or place.group().lower().endswith(("law", "laws")):
        return True
    return bool(_LAW_AFTER.search(text[place.end() :])) and not _ASIDE.search(before)
