"""Answers over HTTP, read and unpacked up to a limit: a server must not be able to fill the memory."""

import io
import zlib
from collections.abc import Iterable
from http.client import HTTPMessage, HTTPResponse, HTTPSConnection
from typing import IO, Any
from urllib.request import AbstractHTTPHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

MAX_BYTES = 16 * 2**20
"""Of an answer, unpacked. Kraken's longest, the list of its markets, has about two million."""
PIECE_BYTES = 65_536
ANY_HEADER = 32 + zlib.MAX_WBITS
"""zlib's or gzip's, whichever is there."""


class AnswerTooLong(Exception):
    """An answer of more than MAX_BYTES."""

    def __init__(self) -> None:
        super().__init__(f"its answer is longer than {MAX_BYTES >> 20} MiB")


class UnknownPacking(Exception):
    """An answer packed in a way that was not asked for."""

    def __init__(self) -> None:
        super().__init__("its answer is packed in a way that was not asked for")


def read_response(response: Any, *_: Any, **__: Any) -> None:
    """Read the body of a response of requests, before requests itself reads all that comes. Works as its hook.

    Raises AnswerTooLong, UnknownPacking, zlib.error or an error of urllib3.
    """
    try:
        pieces = response.raw.stream(PIECE_BYTES, decode_content=False)
        response._content = unpack(pieces, response.headers.get("Content-Encoding", ""))
        response._content_consumed = True
    except BaseException:
        response.close()
        raise


def unpack(pieces: Iterable[bytes], packing: str) -> bytes:
    """The unpacked content. Raises AnswerTooLong as soon as it is too long, UnknownPacking, or zlib.error."""
    contents: Iterable[bytes]
    match packing.strip().lower():
        case "" | "identity":
            contents = pieces
        case "gzip" | "x-gzip" | "deflate":
            contents = _unpacked(pieces)
        case _:
            raise UnknownPacking
    whole = bytearray()
    for content in contents:
        whole += content
        if len(whole) > MAX_BYTES:
            raise AnswerTooLong
    return bytes(whole)


def _unpacked(pieces: Iterable[bytes]) -> Iterable[bytes]:
    unpacker, begun = zlib.decompressobj(ANY_HEADER), False
    for piece in pieces:
        rest = piece
        while rest:
            if unpacker.eof:  # a file of gzip may have several members
                unpacker = zlib.decompressobj(ANY_HEADER)
            try:
                content = unpacker.decompress(rest, PIECE_BYTES)
            except zlib.error:
                if begun:
                    raise
                unpacker = zlib.decompressobj(-zlib.MAX_WBITS)  # some servers send deflate without a header
                content = unpacker.decompress(rest, PIECE_BYTES)
            begun = True
            yield content
            rest = unpacker.unconsumed_tail or unpacker.unused_data
    yield unpacker.flush()


class _Redirects(HTTPRedirectHandler):
    """Follows redirects without reading their body, which Python reads to its end."""

    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> HTTPResponse | None:
        fp.close()
        return super().http_error_302(req, io.BytesIO(), code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _Https(HTTPSHandler):
    """Loads the certificates of this machine, which takes 25 ms of CPU time, for an https address alone."""

    def __init__(self) -> None:
        AbstractHTTPHandler.__init__(self)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(HTTPSConnection, req)


def opener() -> OpenerDirector:
    """urllib's, for answers of which only a part is read."""
    return build_opener(_Redirects, _Https)
