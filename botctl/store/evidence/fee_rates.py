"""The account's own fees, as Kraken last told them, and whether they are due to be asked again."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from botctl.domain.fees import FeeRates, PairFees
from botctl.domain.freshness import is_fresh
from botctl.domain.money import format_decimal
from botctl.store import key_value

KEY = "fees"
ASKED_EVERY = timedelta(days=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class AskedFees:
    """The fees by symbol, and the symbols that were asked for at `at`: an answer may have failed, or left some out."""

    known: Mapping[str, PairFees] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    at: datetime = LONG_AGO

    def is_due(self, symbols: Iterable[str], now: datetime) -> bool:
        return not (self.asked.issuperset(symbols) and is_fresh(self.at, now, ASKED_EVERY))


def load_asked_fees() -> AskedFees:
    """Without a row that can be read, nothing is known: that keeps nothing from being sold."""
    found = key_value.load_parsed(KEY, _parse)
    if found is None:
        return AskedFees()
    (known, asked), at = found
    return AskedFees(known, asked, at)


def save_asked_fees(fees: AskedFees) -> None:
    known = {symbol: [_text(pair.taker), _text(pair.maker)] for symbol, pair in fees.known.items()}
    key_value.save_cached(KEY, json.dumps({"known": known, "asked": sorted(fees.asked)}), fees.at)


def load_fee_rates(default: Decimal, *, own: bool) -> FeeRates:
    """The rates to reckon with; `own` where there is an account that has its own."""
    return FeeRates(default, load_asked_fees().known if own else {})


def _text(rate: Decimal | None) -> str | None:
    return None if rate is None else format_decimal(rate)


def _parse(text: str) -> tuple[dict[str, PairFees], frozenset[str]]:
    row = json.loads(text)
    known = {
        str(symbol): PairFees(Decimal(taker), None if maker is None else Decimal(maker))
        for symbol, (taker, maker) in row["known"].items()
    }
    return known, frozenset(map(str, row["asked"]))
