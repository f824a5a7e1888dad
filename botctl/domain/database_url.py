"""What DATABASE_URL may say: a SQLite file, or a database on a PostgreSQL server, whose password never prints."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

SQLITE, POSTGRESQL = "sqlite:///", "postgresql://"

CREDENTIALS = re.compile(r"(?P<user>//[^\s:/@]*):[^\s]*@")
"""A password in an address, up to the last @: one that was not encoded may hold some itself."""
PASSWORD_OPTION = re.compile(r"(?P<name>\b(?:ssl)?password=)[^&\s'\"]*", re.IGNORECASE)
ENCODED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
"""What may stand in an address's user and password (RFC 3986). Anything else must be written as %XX."""


@dataclass(frozen=True, repr=False)
class ServerUrl:
    """A database on a PostgreSQL server. Prints without its password."""

    value: str

    def reveal(self) -> str:
        return self.value

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords in it, as they are written and as they are meant."""
        parts = urlsplit(self.value)
        named = [value for name, value in parse_qsl(parts.query) if name in ("password", "sslpassword")]
        written = [parts.password] if parts.password else []
        return tuple(dict.fromkeys([*written, *(unquote(text) for text in written), *named]))

    def __str__(self) -> str:
        return without_password(self.value)

    def __repr__(self) -> str:
        return str(self)


def without_password(text: str) -> str:
    """`text` with *** for each password of an address in it."""
    return PASSWORD_OPTION.sub(r"\g<name>***", CREDENTIALS.sub(r"\g<user>:***@", text))


def parse_database_url(text: str) -> str | ServerUrl:
    """A sqlite:/// address as it is, or that of a server.

    The server's name, port, options (`sslmode`, several hosts, a socket's folder) are libpq's own business. What is
    checked here is what libpq would take apart otherwise than it is meant. Raises ValueError.
    """
    if text.startswith(SQLITE) and len(text) > len(SQLITE):
        return text
    if not text.startswith(POSTGRESQL):
        raise ValueError(
            "must be sqlite:///path (under the home), sqlite:////absolute/path or postgresql://user@host/database"
        )
    # urlsplit ends the address at the first /, ? or #, so the last @ of the whole tells where the password ends.
    rest = text.removeprefix(POSTGRESQL)
    credentials, _, server = rest.rpartition("@")
    if "?" in credentials:  # an @ of the options
        credentials, server = "", rest
    user, _, password = credentials.partition(":")
    if not (ENCODED.fullmatch(user) and ENCODED.fullmatch(password)):
        raise ValueError("has a user or password with characters that must be encoded (write @ as %40, / as %2F)")
    _, slash, database = server.partition("?")[0].partition("/")
    if not slash or not database or "/" in database or "#" in text:
        raise ValueError("must name the database, as in postgresql://user@host/database")
    urlsplit(text)  # raises ValueError for an address like http://[::1
    return ServerUrl(text)
