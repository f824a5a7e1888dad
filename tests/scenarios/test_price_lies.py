"""Prices that are not true: a lie for one answer costs nothing, a true crash confirms itself and sells at once."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from email.utils import formatdate

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Request
from tests.fake_kraken.faults import Reply
from tests.fake_kraken.lies import WrongCandles
from tests.quick import parametrize
from tests.scenarios.steps import (
    QUARTER,
    buy,
    council_says,
    output_of,
    requested_endpoints,
    sides,
    stopped_clock,
    trade_of,
)

FACTORS = ("0.001", "0.1", "0.5", "2", "10", "1000")
FIGURES = ("a", "b", "c", "abc")


@dataclass(frozen=True)
class Lie:
    symbol: str
    figures: str
    factor: str


def tell_each_lie(lies: list[Lie], kraken: FakeKraken, answers: int | None = None) -> None:
    for lie in lies:
        kraken.markets.lie_about(lie.symbol, lie.figures, lie.factor, answers)


@pytest.fixture(params=[("0.5", "2", "1000"), pytest.param(FACTORS, marks=pytest.mark.long)], ids=["some", "all"])
def lies(live: BotRunner, kraken: FakeKraken, request: pytest.FixtureRequest) -> list[Lie]:
    """A position at 1 with its stop at 0.98 for each figure of Ticker and each factor."""
    pairs = [(figures, factor) for figures in FIGURES for factor in request.param]
    symbols = kraken.markets.add_many(len(pairs))
    live.set(MAX_OPEN_TRADES="50", INITIAL_BALANCE="1")  # so that no drawdown guard comes first
    with stopped_clock() as clock:
        clock.tick(86_400)  # so that the new markets are read
        for symbol in symbols:
            buy(live, symbol, "10")
            clock.tick(20)
    return [Lie(symbol, *pair) for symbol, pair in zip(symbols, pairs, strict=True)]


def stops(live: BotRunner) -> dict[str, tuple[str, float, float]]:
    return {
        trade["symbol"]: (trade["status"], float(trade["stop_loss_price"]), float(trade["high_price"]))
        for trade in live.trades()
    }


@pytest.mark.usefixtures("bent_time")
def test_a_lie_for_one_answer_sells_nothing_and_moves_no_stop(
    live: BotRunner, kraken: FakeKraken, lies: list[Lie]
) -> None:
    before = stops(live)
    tell_each_lie(lies, kraken, answers=1)

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert stops(live) == before
    assert "sell" not in sides(kraken)


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_lie_for_a_minute_raises_no_stop_above_what_two_looks_saw(
    live: BotRunner, kraken: FakeKraken, lies: list[Lie]
) -> None:
    tell_each_lie(lies, kraken)

    for _ in range(2):
        live.run("check-positions")
    kraken.markets.tell_the_truth()
    live.run("check-positions")

    for lie in lies:
        status, stop, high = stops(live)[lie.symbol]
        whole = lie.figures == "abc"  # no other figure contradicts it
        highest = 2 if whole and lie.factor == "2" else 1
        assert stop <= high <= highest, lie
        assert status == "OPEN" or whole, lie


@pytest.mark.usefixtures("bent_time")
def test_a_true_crash_sells_everything_at_the_first_tick(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(INITIAL_BALANCE="100", SYMBOLS="BTC/USD,ETH/USD")
    council_says(live, "HOLD")
    for symbol, price in (("BTC/USD", 50000), ("ETH/USD", 2500)):
        buy(live, symbol)
        kraken.set_price(symbol, price * 6 // 10)
    kraken.clear_requests()

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert [trade["exit_reason"] for trade in live.trades()] == ["STOP_LOSS", "STOP_LOSS"]
    assert requested_endpoints(kraken).count("Ticker") == 2  # the second look is shared


@pytest.mark.usefixtures("bent_time")
def test_other_stops_do_not_wait_for_a_doubtful_price(live: BotRunner, kraken: FakeKraken) -> None:
    for symbol in ("BTC/USD", "ETH/USD"):
        buy(live, symbol)
    kraken.markets.lie_about("ETH/USD", "c", "0.1")
    kraken.set_price("BTC/USD", 48999)
    kraken.clear_requests()

    live.run("check-positions")

    asked = requested_endpoints(kraken)
    assert asked.index("AddOrder") < asked.index("Ticker", asked.index("Ticker") + 1)


@pytest.mark.usefixtures("bent_time")
def test_a_price_beyond_twice_the_newest_candles_high_moves_a_stop_once_the_candle_has_closed(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 150_000)

    early = live.run("check-positions")
    stop_before = float(trade_of(live)["stop_loss_price"])
    kraken.flat_candles("BTC/USD", 150_000, 500)
    with stopped_clock() as clock:
        clock.tick(QUARTER)  # so that the candles that were fetched are old
        late = live.run("check-positions")

    assert early.exit_code == 69
    assert "moves no stop: it is more than 2 times 50250" in early.stderr
    assert stop_before == 49000
    assert late.exit_code == 0, output_of(late)
    assert float(trade_of(live)["stop_loss_price"]) == 149_000


@pytest.mark.usefixtures("bent_time")
def test_a_last_trade_above_the_whole_book_is_looked_at_again_and_sold_by_the_ask(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 50000, bid=48800, ask=48900)
    kraken.clear_requests()

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert requested_endpoints(kraken).count("Ticker") == 2


def test_a_bid_below_the_stop_with_nothing_sold_is_said(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", "49000.1", bid=48000, ask=50000)

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert "the bid of BTC/USD, 48000, is below the stop of trade 1, 49000; its price is 49000.1" in run.stderr
    assert sides(kraken) == ["buy"]


# The answer's own date


def date_ticker(kraken: FakeKraken, ago: timedelta, answers: int) -> None:
    """The next Ticker answers carry an old date, as out of a cache."""
    left = [answers]

    def age(request: Request, reply: Reply) -> Reply:
        if request.endpoint != "Ticker" or left[0] == 0:
            return reply
        left[0] -= 1
        return replace(reply, date=formatdate(kraken.clock.now() - ago.total_seconds(), usegmt=True))

    kraken.alter_reply = age


@pytest.mark.usefixtures("bent_time")
@pytest.mark.parametrize(("answers", "code", "orders"), [(1, 0, ["buy", "sell"]), (9, 69, ["buy"])])
def test_an_answer_dated_two_hours_ago_is_no_price_however_often_it_comes(
    live: BotRunner, kraken: FakeKraken, answers: int, code: int, orders: list[str]
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    date_ticker(kraken, timedelta(hours=2), answers)

    run = live.run("check-positions")

    assert run.exit_code == code, output_of(run)
    assert sides(kraken) == orders
    assert "is dated 2:00:0" in run.stderr


def test_a_clock_of_this_machine_that_is_wrong_makes_no_price_old(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.clock.offset = 3600.0
    buy(live)
    kraken.clear_requests()

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert sorted(requested_endpoints(kraken)) == ["BalanceEx", "Ticker"]


# After a gap


@parametrize("absurd", [5, 500_000, 5_000, 50_000_000], quick=2)
def test_one_absurd_close_of_a_gap_neither_sells_nor_raises_a_stop(
    live: BotRunner, kraken: FakeKraken, absurd: int
) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(5 * QUARTER)
        kraken.set_candles("BTC/USD", [50000] * 150 + [50100, 50200, absurd, 50300, 50400])
        kraken.set_price("BTC/USD", 50400)

        run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    trade = trade_of(live)
    assert (trade["status"], float(trade["stop_loss_price"]), float(trade["high_price"])) == ("OPEN", 49000, 50400)


@parametrize("factor", [Decimal("0.5"), Decimal(2), Decimal("0.1"), Decimal(10)], quick=2)
def test_closes_that_do_not_lead_to_the_price_are_not_believed(
    live: BotRunner, kraken: FakeKraken, factor: Decimal
) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(5 * QUARTER)
        kraken.set_candles("BTC/USD", [50000 * factor] * 150)

        run = live.run("check-positions")

    assert run.exit_code == 69, output_of(run)
    assert "far from its price, 50000" in run.stderr
    assert float(trade_of(live)["stop_loss_price"]) == 49000
    assert sides(kraken) == ["buy"]


# Entries


def cost_of_buys(kraken: FakeKraken) -> list[Decimal]:
    return [order.cost for order in kraken.orders if order.side == "buy"]


@pytest.mark.usefixtures("bent_time")
@pytest.mark.parametrize("figures", FIGURES)
@pytest.mark.parametrize("factor", [pytest.param(each, marks=pytest.mark.long) for each in FACTORS[1:]] + ["0.001"])
def test_a_lie_buys_nothing_and_the_next_answer_buys_for_the_amount(
    live: BotRunner, kraken: FakeKraken, figures: str, factor: str
) -> None:
    kraken.markets.lie_about("BTC/USD", figures, factor)
    lasting = live.run("buy", "BTC/USD", "100", "--yes")
    kraken.markets.lie_about("BTC/USD", figures, factor, answers=1)
    passing = live.run("buy", "BTC/USD", "100", "--yes")

    assert (lasting.exit_code, passing.exit_code) == (1, 0), output_of(lasting) + output_of(passing)
    assert "is not believed" in lasting.stderr
    assert cost_of_buys(kraken) == [100]


def test_a_fill_far_above_the_amount_is_an_alarm(live: BotRunner, kraken: FakeKraken) -> None:
    def jump(request: Request) -> None:
        if request.endpoint == "AddOrder":
            kraken.set_price("BTC/USD", 53000)

    kraken.before = jump

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 1, output_of(run)
    assert "cost 106, more than 1.05 times the 100.00 that it costs at 50000" in run.stderr
    assert "FILLED" in run.stdout
    assert "overspent" in [event["kind"] for event in live.json("log")]


def test_a_stop_inside_the_spread_is_refused_with_figures(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 50000, bid=48500, ask=50000)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 3, output_of(run)
    assert "a stop at 49000 (ATR 500) would be inside the spread of 48500 to 50000" in run.stderr


def test_an_atr_above_a_third_of_the_price_is_refused_with_figures(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(ATR_MULTIPLE="1")
    kraken.flat_candles("BTC/USD", 50000, 20000)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 3, output_of(run)
    assert "an ATR of 20000 is more than a third of the price, 50000" in run.stderr


def test_the_entries_of_a_tick_are_confirmed_together_on_candles_fetched_once(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(SYMBOLS="BTC/USD,ETH/USD,SOL/USD")
    council_says(live, "BUY")
    kraken.clear_requests()

    run = live.run("tick")

    asked = requested_endpoints(kraken)
    assert run.exit_code == 0, output_of(run)
    assert sides(kraken) == ["buy", "buy", "buy"]
    counts = {name: asked.count(name) for name in ("OHLC", "AddOrder", "QueryOrders", "QueryTrades")}
    assert counts == {"OHLC": 3, "AddOrder": 3, "QueryOrders": 1, "QueryTrades": 1}


def test_candles_that_end_hours_ago_open_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    def lose_the_newest(request: Request, reply: Reply) -> Reply:
        if request.endpoint != "OHLC":
            return reply
        answer = json.loads(reply.body)
        answer["result"] = {name: rows[:-9] if name != "last" else rows for name, rows in answer["result"].items()}
        return replace(reply, body=json.dumps(answer).encode())

    kraken.flat_candles("BTC/USD", 50000, 500, count=200)
    kraken.alter_reply = lose_the_newest

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 69, output_of(run)
    assert "the newest candle of BTC/USD closed at" in run.stderr


@parametrize("factor", ["1.1", "0.9"], quick=1)
def test_missed_closes_that_decide_are_asked_for_twice(factor: str, live: BotRunner, kraken: FakeKraken) -> None:
    """They are within what the price may have done meanwhile, and one answer is one word."""
    with stopped_clock() as clock:
        buy(live)
        clock.tick(8 * QUARTER)
        prices = ("open", "high", "low", "close", "vwap")
        kraken.lies.tell(WrongCandles("BTC/USD", prices, Decimal(factor)), answers=1)

        amid = live.run("check-positions")

        assert amid.exit_code == 69, output_of(amid)
        assert "two answers, a few seconds apart, show different candles" in output_of(amid)
        assert stops(live) == {"BTC/USD": ("OPEN", 49000.0, 50000.0)}
        assert live.run("check-positions").exit_code == 0
        assert stops(live) == {"BTC/USD": ("OPEN", 49000.0, 50000.0)}
