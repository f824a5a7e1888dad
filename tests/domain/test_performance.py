"""Deposits and withdrawals are neither a gain nor a loss: they leave each drawdown as it is."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.account.performance import Holdings, Performance, notice_flows

START = datetime(2026, 1, 1, tzinfo=UTC)
EQUAL = Decimal("1e-15")
factors = st.decimals("0.2", "5", places=3)
flows = st.one_of(st.none(), st.decimals("0.05", "20", places=3))


@dataclass
class Account:
    """One that is judged at each price."""

    performance: Performance
    equity: Decimal

    def move(self, factor: Decimal) -> tuple[Decimal, Decimal]:
        self.equity *= factor
        self.performance = self.performance.seen_at(self.equity)
        return self.performance.drawdown_at(self.equity), self.performance.drawdown_from_peak(self.equity)

    def flow(self, factor: Decimal) -> None:
        self.performance = self.performance.after_flow(self.equity, self.equity * factor)
        self.equity *= factor


@given(st.lists(st.tuples(factors, flows), min_size=1, max_size=30))
def test_flows_anywhere_leave_every_later_drawdown_as_it_was(steps: list[tuple[Decimal, Decimal | None]]) -> None:
    """`factors` are what prices and fills made of the equity between two looks."""
    still, moved = (Account(Performance(Decimal(10000)), Decimal(9900)) for _ in range(2))

    for factor, flow in steps:
        assert all(abs(a - b) < EQUAL for a, b in zip(still.move(factor), moved.move(factor), strict=True))
        if flow is not None:
            moved.flow(flow)


@given(st.decimals("1", "1e9", places=4), st.decimals("1", "1e9", places=4))
def test_without_flows_it_is_exactly_one_less_the_share_of_the_initial_balance(
    equity: Decimal, initial: Decimal
) -> None:
    assert Performance(initial).drawdown_at(equity) == 1 - equity / initial


def test_an_account_that_is_emptied_and_filled_again_goes_on_where_it_was() -> None:
    account = Account(Performance(Decimal(10000)), Decimal(10000))
    account.move(Decimal("0.9"))
    account.flow(Decimal(0))
    empty = account.move(Decimal(1))
    account.performance = account.performance.after_flow(Decimal(0), Decimal(500))
    account.equity = Decimal(500)

    assert [pytest.approx(Decimal("0.1"), abs=EQUAL)] * 4 == [*empty, *account.move(Decimal(1))]
    assert account.performance.base * Decimal("0.9") == pytest.approx(Decimal(500), abs=EQUAL)


# What is a flow

PRICES = {"USD": Decimal(1), "BTC": Decimal(50000), "ETH": Decimal(2500)}
assets = st.dictionaries(st.sampled_from(sorted(PRICES)), st.decimals("0", "100", places=4))


def look(known: Holdings, shown: dict[str, Decimal], minutes: int, *, accept: bool = True) -> tuple[Holdings, Decimal]:
    """The holdings after a look, and what its flows made of a base of 1."""
    after, flows = notice_flows(
        known, shown, lambda name, amount: amount * PRICES[name], START + timedelta(minutes=minutes), accept=accept
    )
    performance = Performance(Decimal(1))
    for flow in flows:
        performance = performance.after_flow(flow.before, flow.after)
    return after, performance.base


def worth(amounts: dict[str, Decimal]) -> Decimal:
    return sum((amount * PRICES[name] for name, amount in amounts.items()), Decimal(0))


@given(assets, assets)
def test_whatever_lasts_is_believed_and_moves_the_base_with_the_equity(
    held: dict[str, Decimal], shown: dict[str, Decimal]
) -> None:
    held["USD"] = shown["USD"] = Decimal(1000)  # no flow is too small to be seen
    first, _ = look(Holdings(held), shown, 0)
    last, base = look(first, shown, 15)

    assert not last.pending
    assert {name: amount for name, amount in last.amounts.items() if amount} == {
        name: amount for name, amount in shown.items() if amount
    }
    total = look(Holdings(held), shown, 0)[1] * base
    assert total == pytest.approx(worth(shown) / worth(held), rel=Decimal("1e-5"))


@given(assets)
def test_a_balance_that_lies_for_less_than_a_quarter_of_an_hour_leaves_no_trace(shown: dict[str, Decimal]) -> None:
    held = {"USD": Decimal(1000), "BTC": Decimal(1), "ETH": Decimal(1)}
    lie = held | {name: amount * 5 + 3 for name, amount in shown.items()}  # never near what is held

    known, _ = look(Holdings(held), lie, 0)
    known, during = look(known, lie, 14)
    known, after = look(known, held, 20)

    assert (known, during, after) == (Holdings(held), 1, 1)


def test_fills_of_our_own_are_no_flow() -> None:
    held = {"USD": Decimal(1000), "BTC": Decimal(1)}
    bought = {"USD": Decimal("-502"), "BTC": Decimal("0.01")}
    shown = {"USD": Decimal(498), "BTC": Decimal("1.01")}

    assert look(Holdings(held).after_fills(bought), shown, 0) == (Holdings(shown), 1)


def test_while_nothing_is_certain_no_flow_counts() -> None:
    first, _ = look(Holdings({"USD": Decimal(1000)}), {"USD": Decimal(500)}, 0)

    assert look(first, {"USD": Decimal(500)}, 60, accept=False)[1] == 1


@pytest.mark.parametrize(
    ("usd", "btc", "eth"), [("700", "0", "0"), ("1000", "0.02", "0"), ("0", "0", "0.4"), ("9", "1", "2")]
)
def test_an_empty_answer_amid_a_flow_leaves_no_trace_in_the_base(usd: str, btc: str, eth: str) -> None:
    """A base of nothing would be a guard that never trips."""
    held = {"USD": Decimal(1000), "BTC": Decimal("0.01"), "ETH": Decimal(0)}
    moved = {"USD": Decimal(usd), "BTC": Decimal(btc), "ETH": Decimal(eth)}
    known = Holdings(held)
    for minute, shown in enumerate((moved, {}, moved)):
        known, _ = look(known, shown, minute)

    last, base = look(known, moved, 18)

    assert (last.amounts, last.pending) == (moved, {})
    assert base == pytest.approx(worth(moved) / worth(held), rel=Decimal("1e-20"))


def test_a_balance_that_is_missing_once_amid_two_flows_leaves_no_trace_in_the_base() -> None:
    known = Holdings({"USD": Decimal(1000), "BTC": Decimal(0), "ETH": Decimal(0)})
    deposited = {"USD": Decimal(1000), "BTC": Decimal(0), "ETH": Decimal("3.6")}
    moved = deposited | {"USD": Decimal(100)}
    for minute, shown in enumerate((deposited, moved, moved | {"ETH": Decimal(0)}, moved)):
        known, _ = look(known, shown, minute)

    last, base = look(known, moved, 18)

    assert (last.amounts, last.pending, base) == (moved, {}, Decimal("9.1"))
