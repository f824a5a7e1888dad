"""Orders of botctl at the exchange that this journal lacks, and when the two were compared; kept between runs."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import batched

from botctl.domain.symbols import base_of
from botctl.store import key_value
from botctl.store.fields import parse_moment
from botctl.store.models import Order

COMPARISON_KEY, UNRECORDED_KEY, RECOVERY_KEY = "journal.comparison", "journal.unrecorded", "journal.recovery"
MAX_IDS = 500
"""Ids in one statement: SQLite's limit can be as low as 999 parameters."""


@dataclass(frozen=True)
class UnrecordedOrder:
    """An order with a client order id of botctl that the journal lacks."""

    client_order_id: str
    symbol: str
    side: str
    opened_at: datetime
    examined: bool = False
    """Whether `recover --apply` has left it out of a trade that the journal has complete: exits go on then."""

    @property
    def asset(self) -> str:
        return base_of(self.symbol)


@dataclass(frozen=True)
class Comparison:
    """The last comparison of the journal with the exchange. Times are this machine's."""

    at: datetime | None = None
    pending: bool = False
    """Whether one was due and has not succeeded since: nothing is bought until it has."""
    put_back: bool = False
    """Whether it is due because the database is older than the last run: then nothing is sold either."""


@dataclass(frozen=True)
class Recovery:
    """The last `recover --apply`: orders that were opened between these times of the exchange are examined."""

    since: datetime
    at: datetime

    def covers(self, opened_at: datetime) -> bool:
        return self.since <= opened_at <= self.at


@dataclass(frozen=True)
class ExitBlock:
    """The assets of which nothing is sold, because the journal may be older than the exchange's records."""

    assets: frozenset[str]
    everything: bool = False

    def covers(self, asset: str) -> bool:
        return self.everything or asset in self.assets


def load_comparison() -> Comparison:
    """Raises BotError: no entry may pass because it can't be read. One that does not parse, or whose orders do not,
    is as if there had been none: the journal is compared anew."""
    saved = key_value.load(UNRECORDED_KEY)
    if saved is not None and key_value.parsed(UNRECORDED_KEY, saved, _parse_rows) is None:
        key_value.save(UNRECORDED_KEY, "[]")
        save_comparison(Comparison(None, pending=True))
    return _parse_comparison(key_value.load(COMPARISON_KEY))


def save_comparison(comparison: Comparison) -> None:
    at = comparison.at.isoformat() if comparison.at else None
    columns = {"at": at, "pending": comparison.pending, "put_back": comparison.put_back}
    key_value.save(COMPARISON_KEY, json.dumps(columns))


def mark_put_back() -> None:
    """The open database is older than the last run: it has to be compared before anything is traded."""
    save_comparison(Comparison(None, pending=True, put_back=True))


def load_unrecorded() -> list[UnrecordedOrder]:
    """Oldest first. Raises BotError, as `load_comparison`."""
    return _parse_orders(key_value.load(UNRECORDED_KEY))


def save_unrecorded(orders: Iterable[UnrecordedOrder]) -> None:
    rows = [asdict(each) | {"opened_at": each.opened_at.isoformat()} for each in orders]
    key_value.save(UNRECORDED_KEY, json.dumps(sorted(rows, key=lambda row: row["opened_at"])))


def load_exit_block() -> ExitBlock:
    """Empty when the table can't be read: that must not stop a sell."""
    orders = _parse_orders(key_value.load_cached(UNRECORDED_KEY))
    comparison = _parse_comparison(key_value.load_cached(COMPARISON_KEY))
    assets = frozenset(each.asset for each in orders if not each.examined)
    return ExitBlock(assets, comparison.pending and comparison.put_back)


def load_recovery() -> Recovery | None:
    saved = key_value.load(RECOVERY_KEY)
    found = None if saved is None else key_value.parsed(RECOVERY_KEY, saved, _parse_recovery)
    return None if found is None else found[0]


def _parse_recovery(text: str) -> Recovery:
    since, at = json.loads(text)
    return Recovery(parse_moment(since), parse_moment(at))


def save_recovery(recovery: Recovery) -> None:
    key_value.save(RECOVERY_KEY, json.dumps([recovery.since.isoformat(), recovery.at.isoformat()]))


def without_recorded(orders: Sequence[UnrecordedOrder]) -> list[UnrecordedOrder]:
    """Those of the orders that the journal lacks."""
    recorded = load_recorded_ids([each.client_order_id for each in orders])
    return [each for each in orders if each.client_order_id not in recorded]


def load_recorded_ids(client_order_ids: Collection[str]) -> set[str]:
    """Those of the client order ids that are in the journal."""
    found: set[str] = set()
    for ids in batched(client_order_ids, MAX_IDS):
        rows = Order.select(Order.client_order_id).where(Order.client_order_id.in_(ids))
        found |= {str(row.client_order_id) for row in rows}
    return found


def _parse_comparison(saved: tuple[str, datetime] | None) -> Comparison:
    found = None if saved is None else key_value.parsed(COMPARISON_KEY, saved, _parse_columns)
    return Comparison() if found is None else found[0]


def _parse_columns(text: str) -> Comparison:
    columns = json.loads(text)
    at = parse_moment(columns["at"]) if columns["at"] else None
    return Comparison(at, bool(columns["pending"]), bool(columns["put_back"]))


def _parse_orders(saved: tuple[str, datetime] | None) -> list[UnrecordedOrder]:
    found = None if saved is None else key_value.parsed(UNRECORDED_KEY, saved, _parse_rows)
    return [] if found is None else found[0]


def _parse_rows(text: str) -> list[UnrecordedOrder]:
    return [
        UnrecordedOrder(
            str(row["client_order_id"]), str(row["symbol"]), str(row["side"]), parse_moment(row["opened_at"]),
            bool(row.get("examined")),
        )
        for row in json.loads(text)
    ]  # fmt: skip
