"""Artifacts: immutable folders with a manifest.

A folder is staged beside its final name, every file is fsynced and hashed, `manifest.json` is written last,
and the folder is renamed into place: a folder without a valid manifest does not exist. `Artifact.open`
verifies every file before anything reads it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lextune.core.errors import ArtifactError, UserError
from lextune.core.machine import disk_error, is_full
from lextune.core.provenance import code_revision, machine, package_versions

MANIFEST = "manifest.json"
FORMAT = 1
T = TypeVar("T", bound=BaseModel)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
SCRATCH = "checkpoints"  # folder inside a staged artifact that survives a kill and is removed on sealing


class FileEntry(BaseModel):
    """Hash and size of one file of an artifact."""

    model_config = ConfigDict(frozen=True)
    sha256: str
    size: int


class Manifest(BaseModel):
    """What an artifact is, what it was made of, and by what. `hash` covers the files, not the circumstances."""

    model_config = ConfigDict(frozen=True)
    format: int = FORMAT
    kind: str
    stage: str
    stage_version: int
    config: dict[str, Any]
    seed: int
    inputs: dict[str, str]
    parents: dict[str, str]
    files: dict[str, FileEntry]
    hash: str
    code_revision: str
    packages: dict[str, str]
    machine: str
    created: str
    seconds: float
    summary: dict[str, Any]


def sha256_file(path: Path) -> str:
    """Return the hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the hex sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Raises:
        MachineError: the disk is full or cannot be written.
    """
    raw = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the folder itself may be what is wrong
            temporary.unlink(missing_ok=True)
        raise disk_error(error, path) from error


def write_jsonl(path: Path, rows: Iterable[BaseModel | Mapping[str, Any]]) -> int:
    """Write rows as JSON Lines and return how many there were."""
    count = 0
    with path.open("w", encoding="utf-8") as stream:
        for row in rows:
            if isinstance(row, BaseModel):
                stream.write(row.model_dump_json())
            else:
                stream.write(json.dumps(row, ensure_ascii=False))
            stream.write("\n")
            count += 1
    return count


def read_jsonl(path: Path, model: type[T]) -> Iterator[T]:
    """Yield the rows of a JSON Lines file as `model`, one at a time."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            yield model.model_validate_json(line)


class Artifact:
    """A sealed folder. Open one with `Artifact.open`, make one with `ArtifactStore.build` or `build_folder`."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest

    @property
    def hash(self) -> str:
        """The hash of its files."""
        return self.manifest.hash

    @property
    def kind(self) -> str:
        """What it is: `model`, `split`, ..."""
        return self.manifest.kind

    def file(self, name: str) -> Path:
        """Return the path of one of the artifact's files.

        Raises:
            ArtifactError: the artifact has no such file.
        """
        if name not in self.manifest.files:
            raise ArtifactError(f"a {self.kind} artifact without {name}", where=str(self.path))
        return self.path / name

    def json(self, name: str) -> Any:
        """Return one of the artifact's JSON files, parsed."""
        return json.loads(self.file(name).read_text(encoding="utf-8"))

    def parent(self, name: str) -> Artifact:
        """Open one of the artifacts that this one was made from, where it still lies.

        Raises:
            ArtifactError: this one was not made from such a thing, or it is gone or changed.
        """
        place = self.manifest.parents.get(name)
        if place is None:
            raise ArtifactError(
                f"this {self.kind} was not made from a {name}",
                where=str(self.path),
                do="give the run that made it, or what that run left there",
            )
        found = Artifact.open(self.path.resolve().parent / place)
        if found.hash != self.manifest.inputs[name]:
            raise ArtifactError(
                f"another {name} is there than this {self.kind} was made from",
                where=str(found.path),
                do="run the recipe that made it again",
            )
        return found

    @classmethod
    def open(cls, path: Path | str, *, kind: str | None = None, verify: bool = True) -> Artifact:
        """Open a sealed folder and verify the hash of every file.

        Raises:
            ArtifactError: no valid manifest, another kind than `kind`, a file missing or changed.
        """
        path = Path(path)
        manifest = _read_manifest(path)
        if manifest.format != FORMAT:
            raise ArtifactError(
                f"an artifact of format {manifest.format}; this lextune reads format {FORMAT}",
                where=str(path),
                do="use the lextune that made it, or make it again with this one",
            )
        if manifest.hash != content_hash(manifest.kind, manifest.files):
            raise _damaged(path, "the manifest's files do not match its hash")
        if kind is not None and manifest.kind != kind:
            raise ArtifactError(
                f"this is a {manifest.kind}, a {kind} is needed",
                where=str(path),
                do=f"pass the folder of a {kind}; `lextune show {path}` says what this one is",
            )
        for name, entry in manifest.files.items():
            file = path / name
            if not file.is_file():
                raise _damaged(path, f"{name} is missing")
            if file.stat().st_size != entry.size or (verify and sha256_file(file) != entry.sha256):
                raise _damaged(path, f"{name} does not match its hash in the manifest")
        return cls(path, manifest)


def content_hash(kind: str, files: Mapping[str, FileEntry]) -> str:
    """Return the hash of an artifact: its kind, and the name and hash of every file."""
    return sha256_json({"kind": kind, "files": {name: entry.sha256 for name, entry in files.items()}})


def _damaged(path: Path, what: str) -> ArtifactError:
    return ArtifactError(
        f"damaged artifact: {what}",
        where=str(path),
        do="delete the folder and run the same command again: it is rebuilt",
    )


def _read_manifest(path: Path) -> Manifest:
    file = path / MANIFEST
    try:
        return Manifest.model_validate_json(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactError(
            "not an artifact: no manifest.json (half-written folders have none)",
            where=str(path),
            do="give the folder of a finished stage, or run the command that makes it again",
        ) from None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise ArtifactError(
            f"unreadable manifest.json ({type(error).__name__})",
            where=str(path),
            do="delete the folder and run the same command again: it is rebuilt",
        ) from None


class ArtifactStore:
    """A folder of artifacts, named `<stage>-<key12>`, where the key covers stage, config, seed and inputs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def key(stage: str, version: int, config: Any, seed: int, inputs: Mapping[str, str]) -> str:
        """Return the reuse key: two runs with the same key would make the same artifact."""
        return sha256_json([stage, version, config, seed, dict(inputs)])

    def path(self, stage: str, key: str) -> Path:
        """Return where the artifact with this key lies or would lie."""
        return self.root / f"{stage}-{key[:12]}"

    def staging(self, stage: str, key: str) -> Path:
        """Return where the artifact with this key is staged; it keeps checkpoints over a kill."""
        return self.root / f".{stage}-{key[:12]}.partial"

    def find(self, stage: str, key: str) -> Artifact | None:
        """Return the sealed artifact with this key, None where there is none or it is damaged."""
        try:
            return Artifact.open(self.path(stage, key))
        except ArtifactError:
            return None

    def build(
        self,
        header: Mapping[str, Any],
        key: str,
        make: Callable[[Path], dict[str, Any]],
    ) -> Artifact:
        """Stage a folder, let `make` fill it and return a summary, then seal it.

        Args:
            header: kind, stage, stage_version, config, seed, inputs (name to hash), parents (name to folder).
            key: the reuse key from `key`.
            make: fills the staged folder; what it left under `checkpoints/`, killed or failed, is still there.

        Raises:
            MachineError: the disk is full (the staged folder is removed, checkpoints with it) or may not be
                written; nothing is left at the final name.
        """
        stage = header["stage"]
        return _seal(header, self.staging(stage, key), self.path(stage, key), make)


def build_folder(folder: Path, header: Mapping[str, Any], make: Callable[[Path], dict[str, Any]]) -> Artifact:
    """Make an artifact under a name of the user's choice.

    Args:
        folder: where it will be; it must not exist, or be empty.
        header: as in `ArtifactStore.build`.
        make: fills the staged folder and returns a summary.

    Raises:
        UserError: the folder holds something.
        MachineError: the disk is full or may not be written.
    """
    folder = folder.resolve()  # "." has no name, and "missing/.." is what it is after it is made
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError("this exists already", where=str(folder), do="choose another --out, or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    return _seal(header, folder.with_name(f".{folder.name}.partial"), folder, make)


def derive_folder(
    folder: Path, source: Artifact, stage: tuple[str, int], config: Any, make: Callable[[Path], dict[str, Any]]
) -> Artifact:
    """Make an artifact from one of the same kind, under a name of the user's choice.

    Args:
        folder: where it will be; it must not exist, or be empty.
        source: what it is made from; its manifest is named by a path relative to the new one.
        stage: name and version of what makes it.
        config: the settings, as plain JSON.
        make: fills the staged folder and returns a summary.

    Raises:
        UserError: the folder holds something.
        MachineError: the disk is full or may not be written.
    """
    name, version = stage
    header = {
        "kind": source.kind,
        "stage": name,
        "stage_version": version,
        "config": config,
        "seed": 0,
        "inputs": {source.kind: source.hash},
        "parents": {source.kind: os.path.relpath(source.path.resolve(), folder.resolve().parent)},
    }
    return build_folder(folder, header, make)


def _seal(header: Mapping[str, Any], staging: Path, final: Path, make: Callable[[Path], dict[str, Any]]) -> Artifact:
    """Fill `staging`, hash it, write its manifest, and rename it to `final`."""
    started = time.monotonic()
    try:
        _clear(staging)
        summary = make(staging)
        shutil.rmtree(staging / SCRATCH, ignore_errors=True)
        manifest = _manifest(staging, header, summary, time.monotonic() - started)
        write_atomic(staging / MANIFEST, manifest.model_dump_json(indent=1))
        if final.exists():
            shutil.rmtree(final)
        staging.rename(final)
        sync(final.parent)
    except Exception as error:
        if is_full(error) or not (staging / SCRATCH).exists():
            shutil.rmtree(staging, ignore_errors=True)
        if is_full(error):
            raise disk_error(error, final) from error
        if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
            raise disk_error(error, final) from error
        raise
    return Artifact(final, manifest)


def _clear(staging: Path) -> None:
    staging.mkdir(parents=True, exist_ok=True)
    for child in staging.iterdir():
        if child.name == SCRATCH:
            continue
        if child.is_dir():
            shutil.rmtree(child)
        else:
            child.unlink()


def _manifest(staging: Path, header: Mapping[str, Any], summary: dict[str, Any], seconds: float) -> Manifest:
    files = {}
    for file in sorted(p for p in staging.rglob("*") if p.is_file()):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
        name = file.relative_to(staging).as_posix()
        files[name] = FileEntry(sha256=sha256_file(file), size=file.stat().st_size)
    return Manifest(
        **header,
        files=files,
        hash=content_hash(header["kind"], files),
        code_revision=code_revision(),
        packages=package_versions(),
        machine=machine(),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=round(seconds, 2),
        summary=summary,
    )


def sync(path: Path) -> None:
    """Make sure that a file or folder is on disk, not in a buffer."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
