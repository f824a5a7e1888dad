"""One look: what else is held costs a second price call once, and a call that fails costs nobody else's answer."""

from decimal import Decimal

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import buy, output_of, requested_endpoints, sides


def check_drawdown(live: BotRunner, kraken: FakeKraken) -> list[str]:
    """The endpoints that one check of the drawdown requests."""
    kraken.clear_requests()
    run = live.run("drawdown", "--check")
    assert run.exit_code == 0, output_of(run)
    return sorted(requested_endpoints(kraken))


def test_what_is_newly_held_costs_a_second_price_call_once(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.balances["XETH"] = Decimal(1)
    kraken.balances["SOL"] = Decimal(2)

    first, second = check_drawdown(live, kraken), check_drawdown(live, kraken)
    equity = Decimal(live.json("drawdown", "--check")["equity"])
    del kraken.balances["SOL"]
    third, fourth = check_drawdown(live, kraken), check_drawdown(live, kraken)

    assert first == ["BalanceEx", "Ticker", "Ticker"]
    assert second == third == fourth == ["BalanceEx", "Ticker"]
    assert 12_790 < equity < 12_810


@pytest.mark.usefixtures("bent_time")
def test_prices_of_what_else_is_held_failing_costs_no_stop(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.balances["XETH"] = Decimal(1)
    kraken.set_price("BTC/USD", 48999)
    kraken.fault("Ticker", "status", times=99, skip=1)

    run = live.run("check-positions")

    assert run.exit_code == 69, output_of(run)
    assert sides(kraken) == ["buy", "sell"]


def test_a_trade_that_opens_or_closes_leaves_no_note_behind(live: BotRunner, kraken: FakeKraken) -> None:
    """Its symbol is asked for anyway; a note would be one more write before stops are sold."""
    buy(live)
    live.run("check-positions")
    kraken.set_price("BTC/USD", 48999)
    kraken.clear_requests()

    live.run("tick")

    live.open_store()
    from botctl.store import key_value
    from botctl.trading.snapshot import HELD_SYMBOLS_KEY

    assert key_value.load(HELD_SYMBOLS_KEY) is None
    assert requested_endpoints(kraken).count("Ticker") == 1
