"""Who may read: this machine alone, or whoever knows the token."""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from secrets import token_bytes
from urllib.parse import urlsplit


class Denied(Exception):
    """An HTTP status that is no answer, and why, in one line."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Access:
    """With a token it is asked for always, by whatever way a request has come: a proxy makes every client local."""

    token: str | None
    key: bytes = field(default_factory=lambda: token_bytes(32), repr=False)
    """Of the cookie, which a new process does not know any more."""

    def check(
        self, client: str, host: str | None, authorization: str | None, given: str | None, cookies: Sequence[str]
    ) -> None:
        """`client` is an address, `host` the request's header, `given` the token in its address, `cookies` the values
        of ours. Raises Denied."""
        if self.token is None:
            if not is_loopback(client) or not names_loopback(host):
                raise Denied(HTTPStatus.FORBIDDEN, "only this machine may read: others need a token, see --bind")
            return
        scheme, _, bearer = (authorization or "").partition(" ")
        tokens = [given, bearer.strip() if scheme.lower() == "bearer" else None]
        if not (_one_is(self.token, tokens) or _one_is(self.cookie, cookies)):
            raise Denied(HTTPStatus.UNAUTHORIZED, "tell the token: `Authorization: Bearer TOKEN`, or ?token=TOKEN")

    @property
    def cookie(self) -> str:
        """What a browser that has told the token shows from then on: the token leaves its address bar."""
        return hmac.new(self.key, (self.token or "").encode(), sha256).hexdigest()


def _one_is(secret: str, candidates: Iterable[str | None]) -> bool:
    """Compared in constant time, each of them."""
    known = secret.encode()
    return any([hmac.compare_digest(known, (each or "").encode(errors="replace")) for each in candidates])


def cookies_of(header: str, name: str) -> list[str]:
    """The cookies of that name in the header. Other programs at this address may have cookies of any form beside it."""
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    return [value for key, _, value in pairs if key == name]


def check_origin(site: str, mode: str, origin: str | None, host: str | None) -> None:
    """A page of another web site may lead here by a link, but has nothing to fetch. Raises Denied.

    The first three are the headers Sec-Fetch-Site, Sec-Fetch-Mode and Origin, which a browser adds by itself.
    """
    stranger = site in ("cross-site", "same-site") and mode != "navigate"
    if stranger or (origin is not None and _host_of(origin) != (host or "").lower()):
        raise Denied(HTTPStatus.FORBIDDEN, "no other web site may read this")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def names_loopback(host: str | None) -> bool:
    """Whether a Host header is this machine's: any other name may have been made to lead here (DNS rebinding)."""
    if host is None:
        return False
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.removeprefix("[").removesuffix("]").rstrip(".").lower()
    return name == "localhost" or is_loopback(name)
