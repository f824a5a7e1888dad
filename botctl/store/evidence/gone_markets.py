"""The open trades whose market is gone, as the last look found them; kept between runs."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from botctl.domain.orders import TradeStatus
from botctl.domain.symbols import base_of
from botctl.store import key_value
from botctl.store.broken_rows import load_rows
from botctl.store.fields import parse_moment
from botctl.store.models import Trade
from botctl.store.rows import TradeRow

KEY = "markets.gone"


@dataclass(frozen=True)
class GoneMarket:
    trade_id: int
    symbol: str
    since: datetime

    def __str__(self) -> str:
        market = f"its market {self.symbol} is gone since {self.since:%Y-%m-%d %H:%M} UTC"
        return f"trade {self.trade_id}: {market}: see `botctl forget {self.trade_id}`"


def load_gone_markets() -> list[GoneMarket]:
    """Those of trades that are still open."""
    saved = key_value.load_parsed(KEY, _parse)
    if saved is None or not saved[0]:
        return []
    ids = [each.trade_id for each in saved[0]]
    still_open = {row.id for row in Trade.select(Trade.id).where(Trade.id.in_(ids), Trade.status == TradeStatus.OPEN)}
    return [each for each in saved[0] if each.trade_id in still_open]


def _parse(text: str) -> list[GoneMarket]:
    return [GoneMarket(int(trade_id), str(symbol), parse_moment(at)) for trade_id, symbol, at in json.loads(text)]


def gone_assets() -> set[str]:
    return {base_of(each.symbol) for each in load_gone_markets()}


def remember(trade: TradeRow, now: datetime) -> None:
    known = load_gone_markets()
    if trade.id not in {each.trade_id for each in known}:
        _save([*known, GoneMarket(trade.id, trade.symbol, now)])


def forget(trade_id: int) -> None:
    known = load_gone_markets()
    if trade_id in {each.trade_id for each in known}:
        _save([each for each in known if each.trade_id != trade_id])


def highest_prices(assets: Collection[str]) -> dict[str, tuple[str, float]]:
    """The symbol and the highest price of each asset's newest trade: what its coins may be worth at most."""
    rows: Iterable[Trade] = load_rows(
        Trade.select().where(Trade.asset.in_(list(assets)), Trade.high_price.is_null(False)).order_by(Trade.id)
    )
    return {row.asset: (row.symbol, row.high_price) for row in rows if row.high_price is not None}


def _save(gone: Iterable[GoneMarket]) -> None:
    key_value.save_cached(KEY, json.dumps([(each.trade_id, each.symbol, each.since.isoformat()) for each in gone]))
