"""Coins that the exchange does not show though our own orders bought them, and since when; kept between runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.account.holdings import Missing
from botctl.domain.freshness import is_ahead, is_fresh
from botctl.domain.money import to_decimal
from botctl.store import key_value
from botctl.store.fields import parse_moment

MISSING_KEY = "holdings.missing"
SURPLUS_KEY = "holdings.surplus"
LASTS_AFTER = timedelta(minutes=15)
LOOKS_THAT_LAST = 2


@dataclass(frozen=True)
class MissingRecord:
    """One asset, as the runs since `since` saw it."""

    missing: Missing
    since: datetime
    seen_at: datetime
    looks: int
    least: Decimal
    """The smallest amount that was missing at any of these looks."""

    def lasts(self) -> bool:
        """Whether the coins were missing at several looks, the last of them long after the first."""
        return self.looks >= LOOKS_THAT_LAST and not is_fresh(self.since, self.seen_at, LASTS_AFTER)

    def seen_again(self, missing: Missing, now: datetime) -> "MissingRecord":
        if is_ahead(self.since, now):  # how long it has been missing is not known
            return first_seen(missing, now)
        least = min(self.least, missing.amount)
        return replace(self, missing=missing, seen_at=now, looks=self.looks + 1, least=least)


@dataclass(frozen=True)
class Surplus:
    """The owner's own coins of an asset: the balance above what open trades held, since the exchange's `at`."""

    amount: Decimal
    at: datetime
    fallen: Decimal = Decimal(0)
    """By how much they were more at the look before."""
    fallen_since: datetime | None = None
    """The exchange's time of that look."""
    explained: Decimal = Decimal(0)
    """How many coins were written off because of outside sales since `at`: a sale explains coins once."""

    def followed_by(self, amount: Decimal, at: datetime) -> "Surplus":
        """What a newer look has found."""
        return Surplus(amount, at, max(Decimal(0), self.amount + self.explained - amount), self.at)


def first_seen(missing: Missing, now: datetime) -> MissingRecord:
    return MissingRecord(missing, now, now, 1, missing.amount)


def load_missing() -> dict[str, MissingRecord]:
    """The unresolved contradictions by asset. Raises BotError: no entry may pass because they can't be read."""
    return _parse_missing(key_value.load(MISSING_KEY))


def load_missing_cached() -> dict[str, MissingRecord]:
    """As `load_missing`, empty when the table can't be read: that must not stop a sell."""
    return _parse_missing(key_value.load_cached(MISSING_KEY))


def save_missing(records: Mapping[str, MissingRecord]) -> None:
    """May fail: the next look finds them again."""
    key_value.save_cached(MISSING_KEY, json.dumps({asset: _columns(each) for asset, each in records.items()}))


def load_surplus() -> dict[str, Surplus]:
    saved = key_value.load_parsed(SURPLUS_KEY, _parse_surplus)
    return {} if saved is None else saved[0]


def save_surplus(surplus: Mapping[str, Surplus]) -> None:
    key_value.save_cached(SURPLUS_KEY, _surplus_as_text(surplus))


def mark_as_explained(asset: str, amount: Decimal, since: datetime) -> None:
    """Outside sales since the newest look, or without one since that moment, have explained so many coins.

    The caller holds the transaction.
    """
    surplus = load_surplus()
    seen = surplus.get(asset, Surplus(Decimal(0), since))
    key_value.save(SURPLUS_KEY, _surplus_as_text(surplus | {asset: replace(seen, explained=seen.explained + amount)}))


def _surplus_as_text(surplus: Mapping[str, Surplus]) -> str:
    return json.dumps(
        {
            asset: (
                str(each.amount), each.at.isoformat(), str(each.fallen),
                each.fallen_since and each.fallen_since.isoformat(), str(each.explained),
            )
            for asset, each in surplus.items()
        }
    )  # fmt: skip


def _columns(record: MissingRecord) -> list[str | int]:
    missing = record.missing
    return [
        str(missing.expected), str(missing.balance), record.since.isoformat(), record.seen_at.isoformat(),
        record.looks, str(record.least),
    ]  # fmt: skip


def _parse_surplus(text: str) -> dict[str, Surplus]:
    """What earlier versions saved ends after `at` or `fallen`."""
    return {
        asset: Surplus(
            to_decimal(amount), parse_moment(at), to_decimal((*rest, "0")[0]),
            parse_moment(rest[1]) if rest[1:] and rest[1] else None, to_decimal((*rest[2:], "0")[0]),
        )
        for asset, (amount, at, *rest) in json.loads(text).items()
    }  # fmt: skip


def _parse_missing(saved: tuple[str, datetime] | None) -> dict[str, MissingRecord]:
    found = None if saved is None else key_value.parsed(MISSING_KEY, saved, _parse_records)
    return {} if found is None else found[0]


def _parse_records(text: str) -> dict[str, MissingRecord]:
    return {
        asset: MissingRecord(
            Missing(asset, to_decimal(expected), to_decimal(balance)),
            parse_moment(since), parse_moment(seen_at), int(looks), to_decimal(least),
        )
        for asset, (expected, balance, since, seen_at, looks, least) in json.loads(text).items()
    }  # fmt: skip
