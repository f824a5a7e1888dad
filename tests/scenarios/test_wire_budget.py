"""What a stop check costs on the wire, in which order it asks, and what it never loads before it sells."""

from pathlib import Path

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Request
from tests.scenarios.steps import buy, output_of, requested_endpoints, sides, stopped_clock

ONE_LOOK = ["BalanceEx", "Ticker"]
ONE_CONFIRMATION = ["QueryOrders", "QueryTrades"]
SLOW = ("pandas", "pandas_ta", "numba", "numpy")


@pytest.mark.long
def test_forty_positions_cost_one_look_and_every_stop_hit_one_more_call(live: BotRunner, kraken: FakeKraken) -> None:
    symbols = kraken.markets.add_many(40)
    live.set(MAX_OPEN_TRADES="50")
    with stopped_clock() as clock:
        clock.tick(86_400)  # so that the forty markets are read
        for symbol in symbols:
            buy(live, symbol, "10")
            clock.tick(20)  # Kraken's rate counter forgives
        assert len(live.positions()) == 40
        kraken.clear_requests()

        quiet = live.run("check-positions")
        on_a_quiet_visit = requested_endpoints(kraken)
        for symbol in symbols[:15]:
            kraken.set_price(symbol, "0.9")
        kraken.clear_requests()
        busy = live.run("check-positions")

    assert (quiet.exit_code, busy.exit_code) == (0, 0), output_of(busy)
    assert sorted(on_a_quiet_visit) == ONE_LOOK
    assert requested_endpoints(kraken)[2:] == ["AddOrder"] * 15 + ONE_CONFIRMATION
    assert sorted(requested_endpoints(kraken)[:2]) == ONE_LOOK
    assert sides(kraken).count("sell") == 15
    assert len(live.positions()) == 25


def test_one_position_costs_one_look_and_a_stop_hit_one_order_more(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.clear_requests()

    live.run("check-positions")
    quiet = requested_endpoints(kraken)
    kraken.set_price("BTC/USD", 48000)
    kraken.clear_requests()
    live.run("check-positions")

    assert sorted(quiet) == ONE_LOOK
    assert requested_endpoints(kraken)[2:] == ["AddOrder", *ONE_CONFIRMATION]
    assert sides(kraken) == ["buy", "sell"]


@pytest.mark.parametrize("command", ["tick", "check-positions"])
def test_a_visit_without_a_council_and_without_positions_costs_at_most_one_look(
    live: BotRunner, kraken: FakeKraken, command: str
) -> None:
    live.run("pause")

    run = live.run(command)

    assert run.exit_code == 0, output_of(run)
    assert set(requested_endpoints(kraken)) <= set(ONE_LOOK)
    assert len(requested_endpoints(kraken)) <= 2


def test_a_paused_tick_with_a_position_costs_one_look(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("pause")
    kraken.clear_requests()

    live.run("tick")

    assert sorted(requested_endpoints(kraken)) == ONE_LOOK


def test_the_stops_order_leaves_before_any_candle_is_asked_for(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    kraken.clear_requests()

    live.run("tick")

    asked = requested_endpoints(kraken)
    assert asked.index("AddOrder") < asked.index("OHLC")


def test_a_stop_check_never_loads_what_is_slow(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    live.set(PYTHONPROFILEIMPORTTIME="1")

    run = live.process("check-positions")

    loaded = {line.rsplit("|", 1)[1].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert sides(kraken) == ["buy", "sell"]
    assert "ccxt.kraken" in loaded
    assert "ccxt.binance" not in loaded
    assert not {name for name in loaded if name.split(".")[0] in SLOW}


@pytest.mark.long
def test_a_tick_without_a_council_loads_nothing_that_is_slow(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("pause")
    kraken.set_price("BTC/USD", 48999)
    live.set(PYTHONPROFILEIMPORTTIME="1")

    run = live.process("tick")

    loaded = {line.rsplit("|", 1)[1].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert sides(kraken) == ["buy", "sell"]
    assert "botctl.trading.risk" in loaded
    assert not {name for name in loaded if name.split(".")[0] in SLOW}


def test_pandas_is_loaded_for_the_council_and_after_the_stops_order(live: BotRunner, kraken: FakeKraken) -> None:
    """What a process has loaded shows in the map of its memory, which the hook reads while the process waits."""
    buy(live)
    live.set(SYMBOLS="BTC/USD,ETH/USD,SOL/USD")  # nobody is asked about BTC, which cools down
    kraken.set_price("BTC/USD", 48999)
    loaded: dict[str, bool] = {}
    peak: list[int] = []

    def read_memory_map(request: Request) -> None:
        memory = Path(f"/proc/{process.pid}/maps").read_text()
        loaded[request.endpoint] = any(f"/{name}" in memory for name in ("pandas", "numpy", "numba", "llvmlite"))
        peak.append(peak_of(process.pid))

    kraken.clear_requests()
    process = live.spawn("tick")
    kraken.before = read_memory_map
    _, said = process.communicate(timeout=60)
    kraken.before = None

    assert sides(kraken) == ["buy", "sell"], said
    assert loaded.pop("OHLC") is True  # the last symbol's candles, after the technical agent judged another
    assert not any(loaded.values())
    assert max(peak) < 200_000


def peak_of(pid: int) -> int:
    """The most memory that a process had so far, in kB."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


@pytest.mark.parametrize("command", ["tick", "check-positions"])
def test_resting_stops_cost_a_quiet_visit_one_request_for_all(
    live: BotRunner, kraken: FakeKraken, command: str
) -> None:
    live.set(EXCHANGE_STOP="on", SYMBOLS="BTC/USD,ETH/USD")
    for symbol in ("BTC/USD", "ETH/USD"):
        buy(live, symbol)
    live.run("pause")
    kraken.clear_requests()

    run = live.run(command)

    assert run.exit_code == 0, output_of(run)
    assert sorted(requested_endpoints(kraken)) == ["BalanceEx", "OpenOrders", "Ticker"]


@pytest.mark.usefixtures("bent_time")
def test_the_sells_of_hit_stops_leave_three_round_trips_after_the_start(live: BotRunner, kraken: FakeKraken) -> None:
    """One look, one cancel of all resting stops, one question how they ended: however many there are."""
    live.set(EXCHANGE_STOP="on", SYMBOLS="BTC/USD,ETH/USD")
    for symbol, price in (("BTC/USD", 48900), ("ETH/USD", 2445)):
        buy(live, symbol)
        kraken.set_price(symbol, price)
    kraken.clear_requests()

    run = live.run("check-positions")

    asked = requested_endpoints(kraken)
    assert run.exit_code == 0, output_of(run)
    assert sorted(asked[:2]) == ONE_LOOK
    assert asked[2:] == ["CancelOrderBatch", "QueryOrders", "AddOrder", "AddOrder", *ONE_CONFIRMATION]


def test_without_resting_stops_every_request_is_as_without_the_setting(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COOLDOWN_MINUTES="0")
    with stopped_clock():
        requests_of_a_trade(live, kraken)  # the first one asks for what is kept then
        absent = requests_of_a_trade(live, kraken)
        live.set(EXCHANGE_STOP="off")

        assert requests_of_a_trade(live, kraken) == absent
    assert {request[0] for request in absent} == {
        "AddOrder", "BalanceEx", "OHLC", "QueryOrders", "QueryTrades", "Ticker", "Time"
    }  # fmt: skip


OF_THE_MOMENT = ("nonce", "cl_ord_id", "deadline", "txid")


def requests_of_a_trade(live: BotRunner, kraken: FakeKraken) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """What one trade asks for, from its entry to its stop: but for what differs from moment to moment."""
    live.execute("DELETE FROM memory WHERE key IN ('kraken.clock')")
    kraken.clear_requests()
    for price, command in (
        (50000, "buy BTC/USD 100 --yes"),
        (50000, "check-positions"),
        (52000, "check-positions"),
        (52000, "sell BTC/USD 0.001 --yes"),
        (52000, "tick"),
        (50500, "check-positions"),
    ):
        kraken.set_price("BTC/USD", price)
        run = live.run(*command.split())
        assert run.exit_code == 0, output_of(run)
    return sorted(
        (
            request.endpoint,
            tuple(sorted((name, value) for name, value in request.params.items() if name not in OF_THE_MOMENT)),
        )
        for request in kraken.requests
    )
