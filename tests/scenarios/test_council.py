"""The Council: fear in a rising market buys, greed in a falling one sells, and anything unknown holds."""

import itertools
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.sentiment_service import SentimentService
from tests.scenarios.steps import (
    buy,
    council_says,
    output_of,
    requested_endpoints,
    sides,
    stopped_clock,
    trade_of,
)


@pytest.fixture
def sentiment(live: BotRunner) -> Iterator[SentimentService]:
    """The index stands at 30: fear."""
    with SentimentService(30) as server:
        live.set(SENTIMENT_URL=server.url)
        yield server


def trend(kraken: FakeKraken, step: int, back: int, *, symbol: str = "BTC/USD", count: int = 200) -> None:
    """Closes that go `step` on and `back` back in turn, and end at 50000, where the price stands."""
    path = list(itertools.accumulate(itertools.islice(itertools.cycle([step, -back]), count - 1), initial=0))
    kraken.set_candles(symbol, [50000 + point - path[-1] for point in path])
    kraken.set_price(symbol, 50000)


def rising(kraken: FakeKraken, **options: Any) -> None:
    trend(kraken, 300, 200, **options)


def falling(kraken: FakeKraken, **options: Any) -> None:
    trend(kraken, -300, -200, **options)


def verdicts(live: BotRunner, symbol: str = "BTC/USD") -> dict[str, str]:
    return {row["agent"]: row["stance"] for row in live.json("why", symbol)[0]["verdicts"]}


def decision(live: BotRunner, symbol: str = "BTC/USD") -> str:
    return str(live.json("why", symbol)[0]["decision"])


def test_fear_in_a_rising_market_buys_for_the_amount_in_the_settings(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService
) -> None:
    live.set(TRADE_AMOUNT_USD="250")
    rising(kraken)

    run = live.run("tick", "--json")

    assert run.exit_code == 0, output_of(run)
    assert [entry["symbol"] for entry in run.json()["entries"]] == ["BTC/USD"]
    assert verdicts(live) == {"technical": "BULLISH", "sentiment": "FEAR"}
    trade = trade_of(live)
    assert (trade["status"], Decimal(trade["entry_cost"])) == ("OPEN", 250)
    assert Decimal(trade["stop_loss_price"]) < 50000
    why = live.json("why", "BTC/USD")[0]
    assert (why["decision"], why["outcome"], why["price"]) == ("BUY", "bought: trade 1", "50000.00000")


def test_greed_in_a_falling_market_sells_whatever_the_stop(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService
) -> None:
    buy(live)
    sentiment.value = 80
    falling(kraken)

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert verdicts(live) == {"technical": "BEARISH", "sentiment": "GREED"}
    trade = trade_of(live)
    assert (trade["status"], trade["exit_reason"], trade["stop_loss_price"]) == ("CLOSED", "COUNCIL", "49000.0")
    assert live.json("why", "BTC/USD")[0]["outcome"] == "sold trade 1"


def test_greed_in_a_falling_market_without_a_trade_does_nothing(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService
) -> None:
    sentiment.value = 80
    falling(kraken)

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert live.json("why", "BTC/USD")[0]["outcome"] == "nothing to sell"
    assert sides(kraken) == []


@parametrize(
    ("market", "index", "stances"),
    [
        ((300, 200), 80, ["BULLISH", "GREED"]),
        ((-300, -200), 30, ["BEARISH", "FEAR"]),
        ((100, -100), 30, ["NEUTRAL", "FEAR"]),  # only up: overbought
        ((300, 200), 50, ["BULLISH", "NEUTRAL"]),
        ((300, 200), 47, ["BULLISH", "NEUTRAL"]),
        ((-300, -200), 54, ["BEARISH", "NEUTRAL"]),
    ],
    quick=2,
)
def test_anything_else_holds(
    live: BotRunner,
    kraken: FakeKraken,
    sentiment: SentimentService,
    market: tuple[int, int],
    index: int,
    stances: list[str],
) -> None:
    buy(live)
    sentiment.value = index
    trend(kraken, *market)

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert list(verdicts(live).values()) == stances
    assert decision(live) == "HOLD"
    assert sides(kraken) == ["buy"]


def test_the_running_candle_plays_no_part(live: BotRunner, kraken: FakeKraken, sentiment: SentimentService) -> None:
    falling(kraken)
    kraken.set_price("BTC/USD", 90000)  # the running candle alone would turn the averages

    live.run("tick")

    assert verdicts(live)["technical"] == "BEARISH"


# The sentiment index


def test_the_mood_is_asked_once_an_hour(live: BotRunner, kraken: FakeKraken, sentiment: SentimentService) -> None:
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    with stopped_clock() as clock:
        live.run("tick")
        clock.tick(3599)
        live.run("tick")
        within_the_hour = sentiment.request_count
        clock.tick(1)
        live.run("tick")

    assert (within_the_hour, sentiment.request_count) == (1, 2)


@parametrize(("hours", "stance"), [(47.9, "FEAR"), (48.1, "UNKNOWN"), (-5, "UNKNOWN"), (24 * 365, "UNKNOWN")], quick=3)
def test_a_mood_older_than_two_days_by_its_own_stamp_is_unknown(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService, hours: float, stance: str
) -> None:
    sentiment.measured_at = time.time() - hours * 3600
    rising(kraken)

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert verdicts(live)["sentiment"] == stance
    assert sides(kraken) == (["buy"] if stance == "FEAR" else [])


def test_a_mood_that_grows_old_in_the_cache_is_not_believed(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService
) -> None:
    live.set(COUNCIL="sentiment")
    with stopped_clock() as clock:
        sentiment.measured_at = time.time() - 47.5 * 3600
        live.run("tick")
        young = verdicts(live)["sentiment"]
        clock.tick(2400)
        live.run("tick")

        assert (young, verdicts(live)["sentiment"], sentiment.request_count) == ("FEAR", "UNKNOWN", 1)


BODIES = [
    b"",
    b"<html>down</html>",
    b"null",
    b"[]",
    b"{}",
    b'{"data": []}',
    b'{"data": {}}',
    b'{"data": [null]}',
    b'{"data": [{"value": "30"}]}',
    b'{"data": [{"value": "x", "timestamp": "1"}]}',
    b'{"data": [{"value": "101", "timestamp": "%d"}]}' % time.time(),
    b'{"data": [{"value": "-1", "timestamp": "%d"}]}' % time.time(),
    b'{"data": [{"value": "30", "timestamp": "99999999999999999999999"}]}',
    b'{"data": [{"value": "30", "timestamp": "-99999999999999"}]}',
    b"[" * 50_000,
    b"\xff\xfe\x00",
]


@parametrize("body", BODIES, ids=lambda body: repr(body[:45]), quick=2)
def test_a_mood_in_no_known_shape_holds_and_is_no_failure(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService, body: bytes
) -> None:
    sentiment.body = body
    rising(kraken)

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert verdicts(live)["sentiment"] == "UNKNOWN"
    assert decision(live) == "HOLD"
    assert sides(kraken) == []


@pytest.mark.parametrize("trouble", ["nobody there", "HTTP 500", "not HTTP"])
def test_a_mood_that_cannot_be_reached_holds_and_is_no_failure(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService, trouble: str
) -> None:
    rising(kraken)
    if trouble == "nobody there":
        live.set(SENTIMENT_URL="http://127.0.0.1:9/")
    sentiment.status = 500 if trouble == "HTTP 500" else 200
    sentiment.speaks_http = trouble != "not HTTP"

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert verdicts(live) == {"technical": "BULLISH", "sentiment": "UNKNOWN"}
    assert decision(live) == "HOLD"


# What keeps an entry out


def entry_outcome(live: BotRunner) -> str:
    return str(live.json("why", "BTC/USD")[0]["outcome"])


def not_asked(live: BotRunner, symbol: str = "BTC/USD") -> str:
    """Why nobody was asked: no answer could have mattered."""
    row = live.json("why", symbol)[0]
    assert (row["decision"], row["verdicts"], row["outcome"]) == ("HOLD", [], "")
    assert row["reason"].startswith("not asked: "), row["reason"]
    return str(row["reason"])


def test_an_asset_cools_down_after_its_exit(live: BotRunner, kraken: FakeKraken) -> None:
    council_says(live, "BUY")
    with stopped_clock() as clock:
        buy(live)
        live.run("sell", "BTC/USD", "--yes")
        clock.tick(3599)
        too_soon = live.run("tick")
        refused = not_asked(live)
        clock.tick(2)
        live.run("tick")

    assert too_soon.exit_code == 0, output_of(too_soon)
    assert "cools down until" in refused
    assert sides(kraken) == ["buy", "sell", "buy"]


def test_no_entry_beyond_the_most_open_trades(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(MAX_OPEN_TRADES="1")
    buy(live, "ETH/USD")
    council_says(live, "BUY")

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert "MAX_OPEN_TRADES is 1" in not_asked(live)
    assert len(kraken.orders) == 1


def test_no_entry_while_buys_are_disabled(live: BotRunner, kraken: FakeKraken) -> None:
    live.run("liquidate", "--yes")
    council_says(live, "BUY")

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert "buys are disabled" in not_asked(live)
    assert sides(kraken) == []


def test_no_second_trade_of_an_asset_whatever_its_quote(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SYMBOLS="BTC/USD,BTC/EUR")
    council_says(live, "BUY")

    live.run("tick")

    assert "already has trade 1" in live.json("why", "BTC/EUR")[0]["outcome"]
    assert [order.symbol for order in kraken.orders] == ["BTC/USD"]


@pytest.mark.parametrize(("count", "orders"), [(113, []), (114, ["buy"])])
def test_a_stop_needs_a_hundred_and_fourteen_candles(
    live: BotRunner, kraken: FakeKraken, count: int, orders: list[str]
) -> None:
    council_says(live, "BUY")
    kraken.flat_candles("BTC/USD", 50000, 500, count=count)

    live.run("tick")

    assert sides(kraken) == orders
    assert ("too few" in entry_outcome(live)) == (not orders)


@pytest.mark.parametrize(("count", "stance"), [(113, "UNKNOWN"), (114, "BULLISH")])
def test_a_technical_verdict_needs_a_hundred_and_fourteen_candles(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService, count: int, stance: str
) -> None:
    rising(kraken, count=count)

    live.run("tick")

    assert verdicts(live)["technical"] == stance


# Who sits


def install_agent(folder: Path, name: str, lines: str, *, of: str = "") -> None:
    """A distribution with one agent, as pip would leave it."""
    package = f"agent_of_{of or name}"
    (folder / f"{package}.py").write_text(f"class Agent:\n    def judge(self, briefing):\n        {lines}\n")
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[botctl.agents]\n{name} = {package}:Agent\n")


def test_an_agent_of_anybodys_sits_where_the_settings_name_it(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = (
        "from botctl.domain.decisions import Stance, Verdict\n"
        "        return Verdict('oracle', Stance.BULLISH, f'{len(briefing.candles)} candles')"
    )
    install_agent(tmp_path, "oracle", judge)
    monkeypatch.syspath_prepend(str(tmp_path))
    live.set(COUNCIL="oracle,sentiment")

    live.run("tick")

    assert verdicts(live) == {"oracle": "BULLISH", "sentiment": "FEAR"}
    assert sides(kraken) == ["buy"]


SAYS = "from botctl.agents import Stance, Verdict\n        return Verdict"


def test_the_rule_decides_and_each_confidence_is_kept_and_shown(
    live: BotRunner, kraken: FakeKraken, sentiment: SentimentService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_agent(tmp_path, "timid", f"{SAYS}('timid', Stance.BULLISH, 'perhaps', 0.25)")
    monkeypatch.syspath_prepend(str(tmp_path))
    sentiment.value = 50
    rising(kraken)
    live.set(COUNCIL="technical,sentiment,timid", COUNCIL_RULE="weights")
    live.run("tick")
    held = live.json("why", "BTC/USD")[0]
    live.set(COUNCIL_RULE="unanimous")

    live.run("tick")

    assert (held["decision"], decision(live)) == ("HOLD", "BUY")
    assert held["reason"].startswith("weights: 1.25 for, 0 against, 1.5 to be exceeded")
    assert [row["confidence"] for row in held["verdicts"]] == ["1.0", "1.0", "0.25"]
    assert "BULLISH 0.25: perhaps" in live.run("why", "BTC/USD").stdout


@parametrize("confidence", ["2", "float('nan')", "'high'", "True"], quick=2)
def test_a_confidence_that_is_none_is_an_error_of_its_agent(
    live: BotRunner, kraken: FakeKraken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confidence: str
) -> None:
    install_agent(tmp_path, "sure", f"{SAYS}('sure', Stance.BULLISH, '', {confidence})")
    monkeypatch.syspath_prepend(str(tmp_path))
    live.set(COUNCIL="sure", COUNCIL_RULE="majority")

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "its confidence is not a number from 0 to 1" in run.stderr
    assert sides(kraken) == []


@parametrize("lines", ["raise ZeroDivisionError('oh')", "return None", "return briefing.nothing"], quick=1)
def test_an_agent_that_fails_is_unknown_and_an_error_and_the_rest_goes_on(
    live: BotRunner,
    kraken: FakeKraken,
    sentiment: SentimentService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: str,
) -> None:
    install_agent(tmp_path, "grumpy", lines)
    monkeypatch.syspath_prepend(str(tmp_path))
    live.set(COUNCIL="grumpy,sentiment", SYMBOLS="BTC/USD,ETH/USD")

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "grumpy failed on BTC/USD" in run.stderr
    assert "bug" not in run.stderr
    for symbol in ("BTC/USD", "ETH/USD"):
        assert decision(live, symbol) == "HOLD"
        assert verdicts(live, symbol)["grumpy"] == "UNKNOWN"
    assert live.json("status")["last_tick_ok"] is False


def test_a_member_who_is_not_installed_is_named(live: BotRunner) -> None:
    live.set(COUNCIL="technical,astrology")

    run = live.run("tick")

    assert run.exit_code != 0
    assert "astrology" in run.stderr
    assert "technical" in run.stderr


@pytest.mark.usefixtures("bent_time")
def test_two_agents_of_one_name_are_a_configuration_error_and_stops_go_on(
    live: BotRunner, kraken: FakeKraken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48900)
    install_agent(tmp_path, "technical", "return None", of="nobody")
    monkeypatch.syspath_prepend(str(tmp_path))

    run, doctor = live.run("tick"), live.run("doctor")

    assert run.exit_code == 78, output_of(run)
    assert run.stderr.count("several agents have that name: agent_of_nobody:Agent, botctl.") == 1
    assert sides(kraken) == ["buy", "sell"]
    assert "several agents" in " ".join(doctor.stdout.split())


def test_an_agent_that_sits_twice_is_a_configuration_error_and_stops_go_on(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48900)
    live.set(COUNCIL="technical,technical")

    run = live.run("tick")

    assert run.exit_code == 78, output_of(run)
    assert sides(kraken) == ["buy", "sell"]
    assert "COUNCIL names technical twice" in run.stderr


def test_a_symbol_without_candles_stops_no_other(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    council_says(live, "BUY")
    kraken.fault("OHLC", "shape", body={"error": [], "result": {"last": 0}})

    run = live.run("tick")

    assert run.exit_code == 69, output_of(run)
    assert (decision(live), decision(live, "ETH/USD")) == ("HOLD", "BUY")
    assert "could not decide" in live.json("why", "BTC/USD")[0]["reason"]
    assert [order.symbol for order in kraken.orders] == ["ETH/USD"]


def test_a_symbol_that_kraken_does_not_list_stops_no_other(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SYMBOLS="NOSUCH/USD,ETH/USD")
    council_says(live, "BUY")

    run = live.run("tick")

    assert run.exit_code != 0
    assert "NOSUCH/USD" in run.stderr
    assert [order.symbol for order in kraken.orders] == ["ETH/USD"]


def test_every_decision_is_kept_newest_first(live: BotRunner, kraken: FakeKraken) -> None:
    council_says(live, "HOLD")
    live.run("tick")
    council_says(live, "BUY")
    live.run("tick")

    assert [row["decision"] for row in live.json("why", "BTC/USD")] == ["BUY", "HOLD"]
    assert len(live.json("why", "BTC/USD", "--limit", "1")) == 1
    shown = live.run("why", "BTC/USD").stdout
    assert "told so" in shown
    assert requested_endpoints(kraken).count("AddOrder") == 1
