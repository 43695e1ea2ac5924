"""The vault: the mapping from pseudonyms to what they stand for, encrypted, in a file of its own.

Layout: one line of JSON (format, the vault's ids, a check of the key), then frames. A frame is 4 bytes of length, 12
bytes of nonce and AES-256-GCM of up to 256 KiB of JSON lines; its additional data are the first line, the frame's
number and whether it is the last. So a changed, cut or reordered file is refused, and nothing in it is readable
without the key. A key is 32 random bytes, written in URL-safe base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.errors import DataError, MachineError, UserError
from lextune.core.machine import disk_error
from lextune.data.privacy.pseudonyms import Pseudonyms, Style

KEY_VARIABLE = "LEXTUNE_PRIVACY_KEY"
KEY_BYTES = 32
_FORMAT = "lextune-vault-1"
_FRAME = 256 * 1024
_NONCE, _TAG = 12, 16
_HEAD = struct.Struct(">I")


class Vault(NamedTuple):
    """An opened vault: the ids of the datasets it restores (the newest last), and its mapping."""

    ids: tuple[str, ...]
    pseudonyms: Pseudonyms


def new_id() -> str:
    """Return an id for a vault; it says nothing of what is in it."""
    return secrets.token_hex(8)


def make_key(path: Path) -> None:
    """Write a new key into a file that only its owner can read.

    Raises:
        UserError: the file exists.
        MachineError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UserError("this key exists already", where=str(path), do="choose another --key file") from None
    except OSError as error:
        raise disk_error(error, path) from error
    with os.fdopen(handle, "wb") as stream:
        stream.write(base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")


def load_key(path: Path | None) -> bytes:
    """Read the key from a file, or from $LEXTUNE_PRIVACY_KEY where no file is given.

    Raises:
        UserError: there is none, or it is no key.
    """
    if path is None:
        text, where = os.environ.get(KEY_VARIABLE, ""), f"${KEY_VARIABLE}"
        if not text:
            raise UserError("no key", where=where, do=f"give --key FILE, or set ${KEY_VARIABLE}")
    else:
        where = str(path)
        try:
            text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            raise UserError("no such key file", where=where, do="give the file that pseudonymise was given") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read the key ({type(error).__name__})", where=where, do=_KEY_DO) from None
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise UserError("this is no key", where=where, do=_KEY_DO)
    return key


_KEY_DO = "a key is 32 bytes in URL-safe base64; pseudonymise makes one where the --key file does not exist"


def write_vault(path: Path, vault: Vault, key: bytes) -> None:
    """Write a vault so that a reader sees all of it or nothing.

    Raises:
        MachineError: the disk is full or may not be written, or `cryptography` is not installed.
    """
    cipher = _cipher(key)
    head = _header(vault, key)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(head)
            for number, (frame, last) in enumerate(_with_last(_frames(vault.pseudonyms.rows()))):
                nonce = os.urandom(_NONCE)
                sealed = cipher.encrypt(nonce, frame, _bound(head, number, last))
                stream.write(_HEAD.pack(len(sealed)) + nonce + sealed)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(error, path) from error


def read_vault(path: Path, key: bytes) -> Vault:
    """Open a vault.

    Raises:
        DataError: it is missing, no vault, damaged, or another key's.
        MachineError: `cryptography` is not installed.
    """
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the vault ({type(error).__name__})", where=str(path), do=_VAULT_DO) from None
    line, _, body = raw.partition(b"\n")
    head = _read_header(line, path)
    if not hmac.compare_digest(str(head["check"]), _check(key)):
        raise DataError("the vault was locked with another key", where=str(path), do="give that key with --key")
    try:
        plain = b"".join(
            cipher.decrypt(nonce, sealed, _bound(line + b"\n", number, last))
            for number, ((nonce, sealed), last) in enumerate(_with_last(_sealed(body)))
        )
    except (InvalidTag, ValueError):
        raise _damaged(path) from None
    style: Style = head["style"]
    rows = (json.loads(row) for row in plain.decode().splitlines())
    return Vault(tuple(head["ids"]), Pseudonyms(style, rows))


_VAULT_DO = "give the .vault file that was written beside the dataset"


def _header(vault: Vault, key: bytes) -> bytes:
    head = {"format": _FORMAT, "ids": list(vault.ids), "style": vault.pseudonyms.style, "check": _check(key)}
    return json.dumps(head).encode() + b"\n"


def _read_header(line: bytes, path: Path) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        head = None
    if not isinstance(head, dict) or not str(head.get("format", "")).startswith("lextune-vault"):
        raise DataError("this is no vault", where=str(path), do=_VAULT_DO)
    if head["format"] != _FORMAT or not {"ids", "style", "check"} <= head.keys():
        raise _damaged(path)
    return head


def _check(key: bytes) -> str:
    """Return what tells whether a key is the right one, and nothing else about it."""
    return hmac.new(key, b"lextune vault key check", hashlib.sha256).hexdigest()[:16]


def _bound(head: bytes, number: int, last: bool) -> bytes:
    return head + struct.pack(">Q?", number, last)


def _frames(rows: Iterable[Mapping[str, str]]) -> Iterator[bytes]:
    frame = bytearray()
    for row in rows:
        frame += json.dumps(row).encode() + b"\n"
        if len(frame) >= _FRAME:
            yield bytes(frame)
            frame.clear()
    yield bytes(frame)


def _sealed(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (nonce, sealed) of each frame; what is cut raises ValueError."""
    at = 0
    while at < len(body) or at == 0:
        start = at + _HEAD.size + _NONCE
        if start > len(body):
            raise ValueError("cut")
        end = start + _HEAD.unpack_from(body, at)[0]
        if end > len(body) or end - start < _TAG:
            raise ValueError("cut")
        yield body[at + _HEAD.size : start], body[start:end]
        at = end


def _with_last(items: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    """Yield each item, and whether it is the last."""
    iterator = iter(items)
    current = next(iterator)
    for following in iterator:
        yield current, False
        current = following
    yield current, True


def _damaged(path: Path) -> DataError:
    return DataError(
        "the vault is damaged", where=str(path), do="take it from a backup; its key alone restores nothing"
    )


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise MachineError("vaults need the package cryptography", do="pip install 'lextune[privacy]'") from None
    return AESGCM(key)
