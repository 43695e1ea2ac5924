"""What a recipe may ask for besides scores, for the report: general ability, stress, twins, judges, people, the gate.

Each takes what a stage wrote (one JSON object) and returns pairs and tables; keys that are not known here are shown
as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lextune.core.stage import Inputs
from lextune.evaluate.facts import Facts, facts
from lextune.evaluate.formatting import bounds, finite, fixed, heading, plain, probability, quantity, score, words
from lextune.evaluate.summary import lookup
from lextune.evaluate.tables import NOT_RUN, Table

Object = Mapping[str, Any]


def verdict_table(verdict: Object) -> Table | None:
    """Return the gate's checks, those that failed first; None where nothing was checked."""
    checks = sorted(verdict.get("checks") or [], key=lambda check: bool(check["ok"]))
    rows = [
        [
            words(check["limit"]),
            NOT_RUN if check["bound"] is None else f"{check['bound']:g}",
            NOT_RUN if finite(check["value"]) is None else quantity(float(check["value"])),
            "yes" if check["ok"] else "NO",
            check["what"],
        ]
        for check in checks
    ]
    return Table.of("Limits", ["limit", "set to", "measured", "held", "what was found"], rows) if rows else None


def general_facts(general: Object) -> Facts:
    """Return base beside tuned: questions of everyday kinds, what is written, perplexity on general text."""
    rows = []
    for part, key, asked in (
        ("items", "accuracy", "the right answer is the likeliest of four"),
        ("generated", "right", "the answer that it writes is right"),
        ("perplexity", "", "perplexity on general text (lower is better)"),
    ):
        found = general.get(part)
        if isinstance(found, Mapping) and "base" in found:
            base, tuned = (leaf(found[arm], key) for arm in ("base", "tuned"))
            rows.append([asked, score(base), score(tuned), _difference(found.get("paired"))])
    known = ("items", "generated", "perplexity")
    rest = facts(general, but=(*known, "why"))
    missed = [(heading(part), f"not measured: {why(general, part)}") for part in known if not _measured(general, part)]
    tables = [Table.of("What it knew before, and after", ["", "base", "tuned", "difference"], rows)] if rows else []
    kinds = _kinds(general)
    return Facts((*missed, *rest.pairs), (*tables, *kinds, *rest.tables))


def leaf(found: Any, key: str) -> Any:
    """Return a score that stands under `key`, or is there itself."""
    return found.get(key, found) if isinstance(found, Mapping) else found


def _measured(general: Object, part: str) -> bool:
    return lookup(general, (part, "base")) is not None


def why(general: Object, part: str) -> str:
    """Return why a part of general ability was not measured, as the stage tells it."""
    told = lookup(general, (part, "why")) or general.get("why")
    told = told.get(part) if isinstance(told, Mapping) else told
    return str(told or "no reason was given")


def _kinds(general: Object) -> list[Table]:
    base, tuned = (lookup(general, ("items", arm, "kinds")) or {} for arm in ("base", "tuned"))
    rows = [[str(kind), plain(base[kind]), plain(tuned.get(kind))] for kind in base]
    return [Table.of("Accuracy by kind of question", ["kind", "base", "tuned"], rows)] if rows else []


def _difference(test: Any) -> str:
    """Return the difference of a paired test with its interval and p."""
    if not isinstance(test, Mapping):
        return NOT_RUN
    value, low, high, p = (finite(test.get(key)) for key in ("difference", "low", "high", "p"))
    if value is None:
        return NOT_RUN
    if low is None or high is None or p is None:
        return fixed(value, sign=True)
    return f"{fixed(value, sign=True)} ({fixed(low, sign=True)} to {fixed(high, sign=True)}, {probability(p)})"


def stress_facts(stress: Object) -> Facts:
    """Return how many answers each kind of stress changed, and examples of answers before and after."""
    rows, examples = [], []
    for kind, found in (stress.get("kinds") or {}).items():
        invented = NOT_RUN if found.get("invented") is None else score(found["invented"])
        changed = score(found.get("changed"), found.get("answers"))
        answers, failed = (quantity(found.get(key)) for key in ("answers", "failed"))
        rows.append([words(kind), str(found.get("what", "")), answers, changed, invented, failed])
        for example in found.get("examples") or []:
            cells = [plain(example.get(key)) for key in ("document", "field", "before", "after")]
            examples.append([words(kind), *cells])
    rest = facts(stress, but=("kinds",))
    columns = ["stress", "what is done", "answers", "changed", "invented", "documents that failed"]
    tables = [Table.of("How many answers change", columns, rows)] if rows else []
    if examples:
        tables.append(Table.of("Changed answers", ["stress", "document", "field", "before", "after"], examples))
    return Facts(rest.pairs, (*tables, *rest.tables))


def twins_facts(twins: Object) -> Facts:
    """Return the scores of documents and of their UK twins, and the fields that lost most."""
    names = {"f1": "field F1", "contracteval_f1": "ContractEval F1", "jaccard": "Jaccard"}
    rows = []
    for key, name in names.items():
        before, after = (lookup(twins, (side, key)) for side in ("original", "twin"))
        if before is not None or after is not None:
            tested = _difference(twins.get("paired")) if key == "f1" else NOT_RUN
            rows.append([name, score(before), score(after), tested])
    rest = facts(twins, but=("original", "twin", "paired", "by_field"))
    columns = ["", "as drafted", "UK twin", "twin minus original"]
    tables = [Table.of("The same documents in British drafting", columns, rows)] if rows else []
    fields = sorted((twins.get("by_field") or {}).items(), key=_twin_loss)
    told = [[name, score(one.get("original")), score(one.get("twin"))] for name, one in fields]
    if told:
        tables.append(Table.of("By field, the largest loss first", ["field", "as drafted F1", "UK twin F1"], told))
    return Facts(rest.pairs, (*tables, *rest.tables))


def _twin_loss(item: tuple[str, Object]) -> float:
    before, after = (bounds(item[1].get(side))[0] for side in ("original", "twin"))
    return 0.0 if before is None or after is None else after - before


def judged_facts(judged: Object) -> Facts:
    """Return wins, ties and losses of a pairwise judgement (by a model or by people), then whatever else it says."""
    counted = ("win", "tie", "loss")
    if not all(key in judged for key in counted):
        return facts(judged, but=("marks",))
    a, b = str(judged.get("a", "a")), str(judged.get("b", "b"))
    net = score(judged.get("net"))
    rows = [[f"{a} against {b}", *(quantity(judged[key]) for key in counted), net]]
    columns = ["answers", f"{a} is better", "no difference", f"{b} is better", "net win rate"]
    rest = facts(judged, but=("a", "b", *counted, "net", "marks"))
    return Facts(rest.pairs, (Table.of("Side by side", columns, rows), *rest.tables))


def detail_facts(detail: Object) -> Facts:
    """Return what a task's scorer says beside its scores; a confusion matrix as a table, a row a gold label."""
    labels, confusion = detail.get("labels"), detail.get("confusion")
    if not isinstance(labels, Sequence) or not isinstance(confusion, Sequence):
        return facts(detail)
    rows = [[str(label), *map(quantity, counts)] for label, counts in zip(labels, confusion, strict=False)]
    rest = facts(detail, but=("labels", "confusion"))
    table = Table.of("Confusion: a row a gold label, a column an answer", ["gold", *map(str, labels)], rows)
    return Facts(rest.pairs, (table, *rest.tables))


def lineage(inputs: Inputs) -> list[dict[str, Any]]:
    """Return what a report is made of: its inputs, then what they were made from, each once.

    Returns:
        [{name, artifact, hash, stage, created}]; stage and created are None where only the name and hash are recorded.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, artifact in inputs.items():
        made = artifact.manifest
        stage = f"{made.stage} v{made.stage_version}"
        rows[artifact.path.name] = {
            "name": name,
            "artifact": artifact.path.name,
            "hash": artifact.hash,
            "stage": stage,
            "created": made.created,
        }
    for artifact in inputs.values():
        for name, folder in artifact.manifest.parents.items():
            known = {"name": name, "artifact": folder, "hash": artifact.manifest.inputs[name]}
            rows.setdefault(folder, {**known, "stage": None, "created": None})
    return list(rows.values())


def trace_table(trace: Sequence[Object]) -> Table | None:
    """Return the artifacts behind a report."""
    keys = ("artifact", "hash", "stage", "created")
    rows = [[str(row["name"]), *(NOT_RUN if row[key] is None else str(row[key]) for key in keys)] for row in trace]
    return Table.of("Artifacts", ["what", "folder", "hash of its files", "made by", "made"], rows) if rows else None
