"""The balances of the account as a table."""

from collections.abc import Sequence

from botctl.cli.tables import Drawing, draw_table
from botctl.domain.text import format_amount, format_money
from botctl.queries.results import BalanceView


def draw_balances(rows: Sequence[BalanceView]) -> Drawing:
    cells = [[row.currency, format_amount(row.total), format_amount(row.free), format_money(row.value)] for row in rows]
    return draw_table(("currency", "amount", "free", "value"), cells)
