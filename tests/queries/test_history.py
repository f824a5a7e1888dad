"""Long histories: a chart's prices are few, of every symbol, and end where the table does."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from botctl.queries.history import BLOCK, load_decided_prices, load_equity
from botctl.store.models import Decision, Tick, database
from tests.bot_runner import BotRunner

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_prices_of_a_long_table_are_a_sample_with_both_ends(bot: BotRunner) -> None:
    bot.json("status")
    bot.open_store()
    rows = [
        {
            "symbol": ("BTC/USD", "ETH/USD")[number % 2],
            "decided_at": START + timedelta(minutes=number),
            "decision": "HOLD",
            "reason": "",
            "verdicts": [],
            "price": Decimal(number + 1),
        }
        for number in range(4000)
    ]
    with database.atomic():
        Decision.insert_many(rows).execute()

    prices = load_decided_prices(limit=500)

    assert set(prices) == {"BTC/USD", "ETH/USD"}
    for symbol, first, last in (("BTC/USD", 1, 3999), ("ETH/USD", 2, 4000)):
        times, values = zip(*prices[symbol], strict=True)
        assert (values[0], values[-1]) == (first, last)
        assert list(times) == sorted(times)
        assert len(values) <= 250 + 2 * BLOCK
    assert sum(map(len, load_decided_prices().values())) == 4000


def test_a_tick_that_can_not_be_read_costs_no_other(bot: BotRunner) -> None:
    bot.json("status")
    bot.open_store()
    for number in range(3):
        Tick.create(
            at=START + timedelta(minutes=number), seconds=1.0, ok=True, exit_code=0, steps=[], equity=Decimal(100)
        )
    database.execute_sql("UPDATE tick SET equity = 'NaN' WHERE id = 1")
    database.execute_sql("UPDATE tick SET at = 'yesterday' WHERE id = 2")

    assert load_equity() == [(START + timedelta(minutes=2), 100.0, None)]
