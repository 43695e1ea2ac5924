"""Shingles as numbers: texts become sets of 64-bit hashes, a chunk of texts in one go.

A shingle is five words in a row, without case and punctuation. Its hash is made in three steps that are each a
few operations on whole arrays: a word is a polynomial of its characters, a shingle a polynomial of its words
(both modulo 2^64), and each result is stirred by the finaliser of splitmix64 (Steele, Lea and Flood, 2014). Of
the 64 bits 63 are kept, so that a hash can be a column of a sparse matrix. Two different shingles among a thousand
million have the same number with a chance of about 0.05; one such pair changes a similarity by one shingle.
"""

from __future__ import annotations

import functools
import math
import mmap
import re
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from lextune.core.cluster import spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS = 5
CHUNK = 1 << 18  # characters hashed at a time: the arrays stay in the processor's cache
HELD = 1 << 22  # shingles held in memory; more go to a temporary file
CODES = 0x110000  # code points that Unicode has
_BASE = 0x9E3779B97F4A7C15  # odd and 5 modulo 8: its powers do not repeat for 2^62 places
_WORD = re.compile(r"\w+")
_U = np.uint64


def shingles(text: str) -> set[str]:
    """Return the shingles of a text: all runs of five words, without case and punctuation.

    A text of fewer words is one shingle, a text without words none.
    """
    words = _WORD.findall(text.casefold())
    return {" ".join(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1))} if words else set()


@dataclass(frozen=True)
class Shingles:
    """The sets of shingles of many texts. Texts with the same words share a row.

    `row_of[i]` is the row of text i; row r is `flat[offsets[r]:offsets[r + 1]]`, sorted, each shingle once.
    Texts without words have an empty row each.
    """

    row_of: NDArray[np.int64]
    flat: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """How many different texts there are."""
        return len(self.offsets) - 1

    @functools.cached_property
    def sizes(self) -> NDArray[np.int64]:
        """The number of shingles of each row."""
        return np.diff(self.offsets)

    @functools.cached_property
    def matrix(self) -> Any:
        """The rows x shingles matrix of zeros and ones (CSR, canonical); it shares the memory of `flat`."""
        return _csr(self.flat, self._ones, self.offsets)

    @functools.cached_property
    def _ones(self) -> NDArray[np.int8]:
        return _ones(len(self.flat))

    def release(self) -> None:
        """Let go of the pages of temporary files that were read; they come back when they are read again."""
        release(self.flat)
        if "_ones" in self.__dict__:
            release(self._ones)


def release(values: NDArray[Any]) -> None:
    """Let go of the pages of an array that is mapped from a file; they come back when they are read again."""
    pages = getattr(values, "_mmap", None)
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def spooled(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array of zeros: in memory, or mapped from a temporary file where it has more than `HELD` elements."""
    if math.prod(shape) <= HELD:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, mode="w+", shape=shape)  # it keeps the content


def hash_texts(texts: Iterable[str], workers: int = 1, ray: str | None = None) -> Shingles:
    """Return the shingles of texts that are read once, in order.

    Args:
        texts: any number; a bounded number is held at a time.
        workers: threads that hash. On two cores a second one was no faster: half of the work holds the interpreter.
        ray: the address of a cluster that hashes (`lextune.core.cluster`).
    """
    row_of, sizes = array("q"), array("q")
    known, store = _Known(), _Spool()
    for flat, counts, prints in _hashed(_chunks(texts), workers, ray):
        rows, new = known.rows(prints, counts > 0)
        row_of.frombytes(rows.tobytes())
        sizes.frombytes(counts[new].tobytes())
        store.add(flat if new.all() else _pick(flat, counts, new))
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(np.frombuffer(sizes, np.int64), out=offsets[1:])
    return Shingles(np.array(row_of, np.int64), store.values(), offsets)


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    held = 0
    for text in texts:
        chunk.append(text)
        held += len(text) + 1
        if held >= CHUNK:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


Hashed = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.uint64]"]


def _hashed(chunks: Iterator[list[str]], workers: int, ray: str | None) -> Iterator[Hashed]:
    """Hash chunks, with several threads or a cluster a few ahead, and yield them in order."""
    if workers == 1 and ray is None:
        yield from map(hash_chunk, chunks)
        return
    for _, hashed in spread(hash_chunk, chunks, functools.partial(ThreadPoolExecutor, workers), 2 * workers, ray=ray):
        yield hashed


def hash_chunk(texts: Sequence[str]) -> Hashed:
    """Hash some texts.

    Returns:
        Shingles of all texts one after another (sorted in each, each once); how many each text has; and a
        number for each text that is the same for two texts with the same words in the same order.
    """
    folded = [text.casefold() for text in texts]
    starts, words = _words("\n" + "\n".join(folded) + "\n")
    places = np.zeros(len(folded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, folded), np.int64, len(folded)) + 1, out=places[1:])
    first = np.searchsorted(starts, places + 1)
    counts = np.diff(first)
    padded = np.concatenate([words, np.zeros(WORDS, _U)])
    prints = _texts(padded, first, counts)
    runs = padded[: len(words)].copy()
    for step in range(1, WORDS):
        runs = runs * _U(_BASE) + padded[step : len(words) + step]
    for text in np.flatnonzero((counts > 0) & (counts < WORDS)):  # the run of a short text ends where it ends
        runs[first[text]] = prints[text]
    amounts = np.where(counts >= WORDS, counts - WORDS + 1, np.minimum(counts, 1))
    offsets = np.concatenate([[0], np.cumsum(amounts)])
    picked = np.repeat(first[:-1] - offsets[:-1], amounts) + np.arange(offsets[-1])
    flat = (_stir(runs[picked]) >> _U(1)).view(np.int64)
    matrix = _csr(flat, _ones(len(flat)), offsets)
    matrix.has_canonical_format = matrix.has_sorted_indices = False
    matrix.sum_duplicates()
    return matrix.indices, np.diff(matrix.indptr).astype(np.int64), prints


def _words(text: str) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return where each word starts, and each word's hash; the text begins and ends with a line break."""
    is_word, values = _tables()
    if text.isascii():
        raw = text.encode("ascii")
        codes: NDArray[Any] = np.frombuffer(raw, np.uint8)
        mask = np.frombuffer(raw.translate(_ascii()), np.bool_)
    else:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        mask = is_word[codes]
    edges = np.flatnonzero(mask[1:] != mask[:-1])
    before, last = edges[::2], edges[1::2]
    powers, inverse = _powers(1 << len(text).bit_length())
    sums = np.take(values, codes, mode="clip")
    sums *= powers[: len(sums)]
    np.cumsum(sums, out=sums)
    return before + 1, _stir((sums[last] - sums[before]) * inverse[before])


def _texts(words: NDArray[np.uint64], first: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a number for each text: a polynomial of its words, stirred with their count."""
    powers, inverse = _powers(1 << len(words).bit_length())
    sums = np.concatenate([np.zeros(1, _U), np.cumsum(words * powers[: len(words)])])
    polynomial = (sums[first[1:]] - sums[first[:-1]]) * inverse[first[:-1]]
    return _stir(polynomial + counts.astype(_U) * _U(_BASE))


def _stir(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values ^= values >> _U(30)
    values *= _U(0xBF58476D1CE4E5B9)
    values ^= values >> _U(27)
    values *= _U(0x94D049BB133111EB)
    values ^= values >> _U(31)
    return values


@functools.cache
def _tables() -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Return for each code point whether it is part of a word (as `\\w` says), and its number."""
    is_word = np.fromiter((chr(code).isalnum() or code == ord("_") for code in range(CODES)), np.bool_, CODES)
    return is_word, _stir(np.arange(1, CODES + 1, dtype=_U) * _U(_BASE))


@functools.cache
def _ascii() -> bytes:
    return bytes(_tables()[0][:256].tolist())


@functools.lru_cache(maxsize=4)
def _powers(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the base's powers 0..count-1, and those of its inverse, modulo 2^64."""
    tables = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        factors = np.full(count, base, _U)
        factors[0] = 1
        tables.append(np.cumprod(factors))
    return tables[0], tables[1]


def _csr(flat: NDArray[np.int64], ones: NDArray[np.int8], offsets: NDArray[np.int64]) -> Any:
    from scipy.sparse import csr_array

    shape = (len(offsets) - 1, np.iinfo(np.int64).max)
    matrix = csr_array((ones, flat, offsets), shape=shape)
    matrix.has_canonical_format = matrix.has_sorted_indices = True
    return matrix


def _ones(count: int) -> NDArray[np.int8]:
    """Return ones; as many as are not held in memory are those of a temporary file, as the shingles are."""
    ones = spooled((count,), np.int8)
    ones[:] = 1
    return ones


def _pick(flat: NDArray[np.int64], counts: NDArray[np.int64], texts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the shingles of some of the texts."""
    out = ~texts
    ends = np.cumsum(counts)
    edges = np.zeros(len(flat) + 1, np.int8)  # 1 where what is left out begins, -1 where it ends
    edges[(ends - counts)[out]] += 1
    edges[ends[out]] -= 1
    kept: NDArray[np.int64] = flat[np.cumsum(edges[:-1], dtype=np.int8) == 0]
    return kept


class _Known:
    """Which texts have occurred, by their numbers, each with its row: sorted runs, merged when they are about equal.

    That is 16 bytes a text; a dictionary takes about 150.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = []
        self._count = 0

    def rows(
        self, prints: NDArray[np.uint64], worded: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the row of each of some texts, and whether it is a new one; a text without words is always new."""
        rows = np.full(len(prints), -1, np.int64)
        for keys, numbers in self._runs:
            at = np.minimum(np.searchsorted(keys, prints), len(keys) - 1)
            rows = np.where(keys[at] == prints, numbers[at], rows)
        rows[~worded] = -1
        asked = np.flatnonzero((rows < 0) & worded)
        keys, first, same = np.unique(prints[asked], return_index=True, return_inverse=True)
        new = ~worded
        new[asked[first]] = True
        rows[new] = np.arange(self._count, self._count + np.count_nonzero(new))
        rows[asked] = rows[asked[first]][same]
        self._count += int(np.count_nonzero(new))
        self._add(keys, rows[asked[first]])
        return rows, new

    def _add(self, keys: NDArray[np.uint64], numbers: NDArray[np.int64]) -> None:
        if not len(keys):
            return
        while self._runs and len(self._runs[-1][0]) <= 2 * len(keys):
            before, theirs = self._runs.pop()
            keys, numbers = np.concatenate([before, keys]), np.concatenate([theirs, numbers])
            order = np.argsort(keys, kind="stable")
            keys, numbers = keys[order], numbers[order]
        self._runs.append((keys, numbers))


class _Spool:
    """Numbers that are added at the end: in memory, and in a temporary file from `HELD` of them."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int64]] = []
        self._held = 0
        self._file: IO[bytes] | None = None

    def add(self, values: NDArray[np.int64]) -> None:
        self._parts.append(values)
        self._held += len(values)
        if self._held >= HELD:
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its map
            for part in self._parts:
                part.tofile(self._file)
            self._parts, self._held = [], 0

    def values(self) -> NDArray[np.int64]:
        """Return all numbers; those of the file are mapped, not read."""
        if self._file is None:
            return np.concatenate([np.zeros(0, np.int64), *self._parts])
        for part in self._parts:
            part.tofile(self._file)
        self._file.flush()
        mapped = np.memmap(self._file, np.int64, mode="r")
        self._file.close()  # the map keeps the content
        return mapped
