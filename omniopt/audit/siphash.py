"""Numbers from 0 to 1 that follow from a key and an id: SipHash-2-4 over columns of texts."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from omniopt.audit.arrays import expand

_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def chances(texts: pa.Array, *key: str) -> np.ndarray:
    """A number in [0, 1) for each text.

    The first 53 bits of the text's SipHash (Aumasson and Bernstein 2012, INDOCRYPT, 489-508), whose 16 bytes
    of key are the hexadecimal digits of an 8-byte BLAKE2b digest of the key's parts, joined by NUL; spread
    by the last step of SplitMix64 (Steele, Lea and Flood 2014, OOPSLA, 453-472).
    """
    secret = hashlib.blake2b("\0".join(key).encode(), digest_size=8).hexdigest().encode()
    spread = _siphash(texts, secret)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        spread = (spread ^ (spread >> np.uint64(shift))) * np.uint64(factor)
    return (spread >> np.uint64(11)) * 2.0**-53


def _siphash(texts: pa.Array, secret: bytes) -> np.ndarray:
    k = np.frombuffer(secret, "<u8")
    words, blocks = _blocks(texts)
    v = [np.full(len(blocks), k[i % 2] ^ np.uint64(start)) for i, start in enumerate(_START)]
    for number in range(words.shape[1]):
        mine = blocks > number
        some = [one[mine] for one in v]
        some[3] ^= words[mine, number]
        _mix(some, 2)
        some[0] ^= words[mine, number]
        for one, new in zip(v, some, strict=True):
            one[mine] = new
    v[2] ^= np.uint64(0xFF)
    _mix(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _blocks(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The UTF-8 of texts in words of 8 bytes, the last of which ends with the text's length; how many."""
    array = pa.array(texts, pa.large_string()) if not isinstance(texts, pa.Array) else texts
    array = pa.concat_arrays([array.cast(pa.large_string())])
    edge = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)
    length = np.diff(edge)
    blocks = length // 8 + 1
    laid = np.zeros((len(array), 8 * int(blocks.max(initial=1))), np.uint8)
    at, of = expand(edge[:-1], edge[1:])
    laid[of, at - edge[of]] = data[at]
    laid[np.arange(len(array)), 8 * blocks - 1] = length & 255
    return laid.view("<u8"), blocks


def _mix(v: list[np.ndarray], rounds: int) -> None:
    """SipRound, in place."""
    for _ in range(rounds):
        v[0] += v[1]
        v[2] += v[3]
        v[1] = _turned(v[1], 13) ^ v[0]
        v[3] = _turned(v[3], 16) ^ v[2]
        v[0] = _turned(v[0], 32)
        v[2] += v[1]
        v[0] += v[3]
        v[1] = _turned(v[1], 17) ^ v[2]
        v[3] = _turned(v[3], 21) ^ v[0]
        v[2] = _turned(v[2], 32)


def _turned(word: np.ndarray, bits: int) -> np.ndarray:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))
