"""Whom there is no point in asking: an answer that could neither buy nor sell costs time, and often money."""

from botctl.domain.errors import ConfigError, Refused
from botctl.domain.symbols import base_of
from botctl.ports import Clock
from botctl.trading.pre_trade_checks import PreTradeChecks


def why_not_asked(checks: PreTradeChecks, clock: Clock, symbol: str, *, why_no_buys: str, leaving: int) -> str:
    """Why no decision on `symbol` could matter now; empty when one could.

    An open trade can always be sold. `leaving` is how many trades this tick's decisions sell before it buys. Raises
    BrokenRow when the asset's trade can't be read.
    """
    trade = checks.journal.active_trade(base_of(symbol))
    if trade is not None and trade.entry_price is not None:
        return ""
    if why_no_buys:
        return why_no_buys
    try:
        checks.check(symbol, clock.now(), leaving=leaving)
    except (Refused, ConfigError) as error:
        return error.message
    return ""
