"""The error tree. Every failure a user can cause or meet is one of these; anything else is our bug.

    LextuneError
    ├── UserError        exit 2   a recipe, row, document, adapter, request or flag is wrong
    │   ├── RecipeError           a recipe or a --set override
    │   ├── DataError             rows, labels, folders of data
    │   ├── DocumentError         one document cannot be read
    │   ├── ArtifactError         an artifact folder is missing, damaged or of another kind
    │   ├── ModelError            weights, tokenizer or adapter do not fit
    │   └── RequestError          a call to the service or to an engine asks for what is not there
    │       └── ContextError      a prompt that is longer than the model's context
    ├── GateRefused      exit 1   a gate said no
    └── MachineError     exit 3   the machine lacks something (disk, memory, a package)
        └── NetworkError          no network, or a server that does not answer

An error says three things: *what* is wrong, *where* (file:line, field, document, span) and what to *do*
next. `shorten` keeps document text in messages under 80 characters.
"""

from __future__ import annotations

MAX_QUOTED = 80


def shorten(text: str, limit: int = MAX_QUOTED) -> str:
    """Return `text` on one line, cut to at most `limit` characters (an ellipsis counts)."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class LextuneError(Exception):
    """Base of all expected failures.

    Args:
        what: what is wrong, one sentence without a final full stop.
        where: file:line, dotted field, document or span; None where `what` says it.
        do: what to do next, one imperative sentence; None where nothing can be done.
    """

    exit_code = 70

    def __init__(self, what: str, *, where: str | None = None, do: str | None = None) -> None:
        self.what, self.where, self.do = what, where, do
        super().__init__(self.__str__())

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  -> {self.do}" if self.do else ""
        return f"{place}{self.what}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.do)


def _rebuild(cls: type[LextuneError], what: str, where: str | None, do: str | None) -> LextuneError:
    return cls(what, where=where, do=do)


class UserError(LextuneError):
    """The user's mistake."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe, a config value or a `--set` override is wrong."""


class DataError(UserError):
    """Rows, labels or a folder of data are wrong."""


class DocumentError(UserError):
    """One document cannot be read."""


class ArtifactError(UserError):
    """An artifact is missing, damaged, or of another kind than asked for."""


class ModelError(UserError):
    """Weights, tokenizer or adapter are missing or do not fit together."""


class RequestError(UserError):
    """A request asks for what this release, engine or service does not offer."""


class ContextError(RequestError):
    """A prompt is longer than what the model can read."""


class GateRefused(LextuneError):  # noqa: N818 - the tree names what happened
    """A gate said no."""

    exit_code = 1


class MachineError(LextuneError):
    """The machine lacks something: disk, memory, a package, a network."""

    exit_code = 3


class NetworkError(MachineError):
    """There is no network, or a server does not answer."""
