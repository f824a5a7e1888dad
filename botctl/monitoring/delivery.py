"""A message for one address, and what delivers it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from botctl.domain.settings import Secret
from botctl.monitoring.alerts import Level


@dataclass(frozen=True)
class OutgoingMessage:
    """One message for one address."""

    url: Secret
    title: str
    body: str
    level: Level


class MessageSender(Protocol):
    """Delivers messages."""

    def deliver(self, messages: Sequence[OutgoingMessage]) -> list[str]:
        """For each of them why it was not delivered; empty when it was. Takes no longer than a fixed time, whatever the
        services behind do, and never raises."""
