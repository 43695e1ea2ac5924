"""`lextune show`, `trace` and `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from lextune.apps.cli.console import commands, out, print_json
from lextune.core.artifacts import Artifact
from lextune.core.counts import counted

Folder = Annotated[Path, typer.Argument(help="An artifact's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(artifact: Folder, as_json: AsJson = False) -> None:
    """Show what an artifact is; every file is verified first."""
    found = Artifact.open(artifact)
    manifest = found.manifest
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    size = sum(f.size for f in manifest.files.values())
    name = artifact.resolve().name
    out.print(
        f"{manifest.kind} {name}: {counted(len(manifest.files), 'file')}, {size / 1e6:.1f} MB, verified", markup=False
    )
    out.print(f"made {manifest.created} in {manifest.seconds:.1f} s by {manifest.stage} v{manifest.stage_version}")
    out.print(f"hash {manifest.hash}\ncode {manifest.code_revision}, seed {manifest.seed}")
    for key, value in manifest.summary.items():
        out.print(f"  {key}: {value}", markup=False)


def trace(artifact: Folder, as_json: AsJson = False) -> None:
    """Show what an artifact was made from, back to the data; parents are checked by hash."""
    lineage = _lineage(artifact)
    if as_json:
        print_json(lineage)
        return
    out.print(_tree(lineage))


def _lineage(folder: Path) -> dict[str, Any]:
    found = Artifact.open(folder)
    parents = {}
    for name, parent in found.manifest.parents.items():
        place = folder.resolve().parent / parent
        if not place.is_dir():
            parents[name] = {"artifact": parent, "state": "missing"}
            continue
        below = _lineage(place)
        below["state"] = "verified" if below["hash"] == found.manifest.inputs[name] else "changed since"
        parents[name] = below
    return {
        "artifact": folder.resolve().name,
        "kind": found.kind,
        "hash": found.hash,
        "created": found.manifest.created,
        "code_revision": found.manifest.code_revision,
        "parents": parents,
    }


def _tree(node: dict[str, Any], label: str = "") -> Tree:
    state = f" ({node['state']})" if "state" in node else ""
    tree = Tree(escape(f"{label}{node['artifact']}{state}"))
    for name, parent in node.get("parents", {}).items():
        tree.add(_tree(parent, f"{name}: "))
    return tree


def doctor(as_json: AsJson = False) -> None:
    """Show what this machine can run."""
    from lextune.apps.cli.machine import examine

    found = examine()
    if as_json:
        print_json(found)
        return
    for section, rows in found.items():
        out.print(f"[bold]{section}[/bold]")
        for name, value in rows.items():
            out.print(f"  {name}: {value}", markup=False)


command = commands(show=show, trace=trace, doctor=doctor)
