"""`lextune data preview`: an example as the model is trained on it, with its loss mask."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from lextune.apps.cli.console import out, print_json
from lextune.core.counts import counted
from lextune.expert.weights import SMOLLM2

if TYPE_CHECKING:
    from lextune.data.preview import Shown, ShownChat, ShownToken, ShownWindow

MASKED, TRAINED, CONTROL, STOP = "dim", "green", "bold", "bold reverse"
OPEN, CLOSE = "{+", "+}"  # around what is learnt, where there is no colour
TURNS_TEXT = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # characters that change the direction of writing


def preview(
    dataset: Annotated[Path, typer.Argument(help="A dataset: an artifact of documents or of examples.")],
    base: Annotated[str | None, typer.Option("--base", help="Whose tokens and template; the dataset's own.")] = None,
    index: Annotated[int, typer.Option("--index", min=0, help="Number of the first example, from 0.")] = 0,
    n: Annotated[int, typer.Option("--n", min=1, help="How many examples.")] = 1,
    strategy: Annotated[str | None, typer.Option("--strategy", help="tag, point or text.")] = None,
    schema: Annotated[str | None, typer.Option("--schema", help="Names the fields of contracts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print tokens with what is learnt as JSON.")] = False,
) -> None:
    """Show examples as the model is trained on them: control tokens, what is learnt, where it stops."""
    from lextune.core.artifacts import Artifact
    from lextune.data.preview import ShownChat
    from lextune.data.preview import preview as look
    from lextune.expert.schema import load_schema
    from lextune.expert.templates import Codec
    from lextune.expert.weights import resolve_base

    artifact = Artifact.open(dataset)
    config = artifact.manifest.config
    codec = Codec(resolve_base(base or config.get("base") or SMOLLM2).path)
    fields = load_schema(schema or config.get("schema_name") or "clauses-47")
    shown = look(artifact, codec, fields, strategy, index=index, n=n)
    if as_json:
        print_json({"dataset": artifact.hash, "examples": [_json(i, one) for i, one in enumerate(shown, start=index)]})
        return
    colour = out.color_system is not None and not out.no_color
    for number, one in enumerate(shown, start=index):
        out.print(_chat(number, one, colour) if isinstance(one, ShownChat) else _window(number, one))


def _json(number: int, one: Shown) -> dict[str, Any]:
    return {"index": number, **one.model_dump(mode="json")}


def _chat(number: int, one: ShownChat, colour: bool) -> Text:
    text = Text(f"example {number} of {_visible(one.document_id)}: strategy {one.strategy}, template {one.template}, ")
    text.append(f"{counted(len(one.tokens), 'token')}, {one.trained} learnt, stop token {one.tokens[-1].text} learnt\n")
    if colour:
        text.append("learnt", TRAINED).append(", ").append("not learnt", MASKED).append(", ")
        text.append("control token", CONTROL).append(", ").append("stop token", f"{TRAINED} {STOP}").append("\n")
    else:
        text.append(f"learnt: between {OPEN} and {CLOSE}\n")
    for trained, tokens in groupby(one.tokens, key=lambda token: token.trained):
        if trained and not colour:
            text.append(OPEN)
        _append(text, tokens)
        if trained and not colour:
            text.append(CLOSE)
    return text.append("\n")


def _append(text: Text, tokens: Iterable[ShownToken]) -> None:
    for token in tokens:
        style = TRAINED if token.trained else MASKED
        if token.stop:
            style = f"{style} {STOP}"
        elif token.control:
            style = CONTROL
        text.append(_visible(token.text), style)


def _window(number: int, one: ShownWindow) -> Text:
    text = Text(f"example {number} of {_visible(one.document_id)}: strategy tag, {counted(one.tokens, 'token')}, ")
    text.append(
        f"{counted(len(one.sentences), 'sentence')}, {sum(bool(s.fields) for s in one.sentences)} with a field\n"
    )
    if one.heading:
        text.append(f"{_visible(one.heading)}\n", CONTROL)
    for place, sentence in enumerate(one.sentences, start=1):
        text.append(f"{place:>3}. {_visible(sentence.text)}", "" if sentence.fields else MASKED)
        if sentence.fields:
            text.append(f"  [{'; '.join(sentence.fields)}]", TRAINED)
        if sentence.ignored:
            text.append(f"  (not counted: {_some(sentence.ignored)})", MASKED)
        text.append("\n")
    return text


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return "; ".join(names[:3]) + more


def _visible(text: str) -> str:
    """Return a document's text so that it cannot command the terminal: control characters are written out."""
    return "".join(f"\\x{ord(c):02x}" if _commands(c) else c for c in text)


def _commands(character: str) -> bool:
    return (unicodedata.category(character) == "Cc" and character not in "\n\t") or ord(character) in TURNS_TEXT
