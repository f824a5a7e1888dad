"""Equity counts everything or is unknown; drawdown is measured from the initial balance."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.account.equity import calculate_drawdown, calculate_equity, valuation_symbols, value_of, value_range
from botctl.domain.markets import Balances, Holding, Market

CURRENCIES = ["USD", "BTC", "ETH", "DOT", "EUR", "KFEE"]
PRICES = {symbol: Decimal(price) for symbol, price in {"BTC/USD": "50000", "ETH/USD": "2500.5", "DOT/USD": "5"}.items()}
money = st.decimals(min_value="0.0001", max_value="1e9", places=4)
holdings = st.builds(
    lambda currency, form, total: Holding(currency, form, total, total),
    st.sampled_from(["USD", "BTC", "ETH", "DOT"]),
    st.sampled_from(["", "F", "B", "M", "S", "P"]),
    st.decimals(min_value="0", max_value="1e6", places=8),
)


def market(symbol: str) -> Market:
    base, quote = symbol.split("/")
    return Market(symbol, base, quote, base + quote, 8, 1, Decimal("0.0001"), Decimal("0.5"))


@given(money, money)
def test_the_drawdown_is_the_fraction_that_is_gone(equity: Decimal, initial: Decimal) -> None:
    drawdown = calculate_drawdown(equity, initial)

    assert (drawdown > 0, drawdown == 0, drawdown < 0) == (equity < initial, equity == initial, equity > initial)
    assert abs((1 - drawdown) * initial - equity) <= max(equity, initial) * Decimal("1e-20")


@given(money)
def test_exactly_a_fifth_down_is_exactly_a_fifth(initial: Decimal) -> None:
    assert calculate_drawdown(initial * Decimal("0.8"), initial) == Decimal("0.2")


@given(st.lists(holdings, max_size=12))
def test_equity_is_the_sum_of_all_forms_in_any_order(held: list[Holding]) -> None:
    equity, unvalued = calculate_equity(Balances(tuple(held)), "USD", PRICES)
    prices = {"USD": Decimal(1), **{symbol.split("/")[0]: price for symbol, price in PRICES.items()}}

    assert unvalued == ()
    assert equity == sum((h.total * prices[h.currency] for h in held), Decimal(0))
    assert calculate_equity(Balances(tuple(reversed(held))), "USD", PRICES)[0] == equity


@given(st.lists(holdings, max_size=5), st.decimals(min_value="0.00000001", max_value="10", places=8))
def test_one_coin_without_a_price_makes_the_whole_unknown(held: list[Holding], amount: Decimal) -> None:
    balances = Balances((*held, Holding("LUNA2", "", amount, amount)))

    assert calculate_equity(balances, "USD", PRICES) == (None, ("LUNA2",))


def test_a_coin_of_which_nothing_is_left_needs_no_price() -> None:
    balances = Balances((Holding("LUNA2", "", Decimal(0), Decimal(0)), Holding("USD", "", Decimal(5), Decimal(5))))

    assert calculate_equity(balances, "USD", {}) == (Decimal(5), ())


def test_an_inverse_market_values_too_and_fee_credits_are_worth_nothing() -> None:
    assert value_of("CHF", Decimal(90), "USD", {"USD/CHF": Decimal("0.9")}) == 100
    assert value_of("KFEE", Decimal(1000), "USD", {}) == 0
    assert value_of("CHF", Decimal(90), "USD", {}) is None


def test_the_symbols_to_ask_for_are_those_that_value_something() -> None:
    markets = {symbol: market(symbol) for symbol in ("BTC/USD", "BTC/EUR", "USD/CHF", "ETH/USD")}

    chosen = valuation_symbols(["USD", "BTC", "CHF", "LUNA2", "KFEE", "BTC"], "USD", markets)

    assert chosen == {"BTC": ("BTC/USD",), "CHF": ("USD/CHF",), "LUNA2": ()}


def test_two_markets_value_what_has_none_in_the_quote_currency() -> None:
    prices = {"COIN/EUR": Decimal(3), "EUR/USD": Decimal("1.1"), "USD/CHF": Decimal("0.5"), "RARE/CHF": Decimal(1)}

    assert valuation_symbols(["COIN", "RARE"], "USD", prices) == {"COIN": ("COIN/EUR", "EUR/USD"), "RARE": ()}
    assert value_of("COIN", Decimal(10), "USD", prices) == 33
    assert value_of("COIN", Decimal(10), "CHF", prices | {"EUR/CHF": Decimal(2)}) == 60
    assert value_range(
        {"COIN": [Decimal(10)]}, "USD", {name: [price, 2 * price] for name, price in prices.items()}
    ) == (
        33,
        132,
    )
