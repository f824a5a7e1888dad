"""Tables fit 80 columns, whatever the figures; no figure and no word in them is broken in two."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from botctl.store.database import close_database
from botctl.store.models import Decision, Order, Trade
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
LONG = {
    "FARTCOIN/USD": ("12345678.12345678", "0.00001234567", "-1234.56"),
    "BTC/USD": ("12.34567891", "104321.98765", "+98765.43"),
    "ETH/USD": ("1234.56789012", "4321.98765", "-12345.67"),
}


@pytest.fixture
def long_numbers(bot: BotRunner) -> BotRunner:
    """A demo home whose trades, orders and decisions are as wide as they come."""
    bot.json("status")
    bot.open_store()
    for number, (symbol, (amount, price, pnl)) in enumerate(LONG.items(), 1):
        for status in ("CLOSED", "OPEN"):
            trade = write_trade(12340 + 2 * number + (status == "OPEN"), symbol, amount, price, pnl, status)
            number_of_order = 54320 + 2 * number + (status == "OPEN")
            write_order(number_of_order, trade, "CANCELED", "a long story of what happened at the exchange " * 4)
        Decision.create(
            symbol=symbol,
            decided_at=NOON,
            decision="HOLD",
            reason="for many reasons " * 12,
            verdicts=[{"agent": "an_agent_with_a_long_name", "stance": "UNKNOWN", "reason": "so [it] said " * 20}],
            outcome="refused: " + "x" * 100,
            price=Decimal(price),
        )
    close_database()
    return bot


@parametrize(
    "command",
    [
        ("trades",),
        ("positions",),
        ("positions", "--live"),
        ("orders",),
        ("why", "FARTCOIN/USD"),
        ("why", "BTC/USD"),
        ("status",),
        ("check-positions",),
        ("drawdown", "--check"),
        ("balance",),
        ("doctor",),
        ("init",),
    ],
    quick=5,
)
def test_a_table_with_long_figures_fits_80_columns(long_numbers: BotRunner, command: tuple[str, ...]) -> None:
    run = long_numbers.run(*command)

    assert run.stdout.strip()
    assert max(map(len, run.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", ["trades", "positions", "orders"])
@pytest.mark.parametrize(
    ("symbol", "amount", "price"),
    [
        ("BTC/USD", "0.00156095", "104321.98"),
        ("ETH/USD", "0.03849173", "4321.98"),
        ("DOGE/USD", "1234.56789012", "0.123456"),
    ],
)
def test_an_everyday_figure_is_never_broken_across_lines(
    bot: BotRunner, command: str, symbol: str, amount: str, price: str
) -> None:
    bot.json("status")
    bot.open_store()
    trade = write_trade(123, symbol, amount, price, "-1.65", "CLOSED" if command == "trades" else "OPEN")
    write_order(456, trade, "FILLED")
    close_database()

    shown = bot.run(command).stdout

    figures = (
        [symbol, f"{Decimal(price):,}"]
        if command == "trades"
        else [symbol, f"{Decimal(amount):,}", f"{Decimal(price):,}"]
    )
    assert [figure for figure in figures if figure not in shown] == []  # trades may shorten what was traded


@pytest.mark.parametrize("amount", ["4050000.12345", "123456.7", "0.00005", "12.34567891"])
def test_the_table_of_trades_shows_an_amount_without_exponent(bot: BotRunner, amount: str) -> None:
    bot.json("status")
    bot.open_store()
    write_trade(1, "SHIB/USD", amount, "0.1234", "-1.65", "CLOSED")
    close_database()

    shown = bot.run("trades").stdout

    assert amount[:5] in shown.replace(",", "")
    assert not re.search(r"\de[+-]\d", shown)


@pytest.mark.parametrize(
    "reason", ["STOP_LOSS", "BREAKEVEN", "TRAILING_STOP", "COUNCIL", "MANUAL", "DRAWDOWN", "LIQUIDATION", "EXTERNAL"]
)
def test_the_reason_of_an_exit_can_be_grepped(bot: BotRunner, reason: str) -> None:
    bot.json("status")
    bot.open_store()
    trade = write_trade(1, "BTC/USD", "0.00156095", "64321.98", "-1.23", "CLOSED")
    Trade.update(exit_reason=reason).where(Trade.id == trade.id).execute()
    close_database()

    assert reason in bot.run("trades").stdout


def test_the_demos_own_table_fits_80_columns(bot: BotRunner) -> None:
    run = bot.run("demo", "--ticks", "20")

    assert run.exit_code == 0
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert "20 ticks" in run.stdout


def test_a_balance_of_many_digits_fits_80_columns(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.balances |= {"XXDG": Decimal("123456789012.12345678"), "ZUSD": Decimal("98765432109.8765")}

    shown = live.run("balance").stdout

    assert "123,456,789,012.12345678" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_an_outcome_of_the_journal_with_brackets_is_shown_as_it_is(long_numbers: BotRunner) -> None:
    """Rich reads [words] as markup: what an exchange or an agent says must not vanish or break the table."""
    assert "so [it] said" in long_numbers.run("why", "BTC/USD").stdout


@pytest.mark.parametrize("said", ["EOrder:[/red]", "[bold]", "no [it] is"])
def test_the_exchanges_own_words_survive_the_table_of_orders(bot: BotRunner, said: str) -> None:
    bot.json("status")
    bot.open_store()
    trade = write_trade(1, "BTC/USD", "1", "100", "1", "CLOSED")
    write_order(1, trade, "REJECTED", said)
    close_database()

    run = bot.run("orders")

    assert run.exit_code == 0, run.stderr
    assert said in run.stdout


@pytest.mark.parametrize("reason", ["[/]", "exchange is [down]", "[red]"])
def test_the_reason_of_a_pause_survives_the_output(bot: BotRunner, reason: str) -> None:
    run = bot.run("pause", "--reason", reason)

    assert run.exit_code == 0, run.stderr
    assert reason in run.stdout
    assert reason in bot.run("status").stdout


def write_trade(number: int, symbol: str, amount: str, price: str, pnl: str, status: str) -> Trade:
    closed = status == "CLOSED"
    trade: Trade = Trade.create(
        id=number,
        symbol=symbol,
        asset=symbol.split("/")[0],
        mode="demo",
        status=status,
        created_at=NOON,
        amount=Decimal(amount),
        entry_amount=Decimal(amount),
        entry_price=Decimal(price),
        entry_cost=Decimal(price) * Decimal(amount),
        entry_fee=Decimal("0.4"),
        entry_time=NOON,
        atr=float(price) / 100,
        stop_loss_price=float(price) * 0.987654321,
        high_price=float(price) * 1.0123456789,
        checked_at=NOON,
        sold_amount=Decimal(amount) if closed else Decimal(0),
        exit_price=Decimal(price) if closed else None,
        exit_reason="TRAILING_STOP" if closed else None,
        exit_time=NOON + timedelta(hours=1) if closed else None,
        pnl=Decimal(pnl) if closed else None,
    )
    return trade


def write_order(number: int, trade: Trade, state: str, error: str | None = None) -> None:
    Order.create(
        id=number,
        client_order_id=f"{number}-0000-4000-8000-000000000000",
        exchange_order_id="OABCDE-FGHIJ-KLMNOP",
        trade=trade,
        side="buy",
        symbol=trade.symbol,
        state=state,
        amount=trade.amount,
        cost=trade.entry_cost,
        filled=trade.amount,
        average_price=trade.entry_price,
        fee=Decimal("0.4"),
        deadline=NOON,
        created_at=NOON,
        error=error,
    )
