"""Kraken answers nonsense: to each call of the adapter, and to whole runs in every scene.

What counts as nonsense is in `invalid_answers`: what is not parseable, not finite, negative, of another type, of
another order, or missing. A figure that might as well be true (another price, another fee, an order that is not shown
yet) is a lie that nobody can notice, and none is told here.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from botctl.adapters.kraken.exchange import KrakenExchange
from botctl.adapters.kraken.markets import CACHE_KEY, load_catalog
from botctl.adapters.kraken.session import CLOCK_KEY, KrakenSession
from botctl.domain.candles import Candle
from botctl.domain.configuration.settings import Mode, Secret
from botctl.domain.errors import BotError
from botctl.domain.markets import Balances, Market, Quotes
from botctl.domain.money import MAX_AMOUNT
from botctl.domain.orders import Fill, OrderReport, OrderRequest, Side
from botctl.domain.symbols import Timeframe
from botctl.store.database import close_database, open_database
from botctl.store.location import SqliteFile
from botctl.store.models import Event, KeyValue, Trade
from tests.chaos.clock import WorldClock
from tests.chaos.invalid_answers import Twist, garbled, twists
from tests.chaos.invariants import ALWAYS, check
from tests.chaos.properties import Property, bare_stage
from tests.chaos.scenes import SCENES, Stage, act, check_words, guard_is_awake, recover
from tests.chaos.world import World
from tests.databases import execute
from tests.fake_kraken import FakeKraken, Request
from tests.fake_kraken.faults import Reply
from tests.shelf import shelf

# One call of the adapter


@dataclass
class Line:
    """An adapter on a Kraken that knows three orders: one of fills in pieces, one by hand, one lost."""

    kraken: FakeKraken
    exchange: KrakenExchange
    request: OrderRequest
    txids: list[str] = field(default_factory=list)
    client_ids: list[str] = field(default_factory=list)
    reports: list[OrderReport] = field(default_factory=list)


@contextmanager
def a_line(_stage: Stage) -> Iterator[Line]:
    """The adapter with its database and its Kraken; nobody sleeps."""
    folder = Path(tempfile.mkdtemp(prefix="botctl-line-", dir=shelf()))
    clock = WorldClock(folder / "clock")
    kraken = FakeKraken(time=clock)
    real_sleep, time.sleep = time.sleep, lambda _seconds: None
    logging.disable()
    try:
        with kraken:
            open_database(SqliteFile(folder / "live.db"), Mode.LIVE, create=True)
            yield _connect(kraken)
    finally:
        logging.disable(logging.NOTSET)
        time.sleep = real_sleep
        close_database()
        clock.close()
        shutil.rmtree(folder, ignore_errors=True)


def _connect(kraken: FakeKraken) -> Line:
    key, secret = Secret(kraken.api_key), Secret(kraken.secret)
    exchange = KrakenExchange(lambda: KrakenSession(base_url=kraken.url, api_key=key, private_key=secret))
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    request = OrderRequest("client-0", Side.BUY, "BTC/USD", Decimal("0.002"), deadline)
    line = Line(kraken, exchange, request)
    for number in range(1, 4):
        line.client_ids.append(f"client-{number}")
        txid = exchange.add_order(replace(request, client_order_id=f"client-{number}"))
        line.txids.append(str(txid))
    line.reports = list(exchange.fetch_orders(line.txids).values())
    return line


def _look_up_markets(line: Line) -> Mapping[str, Market]:
    KeyValue.delete().where(KeyValue.key == CACHE_KEY).execute()
    return load_catalog(line.exchange.session).markets


CALLS: dict[str, tuple[str, Callable[[Line], Any]]] = {
    "balances": ("BalanceEx", lambda line: line.exchange.fetch_balances()),
    "quotes": ("Ticker", lambda line: line.exchange.fetch_quotes(["BTC/USD", "ETH/USD"])),
    "candles": ("OHLC", lambda line: line.exchange.fetch_candles("BTC/USD", Timeframe.MINUTES_15)),
    "orders": ("QueryOrders", lambda line: line.exchange.fetch_orders(line.txids)),
    "open orders": ("OpenOrders", lambda line: line.exchange.find_orders(line.client_ids[:1], _long_ago())),
    "closed orders": ("ClosedOrders", lambda line: line.exchange.find_orders(line.client_ids[:1], _long_ago())),
    "all orders": ("ClosedOrders", lambda line: line.exchange.find_orders(line.client_ids, _long_ago())),
    "fills": ("QueryTrades", lambda line: line.exchange.fetch_fills(line.reports)),
    "history": ("TradesHistory", lambda line: line.exchange.fetch_fills([replace(line.reports[0], fill_ids=())])),
    "all fills": ("TradesHistory", lambda line: line.exchange.list_fills(_long_ago())),
    "markets": ("AssetPairs", _look_up_markets),
    "time": ("Time", lambda line: line.exchange.now(fresh=True)),
    "status": ("SystemStatus", lambda line: line.exchange.fetch_system_status()),
    "key": ("GetApiKeyInfo", lambda line: line.exchange.fetch_key_info()),
    "order": ("AddOrder", lambda line: line.exchange.add_order(line.request)),
}


def _long_ago() -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Question:
    """One call whose answer is garbled: the first one, or each of them when Kraken is stubborn."""

    call: str
    changes: tuple[Twist, ...]
    stubborn: bool = False


QUESTIONS = st.builds(Question, st.sampled_from(sorted(CALLS)), twists(), st.booleans())


def an_answer_is_sane_or_an_error_of_ours(line: Line, question: Question) -> None:
    """Whatever Kraken answers, the adapter returns figures that can be, or raises an error that has a next move."""
    endpoint, call = CALLS[question.call]
    left = 99 if question.stubborn else 1

    def garble(asked: Request, reply: Reply) -> Reply:
        nonlocal left
        if asked.endpoint != endpoint or not left:
            return reply
        left -= 1
        return garbled(reply, question.changes)

    KeyValue.delete().where(KeyValue.key == CLOCK_KEY).execute()
    line.kraken.alter_reply = garble
    try:
        answer = call(line)
    except BotError as error:
        answer = error
    finally:
        line.kraken.alter_reply = None
    check_sane(answer, line)


def check_sane(answer: Any, line: Line) -> None:
    """Figures that a market or an account can show."""
    match answer:
        case BotError():
            assert len(str(answer)) < 2000, f"{len(str(answer))} characters of an error"
        case Balances():
            assert all(h.total.is_finite() and h.free.is_finite() and h.total < MAX_AMOUNT for h in answer.holdings)
        case Quotes():
            prices = [p for quote in answer.good.values() for p in (quote.last, quote.bid, quote.ask) if p is not None]
            assert all(0 < price < MAX_AMOUNT for price in prices)
            assert set(answer.good) | set(answer.bad) == {"BTC/USD", "ETH/USD"}
        case [Candle(), *_]:
            for candle in answer:
                assert 0 < candle.low <= candle.close <= candle.high < float(MAX_AMOUNT)
                assert 0 <= candle.volume < float("inf")
                candle.closed_at(900)
        case [Fill(), *_]:
            for fill in answer:
                assert 0 < fill.amount < MAX_AMOUNT
                assert 0 <= fill.fee <= fill.cost < MAX_AMOUNT
        case dict() | Mapping():
            for value in answer.values():
                _check_value(value, line)
        case str() | datetime() | list() | None:
            pass
        case _:
            raise AssertionError(f"an answer of another kind: {answer!r}")


def _check_value(value: Any, line: Line) -> None:
    for report in value if isinstance(value, list) else [value]:
        if isinstance(report, OrderReport):
            assert 0 <= report.filled <= line.request.amount
            assert 0 <= report.fee < MAX_AMOUNT
            assert 0 <= report.cost < MAX_AMOUNT
            assert report.client_order_id is None or isinstance(report.client_order_id, str)
        if isinstance(report, Market):
            assert 0 <= report.lot_decimals <= 30
            assert report.min_amount >= 0
            assert report.min_cost >= 0


# Whole runs


@dataclass(frozen=True)
class Garbling:
    """What becomes of one answer of an endpoint: of its `turn`-th one, from 0."""

    endpoint: str
    turn: int
    changes: tuple[Twist, ...]


@dataclass(frozen=True)
class Case:
    """A scene in which some endpoints answer nonsense once."""

    scene: str
    garblings: tuple[Garbling, ...]
    stale: bool
    """Whether Kraken's markets and time must be asked anew."""


ENDPOINTS = (
    "AddOrder",
    "QueryOrders",
    "QueryTrades",
    "BalanceEx",
    "Ticker",
    "OHLC",
    "AssetPairs",
    "Time",
    "OpenOrders",
    "ClosedOrders",
    "TradesHistory",
)
GARBLINGS = st.builds(Garbling, st.sampled_from(ENDPOINTS), st.integers(0, 1), twists())
CASES = st.builds(
    Case,
    st.sampled_from(sorted(SCENES)),
    st.lists(GARBLINGS, min_size=1, max_size=4, unique_by=lambda garbling: garbling.endpoint).map(tuple),
    st.booleans(),
)
WITH_A_GUARD = frozenset({"a drawdown"})
"""Scenes in which the account is to be closed."""


def garble_with(garblings: tuple[Garbling, ...]) -> Callable[[Request, Reply], Reply]:
    """A hook that garbles each of these answers once."""
    turns: dict[str, int] = {}
    by_endpoint = {garbling.endpoint: garbling for garbling in garblings}

    def garble(asked: Request, reply: Reply) -> Reply:
        turn = turns.get(asked.endpoint, 0)
        turns[asked.endpoint] = turn + 1
        garbling = by_endpoint.get(asked.endpoint)
        return reply if garbling is None or garbling.turn != turn else garbled(reply, garbling.changes)

    return garble


type Asked = tuple[str, str, Decimal]
"""Side, market and volume of an order that was sent."""


def orders_of(requests: Iterable[Request]) -> list[Asked]:
    """What was sent to AddOrder."""
    sent = [request.params for request in requests if request.endpoint == "AddOrder"]
    return [(params["type"], params["pair"], Decimal(params["volume"])) for params in sent]


def nonsense_orders_nothing_and_loses_nothing(stage: Stage, case: Case) -> None:
    """No order but those of the undisturbed run, no trade written off, and afterwards everything settles."""
    expected = orders_of(stage.undisturbed(case.scene).requests)
    world = stage.set(case.scene)
    try:
        if case.stale:
            let_caches_age(world)
        world.kraken.clear_requests()
        world.kraken.alter_reply = garble_with(case.garblings)
        run = act(world, case.scene)
        world.kraken.alter_reply = None
        check_words(run)
        check_orders(orders_of(world.kraken.requests), expected)
        check(world, ALWAYS)
        nothing_is_written_off(world, case.scene)
        assert world.kraken.bugs == []
        recover(world)
        guard_is_awake(world)
    finally:
        world.close()


def check_orders(sent: list[Asked], expected: list[Asked]) -> None:
    """Each order that was sent is one of those that truth would have sent; a sell may be for less."""
    for side, pair, volume in sent:
        meant = [asked[2] for asked in expected if asked[:2] == (side, pair)]
        fits = volume in meant if side == "buy" else any(0 < volume <= most for most in meant)
        assert fits, f"{side} {volume} {pair} was sent, and truth would have sent {expected}"


def nothing_is_written_off(world: World, scene: str) -> None:
    """No trade was shrunk or given up, and no guard tripped, because of a single answer."""
    with world.models():
        assert [trade.id for trade in Trade.select() if trade.exit_reason == "EXTERNAL"] == []
        assert [event.why for event in Event.select().where(Event.kind == "shrunk")] == []
        tripped = [event.why for event in Event.select() if (event.after or {}).get("tripped_at")]
        assert not tripped or scene in WITH_A_GUARD, tripped


def let_caches_age(world: World) -> None:
    """Markets that are two days old, and a clock that was never asked."""
    old = datetime.fromtimestamp(world.clock.now() - 2 * 86400, UTC).isoformat(timespec="microseconds")
    execute(world.where, f"UPDATE memory SET saved_at = '{old}' WHERE key = '{CACHE_KEY}'")
    execute(world.where, f"DELETE FROM memory WHERE key = '{CLOCK_KEY}'")


ANSWERS = (
    Property("an answer to the adapter", QUESTIONS, a_line, an_answer_is_sane_or_an_error_of_ours, 500),
    Property("answers to a run", CASES, bare_stage, nonsense_orders_nothing_and_loses_nothing, 25),
)
