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
NO_PRICE_MOVES = "faults: slow answer: a buy by hand, AddOrder at 4"
"""As good as undisturbed."""

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
            f"faults: {fault}: a buy by hand, AddOrder at 4"
            for fault in ("closed after", "reset after", "time-out after")
        ),
        "at_most_one_exchange_order_per_intent",
    ),
    "an order is submitted only once it was sent": Mutation(
        (
            Replacement(
                EXECUTION,
                "request = self.journal.submit(order)  # committed before a byte is sent",
                "request = OrderRequest(\n"
                "            order.client_order_id, Side(order.side), order.symbol, order.amount, order.deadline\n"
                "        )",
            ),
            Replacement(
                EXECUTION,
                "            exchange_order_id = self.exchange.add_order(request)\n",
                "            exchange_order_id = self.exchange.add_order(request)\n"
                "            self.journal.submit(order)\n",
            ),
        ),
        ("kills: SIGKILL, request after: a buy by hand, 4",),
        "every_fill_is_in_the_journal_and_the_other_way_round",
    ),
    "an intent is committed only once its order was sent": Mutation(
        (
            Replacement(
                EXECUTION,
                "        order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())\n        try:\n",
                "        from botctl.store.models import database\n\n"
                '        with database.atomic("IMMEDIATE"):\n'
                "            return self._send_at_last(intend)\n\n"
                "    def _send_at_last(self, intend: Intend) -> OrderRow:\n"
                "        order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())\n        try:\n",
            ),
        ),
        ("kills: SIGKILL, request after: a buy by hand, 4",),
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
                "botctl/trading/order_settlement.py", "elif asked_at > order.deadline + ABSENT_AFTER:", "elif asked_at:"
            ),
        ),
        ("conditions: in no list for a minute: a buy by hand; reset after at 4",),
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
                JOURNAL,
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
        tuple(f"kills: SIGKILL, commit after: a buy by hand, {number}" for number in range(4, 10)),
        "every_trade_is_the_sum_of_its_fills",
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
