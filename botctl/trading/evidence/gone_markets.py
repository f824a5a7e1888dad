"""Finds the market of an open trade, and says what happened to the coins of one whose market is gone. Sells nothing."""

from dataclasses import dataclass
from decimal import Decimal

from botctl.domain.account.holdings import find_missing, find_successors
from botctl.domain.errors import BadValue, BotError, ExchangeUnreachable, MarketGone
from botctl.domain.markets import Balances, Market
from botctl.domain.money import format_decimal
from botctl.domain.symbols import quote_of
from botctl.ports import Clock, Exchange
from botctl.store.evidence import gone_markets
from botctl.store.evidence.missing_coins import load_surplus
from botctl.store.journal import Journal
from botctl.store.rows import TradeRow


@dataclass
class TradeMarkets:
    """The markets of open trades. One that is gone closes no trade: only its owner's word does."""

    exchange: Exchange
    journal: Journal
    clock: Clock

    def is_listed(self, symbol: str) -> bool:
        """Whether the exchange's list has this market. A list that can't be had lacks nothing."""
        try:
            market = self.exchange.load_markets().get(symbol)
        except BotError:
            return True
        return market is not None and not market.delisted

    def find(self, trade: TradeRow, balances: Balances | None) -> Market:
        """The market to sell the trade in; one that is not listed is asked for again.

        Raises MarketGone when the exchange does not know it, and ExchangeUnreachable when it can't be asked.
        """
        market = self.exchange.load_markets().get(trade.symbol)
        return self.confirm(trade, balances) if market is None else market

    def confirm(self, trade: TradeRow, balances: Balances | None) -> Market:
        """As `find`, but a market that is listed as delisted is gone as well."""
        try:
            market = self.exchange.find_market(trade.symbol)
        except BadValue:
            market = None
        except BotError as error:
            raise ExchangeUnreachable(
                f"trade {trade.id}: {trade.symbol} is not in the exchange's list of markets, and asking again failed "
                f"({error.message})",
                hint=f"the next check asks again; if it is gone for good, see `botctl forget {trade.id}`",
            ) from error
        if market is not None and not market.delisted:
            gone_markets.forget(trade.id)
            return market
        gone_markets.remember(trade, self.clock.now())
        raise self._gone(trade, balances)

    def _gone(self, trade: TradeRow, balances: Balances | None) -> MarketGone:
        return MarketGone(
            f"trade {trade.id}: the market {trade.symbol} is gone (renamed or delisted); "
            + self._where_is(trade, balances),
            hint=f"sell or move the coins yourself, then `botctl forget {trade.id} --price PRICE` closes the trade, "
            "or without --price if you know none",
        )

    def _where_is(self, trade: TradeRow, balances: Balances | None) -> str:
        """What the balance says of the trade's coins."""
        amount, asset = format_decimal(trade.amount), trade.asset
        if balances is None:
            return f"whether its {amount} {asset} are there is unknown"
        expected = self.journal.expected_holdings()
        if not find_missing({asset: trade.amount}, balances):
            return f"its {amount} {asset} are in the account"
        held = f"the account holds {format_decimal(balances.total(asset))} of its {amount} {asset}"
        surplus = load_surplus()
        since = trade.entry_time or trade.created_at
        known = {each: found.amount for each, found in surplus.items() if found.at <= since}
        nothing = Decimal(0)
        explained = {each: expected.get(each, nothing) + known.get(each, nothing) for each in {*expected, *known}}
        gone = trade.amount - balances.total(asset)
        own = surplus[asset].amount if asset in surplus else nothing
        successors = find_successors({asset, quote_of(trade.symbol)}, {gone, gone + own}, balances, explained)
        if not successors:
            return held
        names = " or ".join(f"{format_decimal(amount)} {name}" for name, amount in successors.items())
        return f"{held}, and {names}, which it may have been renamed to"
