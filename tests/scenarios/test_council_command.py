"""COUNCIL_COMMAND: somebody else's program decides, and whatever it does, the tick goes on."""

import json
import time
from typing import Any

import pytest

from botctl.domain.orders import ExitReason
from botctl.store.database import close_database
from botctl.store.journal import Journal
from tests.bot_runner import BotRunner
from tests.cli.test_start import is_gone, wait_until
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import (
    buy,
    council_program,
    council_says,
    output_of,
    requested_endpoints,
    sides,
    stopped_clock,
    trade_of,
)


def heard(live: BotRunner) -> dict[str, Any]:
    """What the program was told last, when it was one that keeps it."""
    told: dict[str, Any] = json.loads((live.home / "told.json").read_text())
    return told


def keep(live: BotRunner) -> str:
    return f"open({str(live.home / 'told.json')!r}, 'w').write(asked)"


def test_a_programs_buy_opens_and_its_sell_closes(live: BotRunner, kraken: FakeKraken) -> None:
    council_says(live, "BUY")
    bought = live.run("tick")
    council_says(live, "HOLD")
    held = live.run("tick")
    between = sides(kraken)
    council_says(live, "SELL")
    sold = live.run("tick")

    assert (bought.exit_code, held.exit_code, sold.exit_code) == (0, 0, 0), output_of(sold)
    assert between == ["buy"]
    assert trade_of(live)["exit_reason"] == "COUNCIL"
    why = live.json("why", "BTC/USD")
    assert [row["decision"] for row in why] == ["SELL", "HOLD", "BUY"]
    assert why[0]["verdicts"] == [{"agent": "command", "stance": "BEARISH", "reason": "told so", "confidence": "1.0"}]


def test_the_program_is_told_of_closed_candles_only(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.flat_candles("BTC/USD", 50000, 500, count=150)
    kraken.set_price("BTC/USD", 51234)
    council_says(live, "HOLD", keep(live))

    live.run("tick")

    told = heard(live)
    assert (told["symbol"], told["trade"], len(told["candles"])) == ("BTC/USD", None, 100)
    assert all(set(candle) == {"time", "open", "high", "low", "close", "volume"} for candle in told["candles"])
    newest = told["candles"][-1]
    assert (newest["open"], newest["high"], newest["low"], newest["close"]) == (50000, 50250, 49750, 50000)
    times = [candle["time"] for candle in told["candles"]]
    assert times == sorted(times)
    assert times[-1].endswith("Z")


FIELDS = [
    *("schema_version", "now", "mode", "symbol", "timeframe", "quote", "sentiment", "indicators", "trade", "cash"),
    *("cooldown_until", "last_decisions", "candles"),
]


def test_the_question_has_all_that_the_run_knows_and_costs_no_request(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COUNCIL_CANDLES="7")
    council_says(live, "HOLD", keep(live))
    live.run("tick")
    kraken.clear_requests()

    with stopped_clock():
        live.run("tick")

    told = heard(live)
    assert list(told) == FIELDS
    assert (told["schema_version"], told["mode"], told["timeframe"]) == (1, "live", "15m")
    assert {name: float(told["quote"][name]) for name in ("last", "bid", "ask")} == pytest.approx(
        {"last": 50000, "bid": 50000, "ask": 50000}, rel=0.01
    )
    assert told["sentiment"]["stance"] == "UNKNOWN"
    assert told["indicators"]["atr"] == pytest.approx(500)
    assert set(told["indicators"]) == {"atr_period", "atr", "ema_12", "ema_26", "rsi_14"}
    assert float(told["cash"]) == 10000
    assert told["cooldown_until"] is None
    [earlier] = told["last_decisions"]
    assert (earlier["decision"], earlier["reason"], earlier["outcome"]) == ("HOLD", "told so", "")
    assert len(told["candles"]) == 7
    assert sorted(requested_endpoints(kraken)) == ["BalanceEx", "OHLC", "Ticker"]


def test_the_program_is_told_of_the_open_trade(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    council_says(live, "HOLD", keep(live))

    live.run("tick")

    trade = heard(live)["trade"]
    assert trade["amount"] == "0.002"
    assert (float(trade["entry_price"]), float(trade["stop_loss_price"])) == (50000, 49000)


def test_the_program_never_sees_a_secret(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(NOTIFY_URLS="https://hooks.example/secret", HEALTHCHECK_URL="https://ping.example/secret")
    council_says(live, "HOLD", f"open({str(live.home / 'told.json')!r}, 'w').write(json.dumps(dict(os.environ)))")

    live.run("tick")

    environment = heard(live)
    assert not {"BOTCTL_MODE", "KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY"} & set(environment)
    text = json.dumps(environment)
    assert "example/secret" not in text
    assert kraken.secret not in text
    assert kraken.api_key not in text


BAD_ANSWERS = [
    "pass",
    "print('BUY')",
    "print('[]')",
    "print('\"BUY\"')",
    "print('{}')",
    "print('null')",
    """print('{"decision": "MAYBE", "reason": ""}')""",
    """print('{"decision": null, "reason": ""}')""",
    """print('{"decision": ["BUY"], "reason": ""}')""",
    """print('{"decision": "BUY", "reason": ""} {}')""",
    """print('{"decision": "BUY", "reason": ""')""",
    "print('[' * 100_000)",
    "sys.stdout.buffer.write(bytes([255, 254]))",
]


@parametrize("line", BAD_ANSWERS, quick=1)
def test_a_bad_answer_holds_and_is_an_error(live: BotRunner, kraken: FakeKraken, line: str) -> None:
    buy(live)
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    council_program(live, line)

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "COUNCIL_COMMAND failed on BTC/USD" in run.stderr
    assert "COUNCIL_COMMAND failed on ETH/USD" in run.stderr
    assert live.json("why", "BTC/USD")[0]["decision"] == "HOLD"
    assert sides(kraken) == ["buy"]
    assert live.json("status")["last_tick_ok"] is False


@parametrize("line", ["sys.exit(3)", "os.kill(os.getpid(), 9)", "1 / 0", "raise SystemExit('no')"], quick=2)
def test_a_program_that_fails_holds_whatever_it_printed(live: BotRunner, kraken: FakeKraken, line: str) -> None:
    council_program(live, "print(json.dumps({'decision': 'BUY', 'reason': ''}), flush=True)", line)

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "COUNCIL_COMMAND failed on BTC/USD" in run.stderr
    assert sides(kraken) == []


@pytest.mark.parametrize("command", ["/no/such/program", "unbalanced 'quote", "/dev/null"])
def test_a_program_that_cannot_be_started_holds_and_is_a_wrong_setting(
    live: BotRunner, kraken: FakeKraken, command: str
) -> None:
    live.set(COUNCIL_COMMAND=command, SYMBOLS="BTC/USD,ETH/USD")

    run = live.run("tick")

    assert run.exit_code == 78, output_of(run)
    assert run.stderr.count("COUNCIL_COMMAND can't be started") == 1
    assert live.json("why", "BTC/USD")[0]["decision"] == "HOLD"
    assert sides(kraken) == []


def test_a_program_out_of_time_holds_and_its_children_end_with_it(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COUNCIL_TIMEOUT="1")
    program, note = live.home / "council.sh", live.home / "child"
    answer = json.dumps({"decision": "BUY", "reason": "too late"})
    program.write_text(f"sleep 60 &\necho $! > {note}\nwait\necho '{answer}'\n")
    live.set(COUNCIL_COMMAND=f"/bin/sh {program}")
    started = time.monotonic()

    run = live.run("tick")

    assert time.monotonic() - started < 20
    assert run.exit_code == 1, output_of(run)
    assert "no answer within 1 seconds" in run.stderr
    assert sides(kraken) == []
    child = int(note.read_text())
    wait_until(lambda: is_gone(child))


def test_a_program_that_does_not_listen_may_still_decide(live: BotRunner, kraken: FakeKraken) -> None:
    """More candles than a pipe holds, and nobody reads them."""
    kraken.flat_candles("BTC/USD", 50000, 500, count=719)
    answer = live.home / "answer.json"
    answer.write_text('{"decision": "BUY", "reason": "a coin toss"}')
    live.set(COUNCIL_COMMAND=f"cat {answer}")

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert sides(kraken) == ["buy"]


@pytest.mark.long
def test_a_sell_for_a_trade_whose_sell_is_still_unsettled_sends_no_second_one(
    live: BotRunner, kraken: FakeKraken
) -> None:
    """An earlier run died between intent and answer: its order may exist, and the tick must not break on it."""
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    buy(live)
    buy(live, "ETH/USD")
    live.open_store()
    journal = Journal("live")
    trade = journal.open_trades()[0]
    entry = trade.orders.get()
    order = journal.intend_exit(
        trade,
        trade.amount,
        ExitReason.STOP_LOSS,
        whole=True,
        check=lambda: None,
        deadline=entry.deadline,
        now=entry.created_at,
    )
    journal.submit(order)
    close_database()
    council_says(live, "SELL")

    run = live.run("tick")

    assert [order.symbol for order in kraken.orders if order.side == "sell"] == ["ETH/USD"], output_of(run)
    assert run.exit_code == 69, output_of(run)
    assert live.json("status")["last_tick_ok"] is False
