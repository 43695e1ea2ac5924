"""CUAD's official archive: fetched with resume, checked, unpacked safely.

The archive is CUAD_v1.zip of Zenodo record 4595826 (CC BY 4.0, The Atticus Project), 105,883,672 bytes; its
MD5 on Zenodo is c38f490a984420b8a62600db401fafd5. Here its SHA-256 is what counts.
"""

from __future__ import annotations

import queue
import re
import shutil
import stat
import threading
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lextune.core.artifacts import sha256_file
from lextune.core.errors import DataError, MachineError, NetworkError, shorten
from lextune.core.machine import disk_error

if TYPE_CHECKING:
    import httpx

CUAD_URL = "https://zenodo.org/api/records/4595826/files/CUAD_v1.zip/content"
CUAD_SHA256 = "88b694d99007d39777fa44cd72daf8297773d285dc3eab0091ba32078888d18e"
NAME = "CUAD_v1"
CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
ATTEMPTS = 5  # in a row without a single new byte
PAUSE_SECONDS = 0.2  # after such an attempt; doubled by each
CHUNK = 1 << 20
MAX_ARCHIVE = 1 << 30  # bytes
MAX_UNPACKED = 4 << 30  # bytes
MAX_ENTRIES = 20_000
_RANGE = re.compile(r"bytes (?:(\d+)-\d+/(\d+|\*)|\*/(\d+))")


def fetch_cuad(
    destination: Path, *, url: str = CUAD_URL, sha256: str = CUAD_SHA256, connect_seconds: float = CONNECT_SECONDS
) -> Path:
    """Download and unpack CUAD, unless it is there already.

    A download that breaks off leaves `CUAD_v1.zip.part`, and the next attempt or call goes on from there. The
    folder appears under its name only when everything is in it.

    Args:
        destination: the folder that will hold `CUAD_v1/`; it is made.
        url: where the archive is.
        sha256: what its bytes must hash to.
        connect_seconds: how long to wait for a connection.

    Returns:
        The folder to give to `import_cuad`.

    Raises:
        NetworkError: no network, or the server refuses or breaks off again and again.
        MachineError: the disk is full.
        DataError: the archive is another than expected, damaged, or unsafe to unpack.
    """
    folder, archive = destination / NAME, destination / f"{NAME}.zip"
    if folder.is_dir():
        return folder
    try:
        destination.mkdir(parents=True, exist_ok=True)
        if not (archive.is_file() and sha256_file(archive) == sha256):
            part = archive.with_name(f"{archive.name}.part")
            _download(url, part, connect_seconds)
            _verify(part, sha256, url)
            part.replace(archive)
        _unpack(archive, folder)
        archive.unlink()
    except OSError as error:
        raise disk_error(error, destination / NAME) from error
    return folder


def failure_to_reach(url: str, seconds: float = CONNECT_SECONDS) -> str | None:
    """Say why there is no connection to a server, None where there is: in `seconds`, however many addresses it has."""
    import httpx

    told: queue.Queue[str | None] = queue.Queue()

    def trace(event: str, info: object) -> None:
        if event.endswith("connect_tcp.complete"):
            told.put(None)

    def ask() -> None:
        try:
            with httpx.Client(timeout=seconds) as client:
                client.head(url, extensions={"trace": trace})
        except httpx.TransportError as error:
            told.put(shorten(str(error)) or type(error).__name__)
        except httpx.InvalidURL:
            told.put(None)  # whoever uses it says so

    threading.Thread(target=ask, daemon=True).start()
    try:
        return told.get(timeout=seconds)
    except queue.Empty:
        return f"none within {seconds:g} seconds"


def _download(url: str, part: Path, connect_seconds: float) -> None:
    """Fill `part` with the bytes behind `url`, going on after interruptions while there is progress."""
    import httpx

    if reason := failure_to_reach(url, connect_seconds):
        raise _unreachable(url, f"no connection ({reason})")
    timeout = httpx.Timeout(READ_SECONDS, connect=connect_seconds)
    failures = 0
    with httpx.Client(timeout=timeout, follow_redirects=True) as client:
        while True:
            before = _size(part)
            try:
                if _continue(client, url, part):
                    return
                reason = "the server sent another part than asked for"
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
                raise _unreachable(url, "no connection", error) from None
            except httpx.HTTPError as error:
                reason = shorten(str(error) or type(error).__name__)
            except httpx.InvalidURL as error:
                raise DataError(f"not a URL: {error}", where=shorten(url), do="check the URL") from None
            failures = 0 if _size(part) > before else failures + 1
            if failures == ATTEMPTS:
                raise _unreachable(url, f"no progress in {ATTEMPTS} attempts: {reason}")
            if failures:
                time.sleep(PAUSE_SECONDS * 2**failures)


def _continue(client: httpx.Client, url: str, part: Path) -> bool:
    """Ask for the bytes that `part` lacks and append them; return whether it is complete then.

    A server that ignores the range sends everything, and `part` starts anew.
    """
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code >= 500 or response.status_code == 429:
            response.raise_for_status()  # worth another attempt
        start, total = _extent(response)
        if response.status_code == 416:  # nothing lies after what we have
            if total != have:
                part.unlink(missing_ok=True)
            return total == have
        if response.status_code not in (200, 206):
            raise _unreachable(url, f"the server answered {response.status_code}")
        if start not in (0, have):
            part.unlink(missing_ok=True)
            return False
        _check_room(part, total, start)
        with part.open("ab" if start else "wb") as stream:
            for chunk in response.iter_raw():  # as it arrives: a buffer would be lost with the connection
                stream.write(chunk)
                if stream.tell() > MAX_ARCHIVE:
                    raise _too_large(url, stream.tell())
    return total is None or _size(part) >= total


def _extent(response: httpx.Response) -> tuple[int, int | None]:
    """Return where the body starts in the file and how long the file is, None if not told."""
    match = _RANGE.match(response.headers.get("Content-Range", ""))
    if match:
        total = match[3] if match[3] is not None else match[2]
        return int(match[1] or 0), None if total == "*" else int(total)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() and response.status_code == 200 else None


def _check_room(part: Path, total: int | None, have: int) -> None:
    if total is None:
        return
    if total > MAX_ARCHIVE:
        raise _too_large(part.name, total)
    free = shutil.disk_usage(part.parent).free
    if total - have > free:
        raise MachineError(
            f"the disk has {free >> 20} MiB left, the download needs {(total - have) >> 20} MiB",
            where=str(part.parent),
            do="free space or choose another folder with --out, then run the same command again",
        )


def _verify(part: Path, sha256: str, url: str) -> None:
    actual = sha256_file(part)
    if actual != sha256:
        part.unlink()
        raise DataError(
            f"the archive is not the one expected: SHA-256 {actual[:12]}..., not {sha256[:12]}...",
            where=shorten(url),
            do="run the same command again; if it repeats, the server does not serve CUAD v1",
        )


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack beside the final name, then rename; a folder `CUAD_v1/` in the archive becomes `folder`."""
    staging = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as bundle:
            entries = [entry for entry in bundle.infolist() if not entry.filename.startswith("__MACOSX/")]
            _check_entries(entries, archive)
            left = MAX_UNPACKED
            for entry in entries:
                left = _extract(bundle, entry, staging, left)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        archive.unlink()
        do = "run the same command again to fetch it anew"
        raise DataError(f"damaged archive: {shorten(str(error))}", where=str(archive), do=do) from None
    else:
        inner = staging / NAME
        (inner if inner.is_dir() else staging).rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_entries(entries: list[zipfile.ZipInfo], archive: Path) -> None:
    size = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES or size > MAX_UNPACKED:
        raise _unsafe(archive, f"{len(entries)} entries, {size >> 20} MiB unpacked")
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in path.parts[0]:
            raise _unsafe(archive, f"an entry that leaves the folder: {shorten(entry.filename, 60)!r}")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _unsafe(archive, f"an entry that is no file: {shorten(entry.filename, 60)!r}")


def _extract(bundle: zipfile.ZipFile, entry: zipfile.ZipInfo, root: Path, left: int) -> int:
    """Write one entry; return how many bytes may still be unpacked (sizes in a zip can be lies)."""
    target = root / entry.filename
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return left
    target.parent.mkdir(parents=True, exist_ok=True)
    with bundle.open(entry) as source, target.open("wb") as out:
        while chunk := source.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise _unsafe(Path(bundle.filename or ""), f"more than {MAX_UNPACKED >> 20} MiB unpacked")
            out.write(chunk)
    return left


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unreachable(url: str, reason: str, error: Exception | None = None) -> NetworkError:
    detail = f" ({shorten(str(error))})" if error is not None and str(error) else ""
    return NetworkError(
        f"cannot download CUAD: {reason}{detail}",
        where=shorten(url),
        do="run the same command again with a network (it resumes), or give a folder of CUAD with --data",
    )


def _too_large(where: str, size: int) -> DataError:
    what = f"the archive is too large: {size >> 20} MiB, {MAX_ARCHIVE >> 20} MiB at most"
    return DataError(what, where=shorten(where), do="check the URL: CUAD v1 has 101 MiB")


def _unsafe(archive: Path, what: str) -> DataError:
    return DataError(f"refused to unpack: {what}", where=str(archive), do="delete the file; it is not CUAD's archive")
