"""`lextune model fetch|list`."""

from __future__ import annotations

from typing import Annotated

import typer

from lextune.apps.cli.console import Command, out, quiet_libraries
from lextune.core.cache import cache_folder
from lextune.expert.weights import SMOLLM2, resolve_base

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Fetch and list base models.")


@app.command()
def fetch(name: Annotated[str, typer.Argument(help=f"{SMOLLM2}, or a hub id.")] = SMOLLM2) -> None:
    """Get a base model once, check its hash, and print where it is."""
    from lextune.core.errors import MachineError
    from lextune.expert.fetch_model import fetch_smollm2

    quiet_libraries()
    try:
        base = resolve_base(name)
    except MachineError:
        if name != SMOLLM2:
            raise
        fetch_smollm2()
        base = resolve_base(name)
    out.print(f"{base.name}: {base.path} (weights {base.weights_sha256[:12]})", markup=False)


@app.command("list")
def list_models() -> None:
    """List the base models in the cache."""
    folder = cache_folder() / "models"
    for path in sorted(p for p in folder.glob("[!.]*") if (p / "tokenizer.json").is_file()):
        out.print(path.name, markup=False)


def command(name: str) -> Command:
    """Return the group."""
    return typer.main.get_command(app)
