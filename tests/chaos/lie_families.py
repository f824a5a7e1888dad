"""Every kind of lie, as families: what may be chosen in each, and how one choice is played."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

from tests.chaos.invariants import Broken
from tests.chaos.lie_stories import (
    A_MINUTE,
    BTC,
    BUYING,
    ETH,
    GUARDING,
    ONE_ANSWER,
    ORDERING,
    SELLING,
    SITUATIONS,
    TERMS,
    Situation,
    Story,
    act_amid,
    story,
)
from tests.chaos.processes import Run
from tests.chaos.scenes import OUTCOMES, Stage
from tests.chaos.world import World
from tests.fake_kraken import Instant, Lie, Never, PartialThenCanceled, Slow
from tests.fake_kraken.lies import (
    FalseAnswer,
    HeldBalances,
    LackingBalances,
    LaggingBalances,
    MissingMarket,
    OldAnswer,
    PartOfBalances,
    WrongCandles,
    WrongMarket,
    WrongTicker,
)
from tests.fake_kraken.orders import FillMode

type Play = Callable[..., None]

PROMISES = (
    "a_true_stop_sells_at_the_first_run",
    "a_lie_moves_nothing",
    "a_lie_sells_nothing",
    "a_contradiction_buys_nothing",
    "a_contradiction_is_said",
    "everything_settles_once_the_truth_is_told",
    "nothing_is_traded_of_what_the_journal_lacks",
    "no_trade_of_another_database_is_adopted",
)
"""What single families promise besides the invariants."""


@dataclass(frozen=True)
class Family:
    """One kind of lie. A trial is one choice of each."""

    name: str
    choices: tuple[tuple[str, ...], ...]
    play: Play
    """Called with the stage and what was chosen."""


ASSETS = {BTC: "XXBT", ETH: "XETH"}
SYMBOLS = tuple(ASSETS)
FACTORS = ("/1000", "/100", "/10", "/2", "*0.9", "*1.1", "*2", "*10", "*100", "*1000")
FAR_FACTORS = ("/1000", "/100", "/10", "/2", "*2", "*10", "*100", "*1000")
"""So wrong that one look is not enough."""
MOST_BELIEVED = Decimal(2)
"""What nothing contradicts may be raised by so much, and no more."""
WITHIN_A_LOOK = Decimal("1.3")
"""A price that moved by less is one at the first look."""


def factor_of(text: str) -> Decimal:
    return 1 / Decimal(text[1:]) if text[0] == "/" else Decimal(text[1:])


def keep_promise(name: str, kept: bool, words: str) -> None:
    """Raises Broken with the name of what was promised."""
    if not kept:
        raise Broken(f"{name}: {words}")


def play_amid(
    stage: Stage,
    situation: Situation,
    term: str,
    lies: Callable[[Story], Iterable[FalseAnswer]],
    *,
    about: Iterable[str] = (),
    kept: Iterable[str] = (),
    unbought: Iterable[str] = (),
    untouched: bool = False,
    said: bool = False,
) -> None:
    """The situation amid lies about these symbols; then the truth.

    The stops of the other symbols sell at the first run all the same. `kept` are symbols that are not sold,
    `unbought` those that are not bought. `untouched` promises that nothing is sold and no stop moves, `said` that the
    first run does not end with 0.
    """
    about, kept, unbought = set(about), set(kept), set(unbought)
    with story(stage, situation.prepare) as told:
        situation.begin(told)
        before = told.open_stops()
        told.tell(*lies(told), answers=1 if term == ONE_ANSWER else None)
        for number, run in enumerate(act_amid(told, situation, term)):
            stops = told.open_stops()
            left = [symbol for symbol in situation.sold if symbol not in about and symbol in stops]
            keep_promise("a_true_stop_sells_at_the_first_run", not left, run.words)
            keep_promise("a_contradiction_buys_nothing", not unbought & stops.keys(), run.words)
            keep_promise("a_lie_sells_nothing", kept <= stops.keys(), run.words)
            keep_promise("a_lie_moves_nothing", not untouched or stops == before, f"{before} {stops} {run.words}")
            keep_promise("a_contradiction_is_said", number > 0 or not said or run.exit_code != 0, run.words)
        told.end()


# Prices

DAY_FIGURES = "vptlho"
FIGURES = ("a", "b", "c", "abc", DAY_FIGURES)


def play_ticker(stage: Stage, situation: str, symbol: str, figures: str, factor: str, term: str) -> None:
    scale = factor_of(factor)

    def lies(told: Story) -> list[FalseAnswer]:
        believed = WITHIN_A_LOOK if term == ONE_ANSWER else MOST_BELIEVED
        if figures == "abc" and 1 < scale <= believed:
            told.world.external_actions.shown[symbol] = told.world.kraken.markets[symbol].highest * scale
        return [WrongTicker(symbol, figures, scale)]

    doubted = factor in FAR_FACTORS and (term == ONE_ANSWER or figures != "abc")
    untouched = situation == "a quiet day" and (doubted or figures == DAY_FIGURES)
    about = [] if figures == DAY_FIGURES or (figures == "c" and factor == "*1.1") else [symbol]
    play_amid(stage, SITUATIONS[situation], term, lies, about=about, untouched=untouched)


COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "open": ("open",),
        "high": ("high",),
        "low": ("low",),
        "close": ("close",),
        "vwap": ("vwap",),
        "volume": ("volume",),
        "time": ("time",),
        "all prices": ("open", "high", "low", "close", "vwap"),
    }
)
ROWS = ("newest", "middle", "running", "all")


def play_candles(stage: Stage, situation: str, columns: str, factor: str, rows: str, term: str) -> None:
    """What all rows say for longer than an answer, and what is not far from the price, is confirmed by a second one."""
    scale, confirmed = factor_of(factor), term != ONE_ANSWER and factor not in FAR_FACTORS and columns == "all prices"

    def lies(told: Story) -> list[FalseAnswer]:
        if confirmed and scale > 1:
            told.world.external_actions.shown[BTC] = told.world.kraken.markets[BTC].highest * scale
        return [WrongCandles(BTC, COLUMNS[columns], scale, rows)]

    kept = [BTC] if situation == "two hours without a run" and not confirmed else []
    play_amid(stage, SITUATIONS[situation], term, lies, about=[BTC], kept=kept)


def play_old(stage: Stage, situation: str, endpoint: str, factor: str, dated: str, term: str) -> None:
    """What an endpoint said six hours ago, when the price was another one."""
    scale = factor_of(factor)

    def lies(told: Story) -> list[FalseAnswer]:
        kraken, now = told.world.kraken, told.world.clock.now()
        params = {"BalanceEx": {}, "Ticker": {"pair": "XBTUSD,ETHUSD"}, "OHLC": {"pair": "XBTUSD", "interval": "15"}}
        result = kraken.result_of(endpoint, **params[endpoint])
        if endpoint == "Ticker":
            WrongTicker(BTC, "abc", scale).change(result, kraken.lies.truth)
        if endpoint == "OHLC":
            rows = result[kraken.markets[BTC].id]
            result[kraken.markets[BTC].id] = [[row[0] - 6 * 3600, *row[1:]] for row in rows]
        if endpoint == "Ticker" and dated != "dated" and 1 < scale <= MOST_BELIEVED:
            told.world.external_actions.shown[BTC] = kraken.markets[BTC].highest * scale
        return [OldAnswer(endpoint, result, now - 6 * 3600 if dated == "dated" else None)]

    untouched = situation == "a quiet day" and dated == "dated"
    about = [BTC, ETH] if endpoint == "Ticker" else [BTC]
    play_amid(stage, SITUATIONS[situation], term, lies, about=about, untouched=untouched)


# Markets

MARKET_FIGURES = (
    "ordermin",
    "costmin",
    "lot_decimals",
    "pair_decimals",
    "cost_decimals",
    "tick_size",
    "lot_multiplier",
)


def play_market(stage: Stage, situation: str, figure: str, factor: str, term: str) -> None:
    """The list of markets is read once a day, so that one answer lies for a day."""
    play_listed(stage, SITUATIONS[situation], term, WrongMarket(BTC, figure, factor_of(factor)))


WRONG_USAGE = 2
STATUSES = ("cancel_only", "post_only", "limit_only", "reduce_only", "delisted")


def play_status(stage: Stage, situation: str, status: str, truth: str, term: str) -> None:
    """The list says so of a market, and the exchange does so or does not."""
    lie = MissingMarket(BTC) if status == "delisted" else WrongMarket(BTC, "status", text=status)
    play_listed(stage, SITUATIONS[situation], term, lie, status if truth == "truly" else "online")


def play_listed(stage: Stage, situation: Situation, term: str, lie: FalseAnswer, status: str = "online") -> None:
    """To buy of a market that the list lacks, or has unreadable figures of, is a wrong command by that list."""
    with story(stage, situation.prepare) as told:
        told.outcomes = OUTCOMES | {WRONG_USAGE}
        situation.begin(told)
        told.expire_markets()
        told.tell(lie, answers=1 if term == ONE_ANSWER else None)
        told.world.kraken.markets[BTC].status = status
        for _ in act_amid(told, situation, term):
            pass
        told.tell_the_truth()
        told.expire_markets()
        told.end()


# Balances

BALANCES: Mapping[str, Callable[[str], FalseAnswer]] = MappingProxyType(
    {
        "ten seconds late": lambda _: LaggingBalances(10),
        "a minute late": lambda _: LaggingBalances(60),
        "an hour late": lambda _: LaggingBalances(3600),
        "lacking": lambda asset: LackingBalances((asset,)),
        "zero": lambda asset: PartOfBalances((asset,), Decimal(0)),
        "a tenth": lambda asset: PartOfBalances((asset,), Decimal("0.1")),
        "half": lambda asset: PartOfBalances((asset,), Decimal("0.5")),
        "tenfold": lambda asset: PartOfBalances((asset,), Decimal(10)),
        "half on hold": lambda asset: HeldBalances((asset,), Decimal("0.5")),
        "all on hold": lambda asset: HeldBalances((asset,), Decimal(1)),
        "lacking all coins": lambda _: LackingBalances(tuple(ASSETS.values())),
    }
)
CONTRADICTING = ("lacking", "zero", "a tenth", "half", "lacking all coins")


def play_balances(stage: Stage, situation: str, symbol: str, shown: str, term: str) -> None:
    lie, quiet = BALANCES[shown](ASSETS[symbol]), situation == "a quiet day"
    hold = [symbol] if shown.endswith("on hold") else []
    contradicts = shown in CONTRADICTING and (symbol == ETH or quiet or shown == "lacking all coins")
    unbought = [BTC] if contradicts and situation == "a tick that buys" else []
    play_amid(
        stage,
        SITUATIONS[situation],
        term,
        lambda _: [lie],
        about=hold,
        unbought=unbought,
        untouched=quiet,
        said=contradicts and situation in ("a quiet day", "a tick that buys"),
    )


def play_cash(stage: Stage, situation: str, shown: str, term: str) -> None:
    """The money is not shown. The drawdown guard must not sell everything for that."""
    lie, honest = BALANCES[shown]("ZUSD"), SITUATIONS[situation]

    def prepare(world: World) -> None:  # nothing contradicts the first look of a guard
        honest.prepare(world)
        world.must("drawdown")

    told = replace(honest, prepare=prepare)
    play_amid(stage, told, term, lambda _: [lie], untouched=situation == "a quiet day")


# Orders

RECORDS = ("closed", "canceled", "expired", "open")
SHARES = {"nothing": Decimal(0), "half": Decimal("0.5"), "almost all": Decimal("0.99"), "all": Decimal(1)}
SECONDS = {"for three seconds": 3.0, "for ten seconds": 10.0, "for a minute": 60.0, "for an hour": 3600.0}
TRADES = ("with its trades", "with no trade shown")


def play_records(stage: Stage, situation: str, status: str, share: str, seconds: str, trades: str) -> None:
    """Records of new orders say so while they are young; the orders are filled at once."""
    with story(stage, SITUATIONS[situation].prepare) as told:
        SITUATIONS[situation].begin(told)
        lie = Lie(status, SECONDS[seconds], SHARES[share], hides_trades=trades == TRADES[1])
        told.world.kraken.account.lie = lie
        for _ in act_amid(told, SITUATIONS[situation], "for an hour" if seconds == "for an hour" else A_MINUTE):
            pass
        told.end()


MODES: Mapping[str, FillMode] = MappingProxyType(
    {
        "never filled": Never(),
        "half filled": Never(Decimal("0.5")),
        "filled after ten seconds": Slow(seconds=10),
        "filled after a minute": Slow(seconds=60),
        "half at once and the rest after a minute": Slow(seconds=60, at_once=Decimal("0.5")),
        "filled after an hour": Slow(seconds=3600),
        "filled at the third look": Slow(looks=2),
        "canceled half filled": PartialThenCanceled(Decimal("0.5")),
        "canceled unfilled": PartialThenCanceled(Decimal(0)),
    }
)


def check_sold(told: Story, situation: Situation, run: Run) -> None:
    left = [symbol for symbol in situation.sold if symbol in told.open_stops()]
    keep_promise("a_true_stop_sells_at_the_first_run", not left, run.words)


def play_hanging(stage: Stage, situation: str, mode: str, term: str) -> None:
    """Market orders hang open: the first one, or all of them until the truth is told."""
    with story(stage, SITUATIONS[situation].prepare) as told:
        SITUATIONS[situation].begin(told)
        account = told.world.kraken.account
        account.fill_mode = MODES[mode]
        if term == ONE_ANSWER:
            told.world.kraken.after = lambda request: (
                setattr(account, "fill_mode", Instant()) if request.endpoint == "AddOrder" else None
            )
        for run in act_amid(told, SITUATIONS[situation], term):
            if mode == "canceled half filled" and term == ONE_ANSWER:
                check_sold(told, SITUATIONS[situation], run)
        told.end()


PLACED = ("placed all the same", "not placed")
LISTED = {"listed at once": 0.0, "listed after ten seconds": 10.0, "listed after a minute": 60.0}


def play_deadline(stage: Stage, situation: str, placed: str, listed: str, times: str, term: str) -> None:
    """`EService:Deadline elapsed`, whether or not the order was placed."""
    with story(stage, SITUATIONS[situation].prepare) as told:
        SITUATIONS[situation].begin(told)
        kraken = told.world.kraken
        kraken.account.closed_orders_lag = LISTED[listed]
        kraken.fault(
            "AddOrder",
            "error",
            error="EService:Deadline elapsed",
            processed=placed == PLACED[0],
            times=1 if times == "once" else 99,
        )
        for _ in act_amid(told, SITUATIONS[situation], term):
            pass
        told.end()


# Several at once

ABOUT_ETH: Mapping[str, Callable[[str], FalseAnswer]] = MappingProxyType(
    {
        "its ticker": lambda factor: WrongTicker(ETH, "abc", factor_of(factor)),
        "its last price": lambda factor: WrongTicker(ETH, "c", factor_of(factor)),
        "its ask": lambda factor: WrongTicker(ETH, "a", factor_of(factor)),
        "its bid": lambda factor: WrongTicker(ETH, "b", factor_of(factor)),
        "its balance": lambda factor: PartOfBalances((ASSETS[ETH],), factor_of(factor)),
        "its balance left out": lambda _: LackingBalances((ASSETS[ETH],)),
        "its candles": lambda factor: WrongCandles(ETH, COLUMNS["all prices"], factor_of(factor)),
    }
)


def play_crash(stage: Stage, situation: str, lie: str, other: str, factor: str, term: str) -> None:
    """A true stop or crash of one symbol sells it at the first tick, amid two lies about another."""
    scale = factor_of(factor)

    def lies(told: Story) -> list[FalseAnswer]:
        raised = "its ticker" in (lie, other) or {lie, other} == {"its ask", "its last price"}
        if scale > 1 and raised:  # with its candles nothing contradicts it
            believed = scale if "its candles" in (lie, other) else min(scale, MOST_BELIEVED)
            told.world.external_actions.shown[ETH] = told.world.kraken.markets[ETH].highest * believed
        return [ABOUT_ETH[name](factor) for name in dict.fromkeys((lie, other))]

    play_amid(stage, SITUATIONS[situation], term, lies, about=[ETH])


def play_pair(stage: Stage, situation: str, status: str, share: str, shown: str, figures: str, factor: str) -> None:
    """For a minute records of orders, balances and prices lie all at once."""
    chosen, scale = SITUATIONS[situation], factor_of(factor)
    with story(stage, chosen.prepare) as told:
        chosen.begin(told)
        if figures == "abc" and 1 < scale <= MOST_BELIEVED:
            told.world.external_actions.shown[BTC] = told.world.kraken.markets[BTC].highest * scale
        told.world.kraken.account.lie = Lie(status, 60.0, SHARES[share])
        told.tell(BALANCES[shown](ASSETS[BTC]), WrongTicker(BTC, figures, scale))
        for _ in act_amid(told, chosen, A_MINUTE):
            pass
        told.end()


OF_BOTCTL_ALONE = tuple(name for name in SITUATIONS if name != "a sale by the owner")
"""A sale by the owner that a late balance hides can outlast its evidence: then the trade stays open, and is said."""


ANSWERS: tuple[Family, ...] = (
    Family("Ticker", (tuple(SITUATIONS), SYMBOLS, FIGURES, FACTORS, TERMS), play_ticker),
    Family("OHLC", ((*GUARDING, *BUYING), tuple(COLUMNS), FACTORS, ROWS, TERMS), play_candles),
    Family("AssetPairs", (tuple(SITUATIONS), MARKET_FIGURES, FACTORS, TERMS), play_market),
    Family("market status", (tuple(SITUATIONS), STATUSES[:-1], ("truly", "wrongly"), TERMS), play_status),
    Family(
        "old answers",
        (
            OF_BOTCTL_ALONE,
            ("Ticker", "OHLC", "BalanceEx"),
            ("/2", "*0.7", "*1.1", "*1.5"),
            ("dated", "undated"),
            TERMS,
        ),
        play_old,
    ),
    Family("balances", (OF_BOTCTL_ALONE, SYMBOLS, tuple(BALANCES), TERMS), play_balances),
    Family("records", (ORDERING, RECORDS, tuple(SHARES), tuple(SECONDS), TRADES[:1]), play_records),
    Family("hidden trades", (ORDERING, RECORDS, tuple(SHARES), tuple(SECONDS)[:1], TRADES[1:]), play_records),
    Family("closed too early", (ORDERING, ("closed",), tuple(SHARES), tuple(SECONDS), TRADES), play_records),
    Family("hidden trades of sells", (SELLING, RECORDS, tuple(SHARES), tuple(SECONDS)[:2], TRADES[1:]), play_records),
    Family("hanging orders", (ORDERING, tuple(MODES), TERMS), play_hanging),
    Family("deadline elapsed", (ORDERING, PLACED, tuple(LISTED), ("once", "always"), TERMS), play_deadline),
    Family(
        "amid other lies",
        (("a stop that is hit", "a crash by 40 %"), tuple(ABOUT_ETH), tuple(ABOUT_ETH), FACTORS, TERMS),
        play_crash,
    ),
    Family(
        "all at once",
        (OF_BOTCTL_ALONE, RECORDS, tuple(SHARES), tuple(BALANCES), ("a", "b", "c", "abc"), FACTORS),
        play_pair,
    ),
)
HIDDEN_FOR_LONG = Family(
    "trades hidden for long", (ORDERING, RECORDS, tuple(SHARES), tuple(SECONDS)[1:], TRADES[1:]), play_records
)
"""Records and the account's trades that agree on a lie for longer than the second look takes."""
# An hour is longer than a balance takes to be believed: it may be a withdrawal.
CASH = Family("cash", (tuple(SITUATIONS), ("lacking", "zero", "half", "a tenth"), TERMS[:-1]), play_cash)
