"""Schema 4 to 5: columns for what was only in texts. No other module parses those texts."""

import re
from collections.abc import Callable
from decimal import Decimal

from botctl.domain.money import format_decimal
from botctl.store.models import database

OUTCOME = re.compile(r"(?:bought: trade|sold trade) ([0-9]{1,9})")
PRICE = re.compile(r"price ([0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]{2,3})?)(?: and [0-9]+ missed closes)?")
"""The text of a stop or high that moved, or of a stop that was hit. The price has six digits."""
ERRORS = (
    (
        "Kraken's answer leaves the order open|Kraken already has an order with this id"
        "|Kraken refused the order and named it|the run ended while it was being sent|.*may exist",
        "OutcomeUnknown",
    ),
    ("Kraken refused the order: (EService:Deadline elapsed|EGeneral:Invalid arguments:deadline)", "DeadlineElapsed"),
    (
        r"Kraken refused the order: (EAPI:Invalid nonce|E[A-Za-z]+:(Domain )?[Rr]ate limit|EGeneral:Too many requests)"
        "|the paper broker has no price|.*: the paper broker can't fill it",
        "ExchangeBusy",
    ),
    ("Kraken refused the order: .*minimum|the paper broker refused the order: ", "BelowMinimum"),
    ("Kraken refused the order: |insufficient funds at the paper broker", "ExchangeRefused"),
)


def fill_columns() -> None:
    """Add `decision.trade_id`, `event.price` and `order.error_class`, NULL where the old text does not contain them."""
    database.execute_sql("ALTER TABLE decision ADD COLUMN trade_id INTEGER")
    database.execute_sql("ALTER TABLE event ADD COLUMN price TEXT")
    database.execute_sql('ALTER TABLE "order" ADD COLUMN error_class TEXT')
    _fill("decision", "trade_id", "SELECT id, outcome FROM decision WHERE outcome <> ''", parse_trade_id)
    moves = "SELECT id, why FROM event WHERE kind IN ('stop moved', 'new high', 'stop hit')"
    _fill("event", "price", moves, parse_price)
    errors = 'SELECT id, error FROM "order" WHERE error IS NOT NULL'
    _fill("order", "error_class", errors, parse_error_class)
    database.execute_sql('CREATE INDEX "decision_trade_id" ON "decision" ("trade_id")')


def parse_trade_id(outcome: str) -> int | None:
    found = OUTCOME.fullmatch(outcome)
    return int(found[1]) if found else None


def parse_price(why: str) -> str | None:
    found = PRICE.fullmatch(why)
    return format_decimal(Decimal(found[1])) if found else None


def parse_error_class(error: str) -> str | None:
    return next((name for pattern, name in ERRORS if re.match(pattern, error, re.DOTALL)), None)


def _fill(table: str, column: str, texts: str, parse: Callable[[str], int | str | None]) -> None:
    rows = [(parse(text), row_id) for row_id, text in database.execute_sql(texts).fetchall()]
    parsed = [row for row in rows if row[0] is not None]
    if parsed:
        statement = f'UPDATE "{table}" SET "{column}" = {database.param} WHERE "id" = {database.param}'
        database.cursor().executemany(statement, parsed)
