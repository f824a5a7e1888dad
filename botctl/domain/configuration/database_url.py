"""DATABASE_URL: a SQLite file, or a database on a PostgreSQL server, whose password is never printed."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

SQLITE, POSTGRESQL = "sqlite:///", "postgresql://"

CREDENTIALS = re.compile(r"(?P<user>//[^\s:/@]*):[^\s]*@")
"""A password in an address, up to the last @: one that is not encoded may contain some itself."""
PASSWORD_OPTION = re.compile(r"(?P<name>\b(?:ssl)?password=)[^&\s'\"]*", re.IGNORECASE)
ENCODED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
"""A valid user or password of an address (RFC 3986). Other characters must be written as %XX."""


@dataclass(frozen=True, repr=False)
class ServerUrl:
    """A database on a PostgreSQL server. Prints without its password."""

    value: str

    def reveal(self) -> str:
        return self.value

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords in it, both encoded and decoded."""
        parts = urlsplit(self.value)
        options = [value for name, value in parse_qsl(parts.query) if name in ("password", "sslpassword")]
        passwords = [parts.password, unquote(parts.password)] if parts.password else []
        return tuple(dict.fromkeys([*passwords, *options]))

    def __str__(self) -> str:
        return without_password(self.value)

    __repr__ = __str__


def without_password(text: str) -> str:
    """`text` with *** for each password of an address in it."""
    return PASSWORD_OPTION.sub(r"\g<name>***", CREDENTIALS.sub(r"\g<user>:***@", text))


def parse_database_url(text: str) -> str | ServerUrl:
    """A sqlite:/// address unchanged, or that of a server. Raises ValueError.

    libpq checks the server's name, port and options (`sslmode`, several hosts, a socket's folder). This rejects only
    what libpq would silently read in another way than it is meant.
    """
    if text.startswith(SQLITE) and len(text) > len(SQLITE):
        return text
    if not text.startswith(POSTGRESQL):
        raise ValueError(
            "must be sqlite:///path (under the home), sqlite:////absolute/path or postgresql://user@host/database"
        )
    # urlsplit ends the address at the first /, ? or #, so the last @ of the whole text ends the password.
    rest = text.removeprefix(POSTGRESQL)
    credentials, _, server = rest.rpartition("@")
    if "?" in credentials:  # an @ in the options
        credentials, server = "", rest
    user, _, password = credentials.partition(":")
    if not (ENCODED.fullmatch(user) and ENCODED.fullmatch(password)):
        raise ValueError("has a user or password with characters that must be encoded (write @ as %40, / as %2F)")
    _, slash, database = server.partition("?")[0].partition("/")
    if not slash or not database or "/" in database or "#" in text:
        raise ValueError("must name the database, as in postgresql://user@host/database")
    urlsplit(text)  # raises ValueError for an address like http://[::1
    return ServerUrl(text)
