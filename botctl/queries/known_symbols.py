"""The symbols that the database knows, and the trade that a symbol means."""

from typing import NamedTuple

from botctl.domain.errors import BadValue
from botctl.store.models import ACTIVE_TRADES, Decision, Trade


class KnownSymbols(NamedTuple):
    open: list[str]
    """Those of the open trades."""
    traded: list[str]
    """Those that were ever traded or decided on."""


def load_known_symbols() -> KnownSymbols:
    """From the open database."""
    open_now = [trade.symbol for trade in Trade.select(Trade.symbol).where(ACTIVE_TRADES).order_by(Trade.id)]
    traded = [row.symbol for table in (Trade, Decision) for row in table.select(table.symbol).distinct()]
    return KnownSymbols(open_now, sorted(set(traded)))


def find_trade_of(symbol: str) -> int:
    """The id of the open trade of a symbol, else of its newest one. Raises BadValue without any."""
    trades = Trade.select(Trade.id).where(Trade.symbol == symbol).order_by(Trade.id.desc())
    found: Trade | None = trades.where(ACTIVE_TRADES).first() or trades.first()
    if found is None:
        raise BadValue(f"there is no trade of {symbol}", hint="see `botctl trades`")
    return int(found.id)
