"""Addresses in settings, accepted only where all that read them read the same: Python, urllib3 and the owner."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from botctl.domain.configuration.database_url import without_password

PLAIN_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?(?P<path>/[\w.~/-]*)?",
    re.IGNORECASE | re.ASCII,
)
"""Without user, query, fragment, backslash or any other character that one reader takes for the end of the host."""
PROXY = re.compile(r"(?P<scheme>https?://)((?P<user>[^\s/@\\]+)@)?(?P<rest>[^@]+)", re.IGNORECASE)


def parse_url(text: str) -> str:
    """An http or https address. Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https address")
    return text


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def parse_api_url(text: str) -> str:
    """The base URL of an API: https, or http on this machine. Raises ValueError."""
    parse_url(text)
    match = PLAIN_ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"] or 443) < 65536:
        raise ValueError(
            "must be a plain address such as https://host:port/path, without user, query or special characters"
        )
    scheme, host = match["scheme"].lower(), match["host"].lower()
    if scheme != "https" and not is_loopback(host):
        raise ValueError("must use https, or http on this machine only")
    port, path = match["port"], match["path"] or ""
    return f"{scheme}://{host}{f':{port}' if port else ''}{path.rstrip('/').removesuffix('/0')}"


@dataclass(frozen=True, repr=False)
class ProxyUrl:
    """A proxy. Prints without its password."""

    value: str

    def reveal(self) -> str:
        return self.value

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password in it, both encoded and decoded."""
        password = urlsplit(self.value).password
        return (password, unquote(password)) if password else ()

    def __str__(self) -> str:
        return without_password(self.value)

    __repr__ = __str__


def parse_proxy_url(text: str) -> ProxyUrl:
    """The address of an HTTP proxy; http:// may be left out, as other programs allow. Raises ValueError."""
    text = text if "://" in text else f"http://{text}"
    match = PROXY.fullmatch(text)
    address = PLAIN_ADDRESS.fullmatch(match["scheme"] + match["rest"]) if match else None
    if address is None or (address["path"] or "/") != "/" or not 0 < int(address["port"] or 443) < 65536:
        raise ValueError(
            "must be a proxy such as http://user:password@host:port, with special characters written as %XX"
        )
    return ProxyUrl(text)
