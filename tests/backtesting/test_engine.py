"""The playback's floats stay with the paper broker's decimals, and what is shown is of the exact ones."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from botctl.backtesting.backtest import Backtest
from botctl.backtesting.exits import truncate_to_lot
from botctl.domain.candles import from_unix
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.costs import COST_DECIMALS
from botctl.domain.decisions import Stance
from botctl.domain.money import floor_to
from botctl.domain.sentiment import FixedSentiment
from tests.backtesting.bar_by_bar import run_every_bar
from tests.backtesting.histories import STEP, history_of, rising, run_backtest
from tests.backtesting.synthetic_histories import draw_history


@given(st.integers(1, 10**12), st.integers(1, 10**6))
@example(999_999_999_999, 4761)
def test_a_cost_of_whole_lots_is_cut_to_itself(lots: int, tenths: int) -> None:
    """Without slippage a cost is amount by price, often a whole number of lots, which its float may miss from below."""
    amount, price = Decimal(lots) / 10**8, Decimal(tenths) / 10

    cost = truncate_to_lot(lots * float(price))

    exact = float(floor_to(amount * price, COST_DECIMALS) * 10**COST_DECIMALS)
    coarse = exact >= 2**48  # a float of that size can't tell the last tenth of a lot from a whole one
    assert cost == exact or (coarse and abs(cost - exact) <= max(1, exact * 1e-14))


@pytest.mark.parametrize(("price", "decimals"), [(4e-6, 10), (30_000.0, 1)])
def test_the_curve_is_of_the_exact_trades_whatever_the_price(price: float, decimals: int) -> None:
    """At 0.000004 a product of floats misses a lot of each trade's cost."""
    history = draw_history(3, 300, price=price, decimals=decimals, volatility=0.01)
    values = {"QUOTE_CURRENCY": "USD", "COOLDOWN_MINUTES": "0", "ATR_PERIOD": "3", "TRADE_AMOUNT_USD": "133.37"}
    settings, fear = parse_settings(values), FixedSentiment(Stance.FEAR)

    run = Backtest([history], settings, fear).run()

    expected = [float(worth) for worth in run_every_bar([history], settings, fear).equity]
    traded = run.equity[run.timeline.first : run.timeline.last + 1]
    assert traded.tolist() == pytest.approx(expected, rel=1e-14)
    assert float(run.view.equity) == pytest.approx(expected[-1], rel=1e-14)
    assert run.view.trades


def test_an_order_of_the_last_bar_is_in_curve_drawdown_and_ratios() -> None:
    """Bought at the last bar with a fee of 10 %: 10 of 1000 are gone, the day's only loss."""
    rows = [*rising(114 + 200), (200.0, 200.0, 200.0, 200.0)]
    quiet = history_of([(1.0, 2.0, 0.5, 1.0)] * len(rows), "QUIET/USD")
    settings = parse_settings({"FEE_RATE": "0.1", "INITIAL_BALANCE": "1000", "ATR_PERIOD": "2"})
    histories = [history_of(rows), quiet]
    since = from_unix(histories[0].times[-2] + STEP)

    view = run_backtest(histories, settings, FixedSentiment(Stance.FEAR), since=since)

    [trade] = view.trades
    assert trade.entry_time == view.until == since
    assert view.equity_curve[-1].equity == pytest.approx(float(view.equity), rel=1e-14)
    assert float(view.max_drawdown) == pytest.approx(1 - float(view.equity) / 1000, rel=1e-12)
    assert view.equity < 990
