"""The Diffie-Hellman groups of RFC 7919 as PEM files, made from their definition.

>>> GROUPS[0], parameters("ffdhe2048").splitlines()[0]
('ffdhe2048', b'-----BEGIN DH PARAMETERS-----')
>>> group_of(parameters("ffdhe3072"))
'ffdhe3072'
"""

from __future__ import annotations

import base64
from functools import cache

_OFFSETS = {2048: 560316, 3072: 2625351, 4096: 5736041, 6144: 15705020, 8192: 10965728}
"""The X of RFC 7919 appendix A: the smallest that makes both p and (p - 1) / 2 prime."""

GROUPS = tuple(f"ffdhe{bits}" for bits in _OFFSETS)
_GENERATOR = 2
_LINE = 64
_DER_INTEGER, _DER_SEQUENCE, _SHORT = 0x02, 0x30, 0x80


def parameters(group: str) -> bytes:
    """Return the DH parameters of *group* as PEM (PKCS #3: p and g); KeyError for one that is not among GROUPS."""
    bits = {f"ffdhe{each}": each for each in _OFFSETS}[group]
    der = _tagged(_DER_SEQUENCE, _integer(_prime(bits)) + _integer(_GENERATOR))
    body = base64.b64encode(der).decode()
    lines = [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
    return "\n".join(["-----BEGIN DH PARAMETERS-----", *lines, "-----END DH PARAMETERS-----", ""]).encode()


def group_of(pem: bytes) -> str | None:
    """Return which of GROUPS the parameters in *pem* are; null for any other."""
    body = b"".join(line for line in pem.splitlines() if not line.startswith(b"-----"))
    known = {b"".join(parameters(group).splitlines()[1:-1]): group for group in GROUPS}
    return known.get(body)


@cache
def _prime(bits: int) -> int:
    """Return p = 2^b - 2^(b-64) + (floor(2^(b-130) e) + X) 2^64 - 1 (RFC 7919 appendix A)."""
    return (1 << bits) - (1 << (bits - 64)) + ((_e_times_two_to(bits - 130) + _OFFSETS[bits]) << 64) - 1


def _e_times_two_to(power: int) -> int:
    """Return floor(2^power e), by the series of e with guard bits."""
    guard = 64
    term = total = 1 << (power + guard)
    number = 1
    while term:
        term //= number
        total += term
        number += 1
    return total >> guard


def _integer(value: int) -> bytes:
    return _tagged(_DER_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _tagged(tag: int, content: bytes) -> bytes:
    """Encode one DER value (X.690 section 8.1)."""
    size = len(content)
    if size < _SHORT:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _SHORT | len(length)]) + length + content
