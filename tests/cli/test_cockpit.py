"""`status` as a cockpit: at every width no line is too long and no figure is broken, and each state is in words."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from botctl.cli.commands.watch import _fitting
from botctl.cli.styled import plain
from botctl.cli.views.status import Screen, cockpit_lines
from botctl.queries.cockpit import AlarmView, Cockpit, CockpitPosition, EquityAt
from botctl.queries.portfolio import StatusView
from botctl.queries.positions import TradeRecord, live_position

NOW = datetime(2026, 11, 27, 15, 2, tzinfo=UTC)
WIDTHS = (60, 80, 100, 120, 220)
QUIET = timedelta(minutes=23)


def position(symbol: str, price: str, stop: float | None, *, entry: str, high: float, **more: Any) -> CockpitPosition:
    cost = Decimal(1000)
    trade = TradeRecord(
        id=1, symbol=symbol, asset=symbol.split("/")[0], mode="live", status="OPEN", amount=cost / Decimal(entry),
        entry_price=Decimal(entry), entry_cost=cost, entry_fee=Decimal(8), entry_time=NOW - timedelta(days=1),
        atr=None, stop_loss_price=stop, high_price=high,
        resting_trigger=more.pop("resting_trigger", None), unprotected=more.pop("unprotected", None),
    )  # fmt: skip
    live, there = (live_position(trade, Decimal(each), Decimal("0.008")) for each in (price, str(stop or 0)))
    values: dict[str, Any] = {
        "price_at": NOW - timedelta(minutes=2), "stop_distance": live.stop_distance,
        "pnl_at_stop": None if stop is None else there.net_pnl, "unguarded": "",
    }  # fmt: skip
    return CockpitPosition(live=live, **values | more)


POSITIONS = [
    position("BTC/USD", "52340.1", 51227.0, entry="51800", high=52900.0, resting_trigger=Decimal("50727.5")),
    position("ETH/USD", "2011.5", 2009.9, entry="2105.11", high=2140.0, unprotected="none"),
    position("DOGE/USD", "0.000123456", 0.000131, entry="0.00014", high=0.00015, price_at=NOW - timedelta(hours=5)),
    position("1000PEPE/USDT", "1234567.89", None, entry="1200000", high=1300000.0, unguarded="no stop"),
]


def status(**more: Any) -> StatusView:
    values: dict[str, Any] = {
        "mode": "live", "system_status": "ACTIVE", "frozen": False, "buy_enabled": True, "is_trading_active": True,
        "tripped_at": None, "initial_balance": Decimal(10000), "equity": Decimal("1234567.895"),
        "drawdown": Decimal("0.1672"), "drawdown_peak": Decimal("0.1744"), "open_trades": 4, "unsettled_orders": 0,
        "last_tick_at": NOW - timedelta(minutes=2), "last_tick_ok": True, "missed_ticks": 0, "scheduled_by": "cron",
    }  # fmt: skip
    return StatusView(**values | more)


def cockpit(**more: Any) -> Cockpit:
    values: dict[str, Any] = {
        "status": status(), "home": "/home/someone/with/a/long/path/to/the/folder/of/the/bot", "quote_currency": "USD",
        "at": NOW, "switch": "Active. Buys are allowed. Each tick checks the stops.", "positions": POSITIONS,
        "equity_at": NOW,
        "equity_curve": [EquityAt(NOW - timedelta(days=240 - day), Decimal(10000 + day * day)) for day in range(240)],
        "base": Decimal(10000), "max_drawdown": Decimal("0.2"), "max_drawdown_peak": Decimal("0.25"),
        "cash": Decimal("987654.32"), "last_tick_exit_code": 0, "last_tick_error": "",
        "next_tick_at": NOW + timedelta(minutes=13), "tick_seconds": 900, "exchange_stop": True, "alarms": [],
    }  # fmt: skip
    return Cockpit(**values | more)


TROUBLE = cockpit(
    switch="FROZEN since 14:02 UTC (on holiday). No stop is checked and no order is sent: 4 open positions are NOT "
    "guarded. `botctl resume` ends it.",
    status=status(
        frozen=True, system_status="PAUSED", last_tick_ok=False, unsettled_orders=1, missed_ticks=12,
        running="tick, process 4242 on host, since 2026-11-27 02:15 UTC",
        overdue="no tick for 24 min, expected every 15: is cron running?",
    ),
    last_tick_exit_code=69,
    last_tick_error="can't reach Kraken at api.kraken.com: it answers HTTP 502",
    alarms=[
        AlarmView("unguarded", "4 open positions are unguarded: BTC/USD (trade 1, frozen)", NOW - timedelta(hours=3)),
        AlarmView("backup", "there is no copy of today: the disk is full", None),
    ],
)  # fmt: skip
NEWBORN = cockpit(
    status=status(mode="demo", equity=None, drawdown=None, last_tick_at=None, last_tick_ok=None, scheduled_by=None),
    positions=[], equity_curve=[], cash=None, next_tick_at=None,
)  # fmt: skip


def drawn(view: Cockpit, width: int = 80, *, letters: bool = True) -> str:
    return plain(cockpit_lines(view, Screen(width, letters, QUIET)))


@pytest.mark.parametrize("letters", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("view", [cockpit(), TROUBLE, NEWBORN], ids=["well", "trouble", "newborn"])
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_broken(view: Cockpit, width: int, letters: bool) -> None:
    said = drawn(view, width, letters=letters)

    assert max(map(len, said.splitlines())) <= width
    assert letters or said.isascii()
    assert not re.search(r"[0-9]\n *(?:%|USD\b|min\b|[0-9.,])", said)
    whole = drawn(view, 220)
    assert set(re.findall(r"[+-]?[0-9][0-9.,]+[0-9]", whole)) == set(re.findall(r"[+-]?[0-9][0-9.,]+[0-9]", said))


def test_each_state_is_in_words_and_not_in_colour_alone() -> None:
    said = drawn(TROUBLE, 220)

    for words in (
        " LIVE ",
        "FROZEN since 14:02 UTC (on holiday)",
        "price 52,340.10 (2 min ago)",
        "stop 51,227.00 (2.13 % below)",
        "(HIT: the next check sells)",
        "price 0.000123456 (5 h ago)",
        "NO STOP",
        "NOT GUARDED: no stop",
        "a stop rests at the exchange, it sells at 50,727.50",
        "UNPROTECTED: no stop rests at the exchange",
        "16.72 % below the start (limit 20.00 %), 17.44 % below the peak (limit 25.00 %)",
        "1 unsettled",
        "FAILED with exit code 69: can't reach Kraken",
        "OVERDUE: no tick for 24 min",
        "12 in all",
        "Alarms: 2 open",
        "(for 3 h)",
    ):
        assert words in said, words


def test_what_a_position_would_bring_at_its_stop_is_beside_what_it_brings_now() -> None:
    line = next(line for line in drawn(cockpit(), 220).splitlines() if line.startswith("BTC/USD"))

    now, there = (float(each) for each in re.findall(r"(?:net P&L|at the stop) ([+-][0-9.]+)", line))
    assert now == pytest.approx(1000 * 52340.1 / 51800 * 0.992 - 1008, abs=0.01)
    assert there == pytest.approx(1000 * 51227 / 51800 * 0.992 - 1008, abs=0.01)


@pytest.mark.parametrize(("price", "place"), [("55", 0.5), ("60", 1.0), ("50", 0.0), ("45", 0.0)])
def test_the_bar_shows_the_price_between_the_stop_and_the_high_to_scale(price: str, place: float) -> None:
    row = position("BTC/USD", price, 50.0, entry="52", high=60.0)

    (bar,) = re.findall(r" ([─━├┼●┤]{24,60})\n", drawn(cockpit(positions=[row]), 220))

    assert bar.index("●") / (len(bar) - 1) == pytest.approx(place, abs=0.02)
    if price == "45":  # below the stop
        assert bar.index("├") / (len(bar) - 1) == pytest.approx(5 / 15, abs=0.02)


def test_a_stale_price_is_grey_and_a_fresh_one_is_not() -> None:
    lines = cockpit_lines(cockpit(), Screen(220, True, QUIET))
    styles = {span.text.strip(): span.style for line in lines for span in line if span.text.startswith("price ")}

    assert styles["price 52,340.10 (2 min ago)"] == ""
    assert styles["price 0.000123456 (5 h ago)"] == "bright_black"


def test_the_demo_has_no_clock_that_could_be_late() -> None:
    view = cockpit(status=status(mode="demo", scheduled_by=None), at=NOW - timedelta(days=365))

    said = drawn(replace(view, next_tick_at=NOW), 220)

    assert "last      2026-11-27 15:00 UTC, ok" in said
    assert "next      whenever you run `botctl tick`" in said


@pytest.mark.parametrize("height", [12, 25, 60])
def test_a_low_terminal_shows_what_fits_and_how_much_more_there_is(height: int) -> None:
    lines = cockpit_lines(TROUBLE, Screen(80, True, QUIET))

    fitting = _fitting(lines, height)

    assert len(fitting) <= height
    assert ("more lines" in plain(fitting)) == (height < len([line for line in lines if line]))
