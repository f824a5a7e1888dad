"""Faults put into the product on purpose, each with the trials that must catch it: proof that the machinery bites."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bot_runner import PROJECT
from tests.chaos.processes import Processes
from tests.chaos.scenes import Stage
from tests.postgres import Server


@dataclass(frozen=True)
class Replacement:
    """Another text in one file of the product. The old one must be there exactly once."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The file's text with the other text in it. Raises AssertionError when it no longer fits."""
        found = text.count(self.old)
        assert found == 1, f"the mutation no longer fits: {self.file} has {found} times {self.old!r}"
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutation:
    """One fault, the trials that meet it, and the invariant that at least one of them must find broken."""

    replacements: tuple[Replacement, ...]
    trials: tuple[str, ...]
    broken: str

    def mutated_files(self) -> dict[str, str]:
        """The text of each file that it changes."""
        texts: dict[str, str] = {}
        for replacement in self.replacements:
            text = texts.get(replacement.file) or (PROJECT / replacement.file).read_text()
            texts[replacement.file] = replacement.apply(text)
        return texts


EXECUTION, JOURNAL = "botctl/trading/execution.py", "botctl/store/journal.py"
PLACEMENT = "botctl/trading/orders/placement.py"
NO_PRICE_MOVES = "faults: slow answer: a buy by hand, AddOrder at 6"
"""As good as undisturbed."""
KILLED_AFTER_ITS_ORDER = "kills: SIGKILL, request after: a buy by hand, 6"
"""AddOrder is the fifth request."""

FLOWS = tuple(f"model: 50 steps: seed {seed}" for seed in (900, 901, 902))
"""Games in which the owner pays and trades."""

MUTATIONS = {
    "an order without an answer is sent again": Mutation(
        (
            Replacement(
                "botctl/adapters/kraken/exchange.py",
                'raise OutcomeUnknown(f"{error.message}; the order may exist") from error',
                "raise NotProcessed(error) from error",
            ),
        ),
        tuple(
            f"faults: {fault}: a buy by hand, AddOrder at 6"
            for fault in ("closed after", "reset after", "time-out after")
        ),
        "at_most_one_exchange_order_per_intent",
    ),
    "an order is submitted only once it was sent": Mutation(
        (
            Replacement(
                PLACEMENT,
                "request = self.journal.submit(order)  # committed before a byte is sent",
                "request = OrderRequest(\n"
                "            order.client_order_id, Side(order.side), order.symbol, order.amount, order.deadline\n"
                "        )",
            ),
            Replacement(
                PLACEMENT,
                "            exchange_order_id = self._add(order, request)\n",
                "            exchange_order_id = self._add(order, request)\n            self.journal.submit(order)\n",
            ),
        ),
        (KILLED_AFTER_ITS_ORDER,),
        "every_fill_is_in_the_journal_and_the_other_way_round",
    ),
    "an intent is committed only once its order was sent": Mutation(
        (
            Replacement(
                PLACEMENT,
                "        order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())\n        try:\n",
                "        from botctl.store.models import database\n\n"
                '        with database.atomic("IMMEDIATE"):\n'
                "            return self._send_at_last(intend)\n\n"
                "    def _send_at_last(self, intend: Intend) -> OrderRow:\n"
                "        order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())\n        try:\n",
            ),
        ),
        (KILLED_AFTER_ITS_ORDER,),
        "every_order_on_the_exchange_was_written_down_first",
    ),
    "a stop follows the price down": Mutation(
        (
            Replacement("botctl/domain/stops.py", "new_high = max(high, price)", "new_high = price"),
            Replacement(
                "botctl/domain/stops.py",
                "new_stop = max(stop, max(entry, new_high - multiple * atr))",
                "new_stop = max(entry, new_high - multiple * atr)",
            ),
            Replacement(
                JOURNAL,
                'max(update.stop, trade.stop_loss_price or update.stop, before["stop_loss_price"] or update.stop)',
                "update.stop",
            ),
        ),
        ("faults: slow answer: a price that falls back, BalanceEx at 1",),
        "no_stop_ever_fell",
    ),
    "an order that is not found at once is given up": Mutation(
        (
            Replacement(
                "botctl/trading/orders/settlement.py",
                "elif asked_at > order.deadline + _absent_after(order) and self._is_believed(order, ()):",
                "elif asked_at:",
            ),
        ),
        ("conditions: in no list for a minute: a buy by hand; reset after at 6",),
        "every_fill_is_in_the_journal_and_the_other_way_round",
    ),
    "the switch is not read again before an entry": Mutation(
        (Replacement(JOURNAL, "                check()\n                trade = ", "                trade = "),),
        ("kill switch: pause, request: a buy by hand, 3", "kill switch: HALT, request: a buy by hand, 3"),
        "nothing_is_intended_against_the_switch",
    ),
    "a trade is changed without its event": Mutation(
        (
            Replacement(
                "botctl/store/trade_changes.py",
                "    Event.create(**event_columns(at, kind, trade, before, changes, why, order))\n",
                "",
            ),
        ),
        (NO_PRICE_MOVES,),
        "every_change_of_a_trade_has_its_event",
    ),
    "an order and its trade are settled one after the other": Mutation(
        (
            Replacement(
                JOURNAL,
                "        with _transaction(order):\n            _set_state(\n                order, ended,",
                "        if order:\n            _set_state(\n                order, ended,",
            ),
        ),
        tuple(f"kills: SIGKILL, commit after: a buy by hand, {number}" for number in range(9, 15)),
        "every_trade_is_the_sum_of_its_fills",
    ),
    # Second witnesses: what each rule does for a fact that is told wrong.
    "a balance that lacks coins limits the sell": Mutation(
        (
            Replacement(
                "botctl/trading/exits.py",
                "if present is not None and sell.trade.asset not in lacking:",
                "if present is not None:",
            ),
        ),
        ("lies: balances: a crash by 40 %, BTC/USD, zero, for an hour",),
        "a_true_stop_sells_at_the_first_run",
    ),
    "a trade is written off because the balance lacks its coins": Mutation(
        (
            Replacement(
                "botctl/trading/evidence/missing_coins.py",
                "        lasting = {trade.asset",
                "        lasting = set(missing) | {trade.asset",
            ),
        ),
        ("lies: balances: a quiet day, BTC/USD, lacking, for a minute",),
        "no_trade_closes_while_its_coins_are_there",
    ),
    "a balance that lacks coins is not said": Mutation(
        (
            Replacement(
                "botctl/trading/evidence/missing_coins.py",
                "        errors += [missing_error(each) for asset, each in left.items() if asset not in gone]\n",
                "",
            ),
        ),
        ("lies: balances: a quiet day, BTC/USD, half, for a minute",),
        "a_contradiction_is_said",
    ),
    "a balance that lacks coins stops no entries": Mutation(
        (
            Replacement(
                "botctl/trading/tick.py",
                "if missing else unknown",
                "if missing is None else unknown",
            ),
            Replacement("botctl/trading/pre_trade_checks.py", "        check_holdings()\n", ""),
        ),
        ("lies: balances: a tick that buys, ETH/USD, lacking, for a minute",),
        "a_contradiction_buys_nothing",
    ),
    "a closed order is believed though it shows less than its volume": Mutation(
        (
            Replacement(
                "botctl/adapters/kraken/parsing.py",
                'whole = status == "closed" and (in_quote or filled == _parse_quantity(order["vol"]))',
                'whole = status == "closed"',
            ),
            Replacement(
                "botctl/trading/orders/settlement.py",
                "if complete and filled not in (order.amount, self._in_lots(order)) and not resized:",
                "if False:",
            ),
        ),
        ("lies: closed too early: a stop that is hit, closed, half, for an hour, with no trade shown",),
        "no_more_is_sold_than_was_bought",
    ),
    "an unfilled ending is believed at the first look": Mutation(
        (
            Replacement(
                "botctl/trading/orders/settlement.py",
                "return waited > 0.9 * SECOND_LOOK_AFTER and not self._balance_denies(order)",
                "return waited >= 0",
            ),
        ),
        ("lies: trades hidden for long: a buy by hand, canceled, nothing, for a minute, with no trade shown",),
        "no_trade_closes_while_its_coins_are_there",
    ),
    "a buy is believed to be unfilled though its coins are there": Mutation(
        (Replacement("botctl/trading/orders/settlement.py", " and not self._balance_denies(order)", ""),),
        ("lies: trades hidden for long: a buy by hand, canceled, nothing, for a minute, with no trade shown",),
        "no_trade_closes_while_its_coins_are_there",
    ),
    "a sell is believed to be unfilled though its coins are gone": Mutation(
        (
            Replacement("botctl/trading/orders/balance_evidence.py", "expected += order.amount", "expected += 0"),
            Replacement("botctl/trading/exits.py", "self._in_lots(sell.trade, max(ours, Decimal(0)))", "sell.amount"),
        ),
        ("lies: trades hidden for long: a stop that is hit, canceled, nothing, for a minute, with no trade shown",),
        "no_more_is_sold_than_was_bought",
    ),
    "earlier sells are not asked for before another one leaves": Mutation(
        (
            Replacement(
                "botctl/trading/exit_preparation.py",
                "return journal.unsettled_trade_ids() | {order.trade_id for order in earlier}",
                "return journal.unsettled_trade_ids()",
            ),
            Replacement("botctl/trading/orders/balance_evidence.py", "expected += order.amount", "expected += 0"),
            Replacement("botctl/trading/exits.py", "self._in_lots(sell.trade, max(ours, Decimal(0)))", "sell.amount"),
        ),
        (
            "lies: hidden trades of sells: a stop that is hit, canceled, nothing, for ten seconds, with no trade shown",
            "lies: hidden trades of sells: a sell by hand, canceled, nothing, for ten seconds, with no trade shown",
        ),
        "no_more_is_sold_than_was_bought",
    ),
    "figures from an order's record alone are kept": Mutation(
        (
            Replacement(
                "botctl/trading/evidence/exact_figures.py",
                "if execution is not None and execution.exact and execution.filled == order.filled:",
                "if False:",
            ),
        ),
        ("lies: closed too early: a stop that is hit, closed, all, for an hour, with no trade shown",),
        "every_fill_is_in_the_journal_and_the_other_way_round",
    ),
    "every quote is a price at the first look": Mutation(
        (
            Replacement(
                "botctl/trading/evidence/price_checks.py",
                "why = doubt_about(quote, known)\n    if",
                "why = None\n    if",
            ),
        ),
        ("lies: Ticker: a quiet day, BTC/USD, abc, /10, for one answer",),
        "a_lie_moves_nothing",
    ),
    "the date of an answer says nothing": Mutation(
        (
            Replacement(
                "botctl/domain/markets.py",
                "    if quote.date_gap:\n        return f",
                "    if False:\n        return f",
            ),
            Replacement("botctl/domain/markets.py", "    if first.date_gap or second.date_gap:\n", "    if False:\n"),
        ),
        ("lies: old answers: a quiet day, Ticker, /2, dated, for an hour",),
        "a_lie_moves_nothing",
    ),
    "a stop follows any price that is told twice": Mutation(
        (
            Replacement(
                "botctl/trading/evidence/price_checks.py", "    if price > FAR * newest_high:\n", "    if False:\n"
            ),
        ),
        ("lies: Ticker: a quiet day, BTC/USD, abc, *10, for a minute",),
        "no_stop_is_above_the_highest_price",
    ),
    "a stop is compared with the last price alone": Mutation(
        (Replacement("botctl/domain/markets.py", "return min(self.last, self.ask)", "return self.last"),),
        ("lies: Ticker: a stop that is hit, BTC/USD, c, *1.1, for an hour",),
        "no_stop_is_above_the_highest_price",
    ),
    "an absurd close among the missed ones counts": Mutation(
        (
            Replacement(
                "botctl/trading/position_manager.py",
                "kept = without_absurd_closes(closes, known, price)",
                "kept = closes",
            ),
        ),
        ("lies: OHLC: two hours without a run, all prices, /10, middle, for an hour",),
        "a_lie_sells_nothing",
    ),
    "missed closes that decide are asked for once": Mutation(
        (
            Replacement(
                "botctl/trading/position_manager.py",
                "        candles.check_again(trade.symbol)\n",
                "",
            ),
        ),
        ("lies: OHLC: two hours without a run, all prices, *1.1, all, for one answer",),
        "no_stop_is_above_the_highest_price",
    ),
    "an entry believes every ask": Mutation(
        (
            Replacement(
                "botctl/trading/entries.py",
                "if (why := contradiction_in(quote)) is not None or known.fits(float(quote.ask)):\n        return why",
                "if quote.ask:\n        return None",
            ),
        ),
        ("lies: Ticker: a buy by hand, BTC/USD, abc, /10, for an hour",),
        "no_cost_is_beyond_the_amount",
    ),
    "a deadline that elapsed is a definite no": Mutation(
        (
            Replacement(
                "botctl/adapters/kraken/errors.py",
                'return OutcomeUnknown(f"Kraken may have placed the order after its deadline: {api_error}")',
                "return DeadlineElapsed(message)",
            ),
        ),
        ("lies: deadline elapsed: a sell of a part, placed all the same, listed at once, once, for one answer",),
        "every_fill_is_in_the_journal_and_the_other_way_round",
    ),
    "our own figure of a minimum makes dust": Mutation(
        (
            Replacement(
                "botctl/trading/exits.py",
                "                sell = self._sell_of(each)\n",
                "                sell = self._sell_of(each)\n"
                "                market = market_of(self.exchange.load_markets(), each.trade.symbol)\n"
                "                if sell.amount < market.min_amount:\n"
                '                    self.journal.close_as_dust(each.trade, each.reason, "small", self.clock.now())\n'
                "                    continue\n",
            ),
        ),
        ("lies: AssetPairs: a stop that is hit, ordermin, *1000, for one answer",),
        "no_trade_closes_while_its_coins_are_there",
    ),
    "a lot larger than the entry makes dust": Mutation(
        (
            Replacement(
                "botctl/trading/exits.py",
                "if amount - whole <= MAX_CUT * entered:",
                "if amount - whole <= amount:",
            ),
        ),
        ("lies: AssetPairs: a stop that is hit, lot_decimals, /1000, for one answer",),
        "no_trade_closes_while_its_coins_are_there",
    ),
    "an order that hangs is left open": Mutation(
        (
            Replacement(
                "botctl/trading/orders/settlement.py",
                "        if not working:\n            return []\n        now = ",
                "        if working:\n            return []\n        now = ",
            ),
        ),
        ("lies: killed with a hanging order: a buy by hand, half filled",),
        "everything_settles_once_the_truth_is_told",
    ),
    "the rest of a canceled exit waits for the next run": Mutation(
        (Replacement(EXECUTION, "FURTHER_ROUNDS = 2\n", "FURTHER_ROUNDS = 0\n"),),
        ("lies: hanging orders: a crash by 40 %, canceled half filled, for one answer",),
        "a_true_stop_sells_at_the_first_run",
    ),
    # What the journal lacks, and the witnesses of the drawdown guard.
    "a database older than the last run is traded with at once": Mutation(
        (Replacement("botctl/store/evidence/last_run.py", "            mark_put_back()\n", ""),),
        ("lies: a database from yesterday: a sell of a part, a quarter of an hour later, it falls below the stop",),
        "nothing_is_traded_of_what_the_journal_lacks",
    ),
    "an entry asks for no orders that the journal lacks": Mutation(
        (Replacement("botctl/trading/pre_trade_checks.py", "        unrecorded_orders.check_entry(asset)\n", ""),),
        ("lies: a database from yesterday: a buy, a day later, the Council says BUY",),
        "nothing_is_traded_of_what_the_journal_lacks",
    ),
    "any database may adopt a trade": Mutation(
        (
            Replacement(
                "botctl/reconciliation/rebuild.py", "return own or self.adopt or not self.trades", "return True"
            ),
        ),
        ("lies: another database: recover --apply --yes",),
        "no_trade_of_another_database_is_adopted",
    ),
    "the drawdown guard believes every balance": Mutation(
        (
            Replacement(
                "botctl/trading/evidence/account_check.py",
                "holdings, flows = notice_flows(known.holdings, shown, value, snapshot.at, accept=certain)",
                "holdings, flows = Holdings(shown), ()",
            ),
        ),
        ("lies: cash: a quiet day, lacking, for a minute",),
        "a_lie_moves_nothing",
    ),
    "the drawdown guard believes every price": Mutation(
        (Replacement("botctl/trading/evidence/account_check.py", "if _agrees(prices[symbol], candle):", "if candle:"),),
        ("lies: prices of the owner's coins: abc, /2, for a minute",),
        "a_lie_moves_nothing",
    ),
    # Flows and what drawdown is measured from.
    "a flow moves no base": Mutation(
        (
            Replacement(
                "botctl/domain/account/performance.py",
                "return replace(self, base=self.base * after / before, unit=unit)",
                "return self",
            ),
        ),
        FLOWS,
        "exit code",
    ),
    "a large flow counts at once": Mutation(
        (
            Replacement(
                "botctl/domain/account/performance.py",
                "elif doubt is None and abs(change) > small:",
                "elif value is None:",
            ),
        ),
        FLOWS,
        "base",
    ),
}


@contextmanager
def mutated_stage(mutation: Mutation, server: Server | None) -> Iterator[Stage]:
    """A stage on which botctl runs with the fault in it."""
    with Processes(mutation.mutated_files()) as processes:
        stage = Stage(processes, server)
        try:
            yield stage
        finally:
            stage.close()
