"""The `lextune` command. Thin: it parses, calls, prints. Results on stdout; progress and logs on stderr.

Exit codes: 0 done, 1 a gate said no, 2 the user's mistake, 3 the machine lacks something, 70 our bug.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# command -> (module, one line of help); modules are imported when a command is used, so --help stays fast
COMMANDS = {
    "demo": ("run", "Run the demo recipe: fine-tune, prove, release, and read a real PDF."),
    "run": ("run", "Run a recipe; what is done already is reused."),
    "extract": ("use", "Read documents with a release and print their records."),
    "batch": ("batch", "Read a folder of documents with a release; goes on after a kill."),
    "plan": ("batch", "Plan the machines and cost of a month's contracts."),
    "evaluate": ("use", "Evaluate a release on annotated contracts, beside the baselines."),
    "compare": ("compare", "Compare two runs or releases on the same held-out documents."),
    "gate": ("gate", "Check a run against its limits; exit 1 with the reasons where one is not held."),
    "judge": ("judge", "Let a language model compare or mark answers."),
    "review": ("review", "Let people compare answers without knowing whose they are."),
    "serve": ("use", "Serve a release over HTTP (OpenAI-compatible where it generates)."),
    "train": ("train", "Check, plan and run the training of a recipe."),
    "data": ("data", "Curate documents: from any source to a dataset version."),
    "model": ("model", "Fetch and list base models."),
    "release": ("release", "Verify or pack a release, or merge an adapter."),
    "show": ("inspect", "Show what an artifact is."),
    "trace": ("inspect", "Show what an artifact was made from, back to the data."),
    "doctor": ("inspect", "Show what this machine can run."),
}


class LazyGroup(TyperGroup):
    """A command group that knows its commands' names without importing their modules."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command, or return a stand-in with its help while all are listed."""
        if cmd_name not in COMMANDS:
            return None
        module, text = COMMANDS[cmd_name]
        if ctx.resilient_parsing or _only_listing():
            return TyperCommand(cmd_name, help=text)
        return importlib.import_module(f"lextune.apps.cli.{module}").command(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; say what Ctrl-C leaves behind before the runner turns it into exit 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("stopped; run the same command again to continue", file=sys.stderr)
            raise typer.Exit(130) from None


def _only_listing() -> bool:
    words = sys.argv[1:]
    return not words or words[0] in ("--help", "-h")


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From annotated legal documents to a deployed legal expert.",
)


@app.callback()
def _root() -> None:
    """From annotated legal documents to a deployed legal expert."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; print one clear error for everything that is expected."""
    from lextune.core.errors import LextuneError
    from lextune.core.machine import lacking

    if arguments is not None:
        sys.argv = ["lextune", *arguments]
    try:
        app(prog_name="lextune")
    except LextuneError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        short = lacking(error)
        if short is not None:
            print(f"error: {short}", file=sys.stderr)
            raise SystemExit(short.exit_code) from None
        import traceback

        traceback.print_exc()
        print("this is a bug in lextune: please report it with the lines above", file=sys.stderr)
        raise SystemExit(70) from None


if __name__ == "__main__":
    main()
