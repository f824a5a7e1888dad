"""Says why a request got no answer, by the innermost cause: ccxt and urllib3 wrap it several times."""

import socket
import ssl
from collections.abc import Iterator

from botctl.domain.text import sanitize
from botctl.http_answers import AnswerTooLong, UnknownPacking


def describe_failure(error: BaseException) -> str:
    """The cause in words, without the text of any exception but the operating system's: others may hold a secret."""
    causes = list(_causes(error))
    for cause in reversed(causes):
        if (words := _words_for(cause)) is not None:
            return words
    return type(error).__name__


def _words_for(cause: BaseException) -> str | None:
    match cause:
        case AnswerTooLong() | UnknownPacking():
            return str(cause)
        case OSError() if str(cause).startswith("Tunnel connection failed: "):  # http.client has no class for it
            return f"the proxy refused: {sanitize(str(cause).removeprefix('Tunnel connection failed: '))}"
        case socket.gaierror():
            return "its name can't be resolved" + (f": {cause.strerror}" if cause.strerror else "")
        case ssl.SSLCertVerificationError():
            return f"its certificate is not valid: {cause.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {cause.reason}"
        case TimeoutError():
            return "it timed out"
        case ConnectionError():
            return (cause.strerror or "connection lost").lower()
        case OSError() if cause.errno and cause.strerror:
            return cause.strerror.lower()
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and what caused it, the innermost last. urllib3 keeps some causes as `reason` or argument."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
