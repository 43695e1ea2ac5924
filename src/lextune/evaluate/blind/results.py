"""What the raters of a session found: wins, ties and losses with an interval, and how far they agree.

An item is won by the arm that more than half of its raters prefer, a loss if that is the other arm, and else a tie:
most raters see no difference, find both bad, or disagree. Items with the same two answers are ties that nobody need be
asked about; items that nobody judged are left out, and counted. The net win rate is (wins - losses) / items.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import median
from typing import Any, Literal

import numpy as np

from lextune.core.errors import DataError
from lextune.evaluate.answer_pairs import AnswerPair, preference
from lextune.evaluate.blind.order import Side, other_side
from lextune.evaluate.blind.session import Choice, Session
from lextune.expert.scoring.agreement import alpha, coincidence, kappa
from lextune.expert.scoring.intervals import Array, Bootstrap, Score, Statistic, by_document, ratio

Vote = Literal["a", "b", "tie", "both-bad"]
VOTES: tuple[Vote, ...] = ("a", "b", "tie", "both-bad")
Outcome = Literal["win", "tie", "loss"]
OUTCOMES: tuple[Outcome, ...] = ("win", "tie", "loss")


@dataclass(frozen=True)
class RaterCounts:
    """One rater: votes for each arm and for neither, of all `judged` items; `changed` choices were replaced later.

    `seconds` is the median time of a choice, None where none was measured.
    """

    rater: str
    judged: int
    win: int
    loss: int
    tie: int
    both_bad: int
    changed: int
    seconds: float | None


@dataclass(frozen=True)
class PairAgreement:
    """Cohen's kappa of two raters over the items that both judged."""

    raters: tuple[str, str]
    kappa: Score


@dataclass(frozen=True)
class Results:
    """The session's result; see the module. Wins are of `a`.

    n_items = win + tie + loss = `identical` items and those judged. `both_bad` of the ties are items that most raters
    call bad on both sides. `left` is the share of the left side among choices for a side: far from a half, raters
    chose places and not answers. `alpha` is Krippendorff's, over the four choices.
    """

    a: str
    b: str
    n_items: int
    win: int
    tie: int
    loss: int
    both_bad: int
    identical: int
    unjudged: int
    net: Score
    left: Score
    alpha: Score
    pairs: tuple[PairAgreement, ...]
    by_rater: tuple[RaterCounts, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain JSON types, as `blind.json` holds it."""
        values = asdict(self)
        agreement = {"alpha": values.pop("alpha"), "pairs": values.pop("pairs")}
        return {**values, "raters": len(self.by_rater), "agreement": agreement}


def majority(votes: Sequence[Vote]) -> Vote | None:
    """Return the vote that more than half of the raters gave, None where there is none."""
    most = [vote for vote, count in Counter(votes).items() if 2 * count > len(votes)]
    return most[0] if most else None


def outcome(votes: Sequence[Vote]) -> Outcome:
    """Return what the raters of one item made of it."""
    most = majority(votes)
    return "win" if most == "a" else "loss" if most == "b" else "tie"


def results(session: Session, *, seed: int = 0) -> Results:
    """Join choices and key.

    Args:
        session: to reveal.
        seed: of the resamples of documents.

    Raises:
        DataError: nobody has chosen anything yet.
    """
    votes = votes_by_item(session)
    if not votes:
        raise DataError("nobody has judged anything yet", where=str(session.folder), do="serve it to its raters first")
    documents = {item.id: item.document or item.id for item in session.items.values()}
    same = [item.id for item in session.items.values() if item.same]
    found = [outcome(list(each.values())) for each in votes.values()] + ["tie"] * len(same)
    counts = Counter(found)
    table = np.array([[one == each for each in OUTCOMES] for one in found], dtype=np.float64)
    drawn = _Drawn(documents, seed)
    raters = [rater for rater in session.key.raters if any(rater in each for each in votes.values())]
    return Results(
        a=session.key.a,
        b=session.key.b,
        n_items=len(found),
        **{each: counts[each] for each in OUTCOMES},
        both_bad=sum(majority(list(each.values())) == "both-bad" for each in votes.values()),
        identical=len(same),
        unjudged=len(session.shown) - len(votes),
        net=drawn.score(table, [*votes, *same], _net, len(found)),
        left=_left(session, list(votes), drawn),
        alpha=_alpha(votes, drawn),
        pairs=tuple(_kappa(votes, pair, drawn) for pair in combinations(raters, 2)),
        by_rater=tuple(_counts(session, votes, rater) for rater in raters),
    )


def votes_by_item(session: Session) -> dict[str, dict[str, Vote]]:
    """Return what counts of each item that was judged: a vote a rater, in the order of the items."""
    left = {(rater, place.item): place.left for rater, places in session.key.raters.items() for place in places}
    votes: dict[str, dict[str, Vote]] = defaultdict(dict)
    for (rater, item), choice in session.last.items():
        votes[item][rater] = _vote(choice, left[rater, item])
    return {item: votes[item] for item in session.items if item in votes}


def _vote(choice: Choice, left: Side) -> Vote:
    if choice.choice == "tie" or choice.choice == "both-bad":
        return choice.choice
    return left if choice.choice == "left" else other_side(left)


@dataclass(frozen=True)
class _Drawn:
    """The documents of all items, which are drawn to see how far a score may be off."""

    documents: Mapping[str, str]
    seed: int

    def score(self, table: Array, items: Sequence[str], statistic: Statistic, n: int) -> Score:
        """Return a metric of `table`, a row an item, with its interval; `n` units of something are counted in it."""
        counts = by_document(table, [self.documents[item] for item in items])
        return Bootstrap(len(counts), seed=self.seed).score(counts, statistic, n)


def _net(counts: Array) -> Array:
    win, tie, loss = (counts[..., place] for place in range(3))
    return ratio(win - loss, win + tie + loss)


def _left(session: Session, items: Sequence[str], drawn: _Drawn) -> Score:
    """Return the share of choices for a side that were for the left one."""
    places = {item: place for place, item in enumerate(items)}
    table = np.zeros((len(items), 2))
    for choice in session.last.values():
        if choice.choice in ("left", "right"):
            table[places[choice.item]] += (choice.choice == "left", 1)
    return drawn.score(table, items, lambda c: ratio(c[..., 0], c[..., 1]), int(table[:, 1].sum()))


def _alpha(votes: Mapping[str, Mapping[str, Vote]], drawn: _Drawn) -> Score:
    """Return Krippendorff's alpha over the items with several raters."""
    shared = {item: list(each.values()) for item, each in votes.items() if len(each) > 1}
    if not shared:
        return Score(None, None, None, 0)
    table = np.array([coincidence([each.count(vote) for vote in VOTES]).ravel() for each in shared.values()])
    return drawn.score(table, list(shared), lambda c: alpha(_square(c)), len(shared))


def _kappa(votes: Mapping[str, Mapping[str, Vote]], raters: tuple[str, str], drawn: _Drawn) -> PairAgreement:
    one, other = raters
    shared = {item: (each[one], each[other]) for item, each in votes.items() if one in each and other in each}
    if not shared:
        return PairAgreement(raters, Score(None, None, None, 0))
    table = np.zeros((len(shared), len(VOTES) ** 2))
    for place, (first, second) in enumerate(shared.values()):
        table[place, VOTES.index(first) * len(VOTES) + VOTES.index(second)] = 1
    return PairAgreement(raters, drawn.score(table, list(shared), lambda c: kappa(_square(c)), len(shared)))


def _square(counts: Array) -> Array:
    return counts.reshape(*counts.shape[:-1], len(VOTES), len(VOTES))


def _counts(session: Session, votes: Mapping[str, Mapping[str, Vote]], rater: str) -> RaterCounts:
    said = Counter(each[rater] for each in votes.values() if rater in each)
    made = [choice for choice in session.history if choice.rater == rater]
    seconds = [choice.seconds for choice in made if choice.seconds is not None]
    return RaterCounts(
        rater=rater,
        judged=said.total(),
        win=said["a"],
        loss=said["b"],
        tie=said["tie"],
        both_bad=said["both-bad"],
        changed=len(made) - said.total(),
        seconds=round(median(seconds), 1) if seconds else None,
    )


def marks(session: Session) -> Iterator[dict[str, str]]:
    """Yield every vote as an expert's mark of an item: a, b or tie, as `lextune judge agree` reads them."""
    for item, votes in votes_by_item(session).items():
        for vote in votes.values():
            yield {"item": item, "mark": vote if vote in ("a", "b") else "tie"}


@dataclass(frozen=True)
class Export:
    """A session as pairs to learn from. n_in = n_out + the sum of `left_out`, by reason."""

    n_in: int
    rows: tuple[Mapping[str, Any], ...]
    left_out: Mapping[str, int]


def export(session: Session) -> Export:
    """Return the items that the majority of raters decided, in the layout of people's preferences."""
    votes = votes_by_item(session)
    left_out: Counter[str] = Counter()
    rows = list[Mapping[str, Any]]()
    for item in session.items.values():
        reason = _reason(item, votes.get(item.id))
        if reason is not None:
            left_out[reason] += 1
        else:
            rows.append(preference(item, majority(list(votes[item.id].values())) or ""))
    return Export(len(session.items), tuple(rows), dict(left_out))


def _reason(item: AnswerPair, votes: Mapping[str, Vote] | None) -> str | None:
    """Return why an item is no pair to learn from, None where it is one."""
    if item.same:
        return "the two answers are the same"
    if votes is None:
        return "nobody judged it"
    most = majority(list(votes.values()))
    if most is None:
        return "no majority"
    return {"tie": "a tie", "both-bad": "both bad"}.get(most)
