"""`lextune release verify|merge|pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lextune.apps.cli.console import Command, out, quiet_libraries
from lextune.core.counts import counted
from lextune.expert.weights import SMOLLM2

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Verify or pack a release, or merge an adapter.")


@app.command()
def verify(release: Annotated[Path, typer.Argument(help="A release folder, or a run's folder.")]) -> None:
    """Check every file of a release against its hash, and print its verdict."""
    from lextune.core.artifacts import Artifact
    from lextune.expert.released import find_release

    found = Artifact.open(find_release(release), kind="release")
    verdict = found.json("verdict.json")
    out.print(
        f"{found.path}: {counted(len(found.manifest.files), 'file')} verified, verdict {verdict['verdict']}",
        markup=False,
    )


@app.command()
def merge(
    adapter: Annotated[Path, typer.Argument(help="An adapter's folder.")],
    to: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    base: Annotated[str, typer.Option("--base")] = SMOLLM2,
) -> None:
    """Merge an adapter into its base: one model folder of safetensors."""
    from lextune.core.cache import made_once
    from lextune.core.errors import UserError
    from lextune.release.merge import merge as merge_adapter

    if to.exists():
        raise UserError("the folder exists already", where=str(to), do="choose another --out, or remove it")
    quiet_libraries()
    made_once(to, lambda staging: merge_adapter(base, adapter, staging))
    out.print(str(to), markup=False)


@app.command()
def pack(
    release: Annotated[Path, typer.Argument(help="The run's folder that made the release.")],
    to: Annotated[Path, typer.Option("--out", help="Folder to write.")],
) -> None:
    """Write a release with its adapter in place of the model: megabytes, unpacked when it is first used."""
    from lextune.core.artifacts import Artifact
    from lextune.expert.released import find_release
    from lextune.release.pack import pack as pack_release

    made = pack_release(Artifact.open(find_release(release), kind="release"), to)
    size = sum(entry.size for entry in made.manifest.files.values())
    out.print(f"{to}: {counted(len(made.manifest.files), 'file')}, {size / 1e6:.1f} MB", markup=False)


def command(name: str) -> Command:
    """Return the group."""
    return typer.main.get_command(app)
