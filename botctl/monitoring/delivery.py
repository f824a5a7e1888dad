"""A message for one address, and what delivers it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from botctl.domain.settings import Secret
from botctl.monitoring.alerts import Level


@dataclass(frozen=True)
class Letter:
    """One message for one address."""

    url: Secret
    title: str
    body: str
    level: Level


class Courier(Protocol):
    """Delivers messages."""

    def deliver(self, letters: Sequence[Letter]) -> list[str]:
        """For each of them why it was not delivered; empty when it was. Takes no longer than a fixed time, whatever the
        services behind do, and never raises."""
