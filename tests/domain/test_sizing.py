"""A size by risk loses no more at its stop than it may, and no entry costs more than a limit, whatever the figures."""

from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from botctl.backtesting.jit import compiled
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.costs import cost_and_fee, fill_price
from botctl.domain.errors import ConfigError
from botctl.domain.money import floor_to
from botctl.domain.orders import Side
from botctl.domain.sizing import AccountFigures, Allocation, SizeRule, entry_budget, round_down

prices = st.floats(min_value=1e-6, max_value=1e6)
money = st.floats(min_value=1.0, max_value=1e8)
shares = st.floats(min_value=0.001, max_value=1.0)
rates = st.floats(min_value=0.0, max_value=0.05)
limits = st.one_of(st.just(0.0), money)
fractions = st.one_of(st.just(0.0), shares)


@st.composite
def entries(draw: st.DrawFn) -> tuple[SizeRule, AccountFigures, float, float, float]:
    """A rule by risk or with an amount, an account, and the ask, the distance of the stop and the fee of an entry."""
    ask = draw(prices)
    distance, slippage = ask * draw(st.floats(min_value=0.0005, max_value=0.9)), draw(rates)
    rule = SizeRule(
        amount=draw(money), risk=draw(st.one_of(st.just(0.0), st.floats(0.0001, 0.2))), max_amount=draw(limits),
        max_exposure=draw(fractions), allocation=Allocation((("BTC", Decimal(repr(draw(shares)))),)),
        slippage=slippage, exit_slippage=draw(rates),
    )  # fmt: skip
    equity = draw(money)
    account = AccountFigures(equity, equity * draw(shares), equity * draw(shares), 1.0)
    return rule, account, ask, distance, draw(rates)


@given(entries(), st.integers(min_value=0, max_value=8))
def test_a_stop_loses_no_more_than_the_risk_and_no_cost_is_above_a_limit(
    entry: tuple[SizeRule, AccountFigures, float, float, float], lot_decimals: int
) -> None:
    """The order is planned as a tick plans it, and filled and sold at its stop by the paper broker's arithmetic."""
    rule, account, ask, distance, fee = entry
    budget = Decimal(repr(rule.budget("BTC", ask, distance, fee, account)))
    asked, rate = Decimal(repr(ask)), Decimal(repr(fee))
    amount = floor_to(budget / asked, lot_decimals)
    assume(amount > 0)

    price = fill_price(Side.BUY, asked, Decimal(repr(rule.slippage)))
    cost, paid = cost_and_fee(amount, price, rate)
    stop = price - Decimal(repr(distance))
    proceeds, charged = cost_and_fee(amount, fill_price(Side.SELL, stop, Decimal(repr(rule.exit_slippage))), rate)

    digits = Decimal("1e-7") + cost * Decimal("1e-12")  # what the paper broker cuts off, and floats
    if rule.risk:
        assert cost + paid - proceeds + charged <= Decimal(rule.risk) * Decimal(account.equity) + digits
        assert cost + paid <= Decimal(account.cash) + digits
    else:
        assert budget <= Decimal(repr(rule.amount))
    assert cost <= Decimal(rule.allocation.share("BTC")) * Decimal(account.equity) + digits
    assert not rule.max_amount or cost <= Decimal(rule.max_amount) + digits
    if rule.max_exposure:
        assert cost <= max(0, Decimal(rule.max_exposure) * Decimal(account.equity) - Decimal(account.exposure)) + digits


@given(entries())
def test_nothing_but_a_limit_makes_it_smaller(entry: tuple[SizeRule, AccountFigures, float, float, float]) -> None:
    rule, account, ask, distance, fee = entry

    limits = rule.limits("BTC", ask, distance, fee, account)

    budget = rule.budget("BTC", ask, distance, fee, account)
    if budget:
        assert budget == pytest.approx(limits[0].budget, rel=1e-12, abs=1e-6 * account.equity)
        assert budget <= limits[0].budget * (1 + 1e-12) + 1e-13 * account.equity
    else:
        assert limits[0].budget < 0.01 * limits[1].budget + 1e-6 * account.equity


@pytest.mark.long
@settings(max_examples=300)
@given(entries())
def test_compiled_it_gives_the_very_same_figure(entry: tuple[SizeRule, AccountFigures, float, float, float]) -> None:
    rule, account, ask, distance, fee = entry
    figures = (
        rule.amount, rule.risk, account.equity, account.exposure, account.cash, ask, distance, fee, rule.slippage,
        rule.exit_slippage, rule.max_amount, rule.max_exposure, rule.allocation.share("BTC"),
    )  # fmt: skip

    assert vars(compiled())["entry_budget"](*figures) == entry_budget(*figures)


@given(st.floats(min_value=1.0, max_value=1e9), st.floats(min_value=0.0, max_value=1.0))
def test_a_size_by_the_equity_has_few_digits(equity: float, part: float) -> None:
    """So the last lots of a cash that was added up in another order change no size, but for one at the very edge."""
    budget = round_down(part * equity, equity)

    assert part * equity - 1e-6 * max(equity, 1e6) <= budget <= part * equity + 1e-12 * equity
    assert Decimal(repr(budget)) % min(Decimal(1), Decimal(1).scaleb(Decimal(equity).adjusted() - 7)) == 0


def test_a_whole_figure_that_a_sum_has_just_missed_is_that_figure() -> None:
    assert round_down(99.99999999999999, 10_000) == round_down(100.0009, 10_000) == 100.0
    assert (round_down(0.0, 1), round_down(-5.0, 1), round_down(5.0, 0.0)) == (0, 0, 0)


def test_the_last_cents_of_the_cash_are_no_entry() -> None:
    """Less than a hundredth of what an entry would be otherwise; the limits that never change count as given."""
    rule = SizeRule(amount=0.0, risk=0.01, max_exposure=0.5)
    budgets = [
        rule.budget("BTC", 100.0, 10.0, 0.0, AccountFigures(10_000, exposure, cash, 1))
        for exposure, cash in ((0, 10_000), (0, 10), (0, 9.99), (4990, 5000), (4990.01, 5000))
    ]

    assert budgets == [1000, 10, 0, 10, 0]


def test_the_example_of_the_docs() -> None:
    """0.5 % of 10,000 at 50,000, the stop 1,000 below: a BTC loses 1,865.35 with all its costs, 0.0268046 lose 50."""
    rule = parse_settings({"SIZING": "risk", "RISK_PER_TRADE": "0.5%"}).size_rule
    account = AccountFigures(10_000, 0, 10_000, 1)

    budget = rule.budget("BTC", 50_000, 1_000, 0.008, account)

    assert budget == 1340.231


# The settings


def test_a_size_by_risk_needs_its_risk() -> None:
    with pytest.raises(ConfigError, match="SIZING=risk needs RISK_PER_TRADE"):
        parse_settings({"SIZING": "risk"})


def test_a_risk_that_one_stop_would_trip_the_guard_with_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"RISK_PER_TRADE=0\.5 must be below MAX_DRAWDOWN, 0\.2: one stop"):
        parse_settings({"RISK_PER_TRADE": "0.5"})


def test_fractions_are_written_either_way_and_assets_by_either_name() -> None:
    parsed = parse_settings({"RISK_PER_TRADE": "0.5 %", "MAX_EXPOSURE": "80%", "ALLOCATION": "xbt:50%, ETH:0.3"})

    assert (parsed.risk_per_trade, parsed.max_exposure) == (Decimal("0.005"), Decimal("0.8"))
    assert str(parsed.allocation) == "BTC:0.5,ETH:0.3"
    rule = parsed.size_rule
    assert [rule.allocation.share(asset) for asset in ("BTC", "ETH", "SOL")] == [0.5, 0.3, 0.0]
    assert rule.risk == 0  # not before SIZING says so
