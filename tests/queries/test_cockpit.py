"""What `status` tells of now: the switch in words, each position at its last known price, the curve, the alarms."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from botctl.domain.health.ticking import Ticking
from botctl.domain.kill_switch import ACTIVE, PAUSED, SwitchSince, SwitchState, switch_sentence
from botctl.queries.cockpit import load_equity_curve
from botctl.store.models import Tick
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import buy, execute_sql

NOW = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
NOON = NOW.replace(hour=14, minute=2)


@pytest.mark.parametrize(
    ("state", "more", "sentence"),
    [
        (SwitchState(ACTIVE, False, True, None), {}, "Active. Buys are allowed. Each tick checks the stops."),
        (
            SwitchState(PAUSED, False, True, None, "on holiday"),
            {},
            "Paused since 14:02 UTC (on holiday). No new buys. Each tick checks the stops.",
        ),
        (
            SwitchState(PAUSED, True, True, None, "on holiday"),
            {},
            "FROZEN since 14:02 UTC (on holiday). No stop is checked and no order is sent: 2 open positions are NOT "
            "guarded. `botctl resume` ends it.",
        ),
        (
            SwitchState(ACTIVE, False, False, NOON - timedelta(days=1)),
            {},
            "The drawdown guard tripped at 2026-11-26 14:02 UTC: no new buys until `botctl resume --enable-buys`. "
            "Each tick sells what is still open (2 positions).",
        ),
        (
            SwitchState(ACTIVE, False, False, None),
            {},
            "Buys are disabled since 14:02 UTC (LIQUIDATION): `botctl resume --enable-buys` allows them. "
            "Each tick checks the stops.",
        ),
        (
            SwitchState(PAUSED, False, False, None, "the kill switch can't be read (no such table)", readable=False),
            {},
            "Unknown: the kill switch can't be read (no such table). No new buys. Each tick checks the stops.",
        ),
        (
            SwitchState(ACTIVE, False, True, None),
            {"unchecked": "no tick for 5 h"},
            "Active. Buys are allowed. Stops are NOT checked: no tick for 5 h.",
        ),
        (
            SwitchState(ACTIVE, False, True, None),
            {"no_buys": "LIVE_TRADING is no"},
            "Active, but LIVE_TRADING is no: no new buys. Each tick checks the stops.",
        ),
    ],
)
def test_the_switch_is_a_sentence_that_can_not_be_misread(
    state: SwitchState, more: dict[str, str], sentence: str
) -> None:
    since = SwitchSince(paused=NOON, frozen=NOON, buys_disabled=NOON, why_no_buys="LIQUIDATION")

    assert switch_sentence(state, since, NOW, open_trades=2, **more) == sentence


def test_a_second_pause_does_not_change_since_when_it_is_paused(live: BotRunner) -> None:
    live.run("pause", "--reason", "on holiday")
    execute_sql(live, "UPDATE event SET at = '2026-01-02T14:02:00.000000+00:00' WHERE kind = 'switch'")
    live.run("pause", "--freeze")

    switch = live.json("status")["switch"]

    live.run("resume")
    live.run("pause", "--reason", "again")
    assert switch.startswith("FROZEN since ")
    assert "2026-01-02" not in switch
    assert live.json("status")["switch"].startswith("Paused since ")


def test_a_position_is_told_at_the_price_of_the_last_check_and_what_its_stop_would_bring(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)  # at 50000, with its stop at 49000
    kraken.set_price("BTC/USD", 50100)
    assert live.run("check-positions").exit_code == 0
    kraken.clear_requests()

    cockpit = live.json("status")

    (position,) = cockpit["positions"]
    assert (Decimal(position["price"]), Decimal(position["stop_loss_price"])) == (50100, 49000)
    assert datetime.now(UTC) - datetime.fromisoformat(position["price_at"]) < timedelta(minutes=1)
    amount, paid = Decimal(position["amount"]), Decimal(position["entry_cost"]) + Decimal(position["entry_fee"])
    rate = Decimal(position["entry_fee"]) / Decimal(position["entry_cost"])
    assert Decimal(position["pnl_at_stop"]) == pytest.approx(49000 * amount * (1 - rate) - paid, abs=Decimal("0.01"))
    assert Decimal(position["stop_distance"]) == pytest.approx(1 - Decimal(49000) / 50100)
    assert not list(kraken.requests)


def test_a_position_that_no_run_has_looked_at_has_the_price_of_its_entry(live: BotRunner) -> None:
    buy(live)

    (position,) = live.json("status")["positions"]

    assert position["price"] == position["entry_price"]
    assert position["price_at"] == position["entry_time"]


@pytest.mark.usefixtures("bent_time")
def test_the_price_of_a_held_symbol_stays_known_when_the_next_look_has_none(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    live.run("check-positions")
    kraken.fault("Ticker", "status", times=99)
    live.run("check-positions")

    assert Decimal(live.json("status")["positions"][0]["price"]) == 50000


def test_a_missing_resting_stop_is_told_and_one_that_rests_has_its_trigger(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(EXCHANGE_STOP="on")
    buy(live)
    (resting,) = live.json("status")["positions"]
    execute_sql(live, "UPDATE \"order\" SET state = 'CANCELED' WHERE state = 'RESTING'")
    (bare,) = live.json("status")["positions"]

    assert Decimal(resting["resting_trigger"]) < 49000
    assert resting["unprotected"] is None
    assert bare["unprotected"] == "none"
    assert any("resting stop" in alarm["text"] for alarm in live.json("status")["alarms"])


@pytest.mark.usefixtures("bent_time")
def test_why_the_last_tick_failed_is_told(live: BotRunner, kraken: FakeKraken) -> None:
    live.run("pause")
    kraken.fault("BalanceEx", "status", times=99)
    live.run("tick")

    cockpit = live.json("status")

    assert cockpit["last_tick_ok"] is False
    assert cockpit["last_tick_exit_code"] == 69
    assert "HTTP 502" in cockpit["last_tick_error"]


def test_the_curve_goes_from_the_first_tick_to_the_last_however_many_there_are(veteran: BotRunner) -> None:
    veteran.open_store()
    ids = [row.id for row in Tick.select().where(Tick.equity.is_null(False)).order_by(Tick.id)]

    few, all_of_them = load_equity_curve(7), load_equity_curve()

    assert len(few) == 7
    assert len(all_of_them) == len(ids)
    assert few[0] == all_of_them[0]
    assert few[-1] == all_of_them[-1]


@pytest.mark.parametrize(
    ("by", "last", "expected"),
    [
        ("cron", NOW - timedelta(minutes=2), NOW + timedelta(minutes=15)),
        ("cron", None, NOW + timedelta(minutes=15)),
        (None, NOW - timedelta(minutes=2), NOW + timedelta(minutes=13)),
        (None, None, None),
        ("cron", NOW - timedelta(hours=2), None),
    ],
)
def test_the_next_tick_is_expected_at_the_close_of_a_candle_while_ticks_come(
    by: str | None, last: datetime | None, expected: datetime | None
) -> None:
    assert Ticking(by, True, last, NOW, 900).next_tick_at == expected
