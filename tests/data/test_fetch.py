"""Downloads resume, are checked, and are unpacked without leaving their folder."""

from __future__ import annotations

import hashlib
import io
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from lextune.core.errors import DataError, MachineError
from lextune.data import fetch
from lextune.data.fetch import fetch_cuad


def test_a_server_that_does_not_answer_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    monkeypatch.setattr(httpx.Client, "head", lambda *_, **__: free.wait(10))
    start = time.monotonic()
    assert fetch.failure_to_reach("http://127.0.0.1:9", 0.1) == "none within 0.1 seconds"
    assert time.monotonic() - start < 5
    free.set()


def archive(entries: dict[str, bytes], mode: int | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            if mode is not None:
                entry.external_attr = mode << 16
            bundle.writestr(entry, content)
    return buffer.getvalue()


GOOD = archive(
    {
        "CUAD_v1/": b"",
        "CUAD_v1/master_clauses.csv": b"Filename\n",
        "CUAD_v1/full_contract_txt/A.txt": bytes(range(256)) * 2000,
        "__MACOSX/CUAD_v1/._A": b"junk",
    }
)


class Server(ThreadingHTTPServer):
    """Serves one body. `cuts` says after how many bytes each of the first answers breaks off."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.ranges, self.cuts, self.statuses = body, True, list[int](), list[int]()
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/CUAD_v1.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers["Range"]
        server.asked.append(wanted)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
        if start >= len(server.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            end = len(server.body)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)
        self.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server(GOOD) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(server: Server, destination: Path) -> Path:
    return fetch_cuad(destination, url=server.url, sha256=hashlib.sha256(server.body).hexdigest())


def test_the_archive_is_fetched_checked_and_unpacked(server: Server, tmp_path: Path) -> None:
    folder = get(server, tmp_path / "cache")
    assert folder == tmp_path / "cache" / "CUAD_v1"
    assert (folder / "full_contract_txt" / "A.txt").read_bytes() == bytes(range(256)) * 2000
    assert sorted(path.name for path in folder.parent.iterdir()) == ["CUAD_v1"]
    assert get(server, tmp_path / "cache") == folder
    assert server.asked == [None]  # the second call needed no network


def test_a_dropped_connection_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000, 150_000]
    assert get(server, tmp_path).is_dir()
    assert server.asked == [None, "bytes=100000-", "bytes=250000-"]


def test_a_server_without_ranges_is_asked_for_everything_again(server: Server, tmp_path: Path) -> None:
    server.cuts, server.ranges = [100_000], False
    assert get(server, tmp_path).is_dir()
    assert server.asked == [None, "bytes=100000-"]


def test_a_later_call_resumes_an_earlier_one(server: Server, tmp_path: Path) -> None:
    (tmp_path / "CUAD_v1.zip.part").write_bytes(GOOD[:1234])
    assert get(server, tmp_path).is_dir()
    assert server.asked == ["bytes=1234-"]


def test_a_part_that_was_complete_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "CUAD_v1.zip.part").write_bytes(GOOD)
    assert get(server, tmp_path).is_dir()


def test_a_part_longer_than_the_file_is_started_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "CUAD_v1.zip.part").write_bytes(GOOD + b"more")
    assert get(server, tmp_path).is_dir()
    assert server.asked[-1] is None


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert get(server, tmp_path).is_dir()


def test_no_progress_is_given_up_and_what_arrived_is_kept(server: Server, tmp_path: Path) -> None:
    server.cuts = [5000, *[0] * 9]
    with pytest.raises(MachineError, match="cannot download CUAD: no progress in 5 attempts: ") as error:
        get(server, tmp_path)
    assert error.value.exit_code == 3
    assert (tmp_path / "CUAD_v1.zip.part").stat().st_size == 5000


def test_a_refusal_is_reported_at_once(server: Server, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(MachineError, match="cannot download CUAD: the server answered 404"):
        get(server, tmp_path)


def test_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server(GOOD) as closed:
        url = closed.url
    with pytest.raises(MachineError) as error:
        fetch_cuad(tmp_path, url=url, connect_seconds=0.5)
    assert "cannot download CUAD: no connection" in str(error.value)
    assert "give a folder of CUAD with --data" in str(error.value)


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [("http://\0", DataError, "not a URL"), ("nonsense", MachineError, "no connection")],
)
def test_urls_that_are_none(tmp_path: Path, url: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fetch_cuad(tmp_path, url=url)


def test_another_archive_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not the one expected: SHA-256 \w{12}\.\.\., not 88b694d99007\.\.\."):
        fetch_cuad(tmp_path, url=server.url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (archive({"../evil": b"x"}), "refused to unpack: an entry that leaves the folder: '../evil'"),
        (archive({"/etc/evil": b"x"}), "an entry that leaves the folder: '/etc/evil'"),
        (archive({"a\\..\\evil": b"x"}), "an entry that leaves the folder"),
        (archive({"c:/evil": b"x"}), "an entry that leaves the folder"),
        (archive({"link": b"/etc/passwd"}, stat.S_IFLNK | 0o777), "an entry that is no file: 'link'"),
        (b"no zip at all", "damaged archive: File is not a zip file"),
        (GOOD.replace(bytes(range(50)), bytes(50), 1), "damaged archive: Bad CRC-32"),
    ],
)
def test_unsafe_and_damaged_archives(server: Server, tmp_path: Path, body: bytes, message: str) -> None:
    server.body = body
    with pytest.raises(DataError) as error:
        get(server, tmp_path / "cache")
    assert message in str(error.value)
    assert error.value.do
    assert {path.name for path in (tmp_path / "cache").iterdir()} <= {"CUAD_v1.zip"}
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_size_limits(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_UNPACKED", 1000)
    with pytest.raises(DataError, match="refused to unpack: 3 entries, 0 MiB unpacked"):
        get(server, tmp_path)
    monkeypatch.setattr(fetch, "MAX_ARCHIVE", 1000)
    with pytest.raises(DataError, match="the archive is too large"):
        get(server, tmp_path / "other")


def test_sizes_in_the_archive_may_be_lies(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_UNPACKED", 1000)
    monkeypatch.setattr(fetch, "_check_entries", lambda *_: None)
    with pytest.raises(DataError, match="refused to unpack: more than 0 MiB unpacked"):
        get(server, tmp_path)


def test_a_full_disk_is_told_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(MachineError, match="the disk has 0 MiB left"):
        get(server, tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot write"):
        fetch_cuad(tmp_path / "file" / "below")


def test_an_archive_without_the_outer_folder(server: Server, tmp_path: Path) -> None:
    server.body = archive({"master_clauses.csv": b"Filename\n"})
    assert (get(server, tmp_path) / "master_clauses.csv").is_file()
