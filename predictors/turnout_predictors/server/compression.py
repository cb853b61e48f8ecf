"""gzip and deflate: read within the body's limit, so that no bomb is unpacked; written only when asked for."""

from __future__ import annotations

import zlib
from typing import Final

from turnout_predictors.errors import BeyondLimit, InvalidInput, RequestError

WORTH_BYTES: Final = 1024
_FIELD: Final = "headers.Content-Encoding"
_WINDOWS: Final = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


def decompress(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body as it was before its Content-Encoding. RequestError for others, broken ones, too large ones."""
    window = _WINDOWS.get(encoding)
    if window is None:
        raise RequestError(
            "unsupported_encoding",
            f"Content-Encoding {encoding.decode('latin-1')!r} is not served; send gzip, deflate or the body as it is",
            field=_FIELD,
        )
    if window == zlib.MAX_WBITS and body[:1] and body[0] & 0x0F != zlib.DEFLATED:
        window = -zlib.MAX_WBITS  # many clients send deflate without zlib's head
    unpacker = zlib.decompressobj(window)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as fault:
        raise InvalidInput(f"the body is no {encoding.decode()}: {fault}", _FIELD) from None
    if len(plain) > limit:
        raise BeyondLimit("max_body_bytes", f"the body unpacks to more than {limit} bytes; send fewer rows")
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidInput(f"the body is no whole {encoding.decode()}", _FIELD)
    return plain


def accepted(header: bytes) -> bytes:
    """The encoding to answer in, of an Accept-Encoding header; empty for none."""
    for choice in header.lower().split(b","):
        name, _, quality = choice.strip().partition(b";")
        if name in (b"gzip", b"deflate") and quality.replace(b" ", b"") not in (b"q=0", b"q=0.0"):
            return name
    return b""


def compress(parts: tuple[bytes | memoryview, ...], encoding: bytes) -> bytes:
    """Fast rather than small: the network between a pod and its caller is short."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOWS[encoding])
    return b"".join([*(packer.compress(part) for part in parts), packer.flush()])
