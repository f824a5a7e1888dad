"""What a program that botctl starts sees of the environment: an allow-list, and never a secret of botctl's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ALLOWED = ("PATH", "HOME", "LANG", "TZ")
"""What every program gets."""
USER_SERVICES = ("USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS")
"""What crontab, systemctl and their like need to find the user's own."""
NETWORK = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
"""How this network reaches the outside, for botctl's own process that sends notifications."""


def child_environment(environment: Mapping[str, str], *more: str) -> dict[str, str]:
    """Of `environment` only the variables that every program gets, and those named in `more`."""
    return {name: environment[name] for name in (*ALLOWED, *more) if name in environment}


@dataclass(frozen=True)
class NamedVariables:
    """The variables that COUNCIL_ENV names, and a sentence for each that the program does not get."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    missing: tuple[str, ...] = ()


def find_named(names: Iterable[str], sources: Mapping[str, str], secrets: Iterable[str]) -> NamedVariables:
    """The variables `names` in `sources`, without any whose value contains one of the `secrets`."""
    hidden = [secret for secret in secrets if secret]
    values: dict[str, str] = {}
    missing: list[str] = []
    for name in names:
        if name not in sources:
            missing.append(f"COUNCIL_ENV names {name}, which is set neither in the environment nor in .env")
        elif any(secret in sources[name] for secret in hidden):
            missing.append(f"COUNCIL_ENV names {name}, which holds a secret of botctl: no program gets it")
        else:
            values[name] = sources[name]
    return NamedVariables(values, tuple(missing))
