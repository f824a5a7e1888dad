"""A tick that comes late catches up: n ticks and one late tick leave the same stop and reach the same verdict."""

import random
from collections.abc import Sequence

from freezegun.api import FrozenDateTimeFactory

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import QUARTER, buy, output_of, requested_endpoints, sides, stopped_clock, trade_of

PATHS: list[tuple[list[float], str]] = [
    ([51100, 53000, 52500, 54100, 53300, 53900], "None"),
    ([49500, 48900, 50400, 50300], "STOP_LOSS"),  # and back up: one late look at the price sees nothing
    ([51200, 52000, 50900, 52500, 53000], "TRAILING_STOP"),  # then the price runs away
    ([51200, 52000, 51600, 51400, 50900], "TRAILING_STOP"),
    ([50100, 49900, 50200], "None"),
    ([49400, 49100, 49001, 49300], "None"),
]


def zigzag(seed: int) -> list[float]:
    """A random walk of twelve closes."""
    chance, price = random.Random(seed), 50000.0
    return [price := price + chance.choice((-450, -200, 150, 300, 700)) for _ in range(12)]


def candles_end_with(kraken: FakeKraken, closes: Sequence[float]) -> None:
    kraken.set_candles("BTC/USD", [50000] * 150 + list(closes))


def tick_each_time(live: BotRunner, kraken: FakeKraken, clock: FrozenDateTimeFactory, closes: Sequence[float]) -> None:
    for close in closes:
        clock.tick(QUARTER)
        kraken.set_price("BTC/USD", close)
        live.run("check-positions")


def tick_once(live: BotRunner, kraken: FakeKraken, clock: FrozenDateTimeFactory, closes: Sequence[float]) -> None:
    clock.tick(QUARTER * len(closes))
    candles_end_with(kraken, closes)
    kraken.set_price("BTC/USD", closes[-1])
    live.run("check-positions")


def outcome(live: BotRunner) -> tuple[str, ...]:
    trade = trade_of(live)
    return tuple(str(trade[name]) for name in ("status", "exit_reason", "stop_loss_price", "high_price"))


def start_over(live: BotRunner, kraken: FakeKraken, clock: FrozenDateTimeFactory) -> None:
    """A fresh position at 50000 with an ATR of 500."""
    if live.positions():
        live.run("sell", "BTC/USD", "--yes")
    clock.tick(4 * QUARTER)
    kraken.set_price("BTC/USD", 50000)
    kraken.flat_candles("BTC/USD", 50000, 500)
    buy(live)


@parametrize(("closes", "reason"), [*PATHS, *((zigzag(seed), None) for seed in range(3))], quick=1)
def test_a_late_tick_leaves_what_timely_ticks_leave(
    live: BotRunner, kraken: FakeKraken, closes: list[float], reason: str | None
) -> None:
    live.set(COOLDOWN_MINUTES="0")
    with stopped_clock() as clock:
        start_over(live, kraken, clock)
        tick_each_time(live, kraken, clock, closes)
        timely = outcome(live)
        start_over(live, kraken, clock)
        tick_once(live, kraken, clock, closes)

        assert outcome(live) == timely
        assert len(live.trades()) == 2
        assert reason in (None, timely[1])


def test_a_stop_that_was_hit_while_nobody_looked_is_sold_though_the_price_is_back(
    live: BotRunner, kraken: FakeKraken
) -> None:
    with stopped_clock() as clock:
        buy(live)
        tick_once(live, kraken, clock, [49500, 48900, 50400, 50300])

        assert (trade_of(live)["status"], trade_of(live)["exit_reason"]) == ("CLOSED", "STOP_LOSS")


def test_candles_from_before_the_entry_play_no_part(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(4 * QUARTER)
        candles_end_with(kraken, [60000, 40000, 50100, 50200, 50100, 50000])
        live.run("check-positions")

        trade = trade_of(live)
        assert (trade["status"], float(trade["high_price"])) == ("OPEN", 50200)


def test_two_intervals_are_not_late_and_cost_no_candles(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        buy(live)
        kraken.clear_requests()
        clock.tick(2 * QUARTER)
        live.run("check-positions")
        in_time = requested_endpoints(kraken)
        clock.tick(2 * QUARTER + 1)
        live.run("check-positions")

        assert "OHLC" not in in_time
        assert requested_endpoints(kraken).count("OHLC") == 1


@parametrize(
    "fault",
    [
        {"kind": "status"},
        {"kind": "shape", "body": {"error": [], "result": {"last": 1}}},
        {"kind": "shape", "body": {"error": [], "result": {"XXBTZUSD": [["x"], ["y"]], "last": 1}}},
        {"kind": "error", "error": "EGeneral:Invalid arguments"},
    ],
    quick=1,
    ids=["down", "no candles", "no figures", "refused"],
)
def test_without_the_gaps_candles_nothing_moves_until_a_tick_can_replay_them(
    live: BotRunner, kraken: FakeKraken, fault: dict[str, str]
) -> None:
    closes = [49500, 48900, 52000, 51500]
    with stopped_clock() as clock:
        buy(live)
        clock.tick(QUARTER * len(closes))
        candles_end_with(kraken, closes)
        kraken.set_price("BTC/USD", 51500)
        kraken.fault("OHLC", times=4, **fault)  # type: ignore[arg-type]

        blind = live.run("check-positions")
        after = trade_of(live)
        kraken.clear_faults()
        clock.tick(QUARTER)
        candles_end_with(kraken, [*closes, 51600])
        seeing = live.run("check-positions")

        assert blind.exit_code != 0
        assert "Kraken" in blind.stderr
        assert (after["status"], after["stop_loss_price"], after["high_price"]) == ("OPEN", "49000.0", "50000.0")
        assert seeing.exit_code == 0, output_of(seeing)
        assert trade_of(live)["exit_reason"] == "STOP_LOSS"


def test_without_the_gaps_candles_the_stop_still_guards(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(4 * QUARTER)
        kraken.set_price("BTC/USD", 48999)
        kraken.fault("OHLC", "error", times=4, error="EGeneral:Invalid arguments")

        live.run("check-positions")

        assert trade_of(live)["exit_reason"] == "STOP_LOSS"
        assert sides(kraken) == ["buy", "sell"]


def test_one_symbols_missing_candles_keep_no_other_stop_from_firing(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        buy(live)
        buy(live, "ETH/USD")
        clock.tick(4 * QUARTER)
        kraken.set_price("ETH/USD", 2400)
        kraken.fault("OHLC", "error", error="EGeneral:Invalid arguments")

        run = live.run("check-positions")

        assert run.exit_code != 0
        assert (trade_of(live)["status"], trade_of(live, "ETH/USD")["exit_reason"]) == ("OPEN", "STOP_LOSS")


def test_missed_runs_are_counted_and_said_once(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        live.run("pause")
        live.run("tick")
        clock.tick(4 * QUARTER)
        late = live.run("tick")
        clock.tick(QUARTER)
        timely = live.run("tick")

        assert "3 runs were missed" in late.stderr
        assert "missed" not in timely.stderr
        assert live.json("status")["missed_ticks"] == 3
