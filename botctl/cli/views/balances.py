"""The balances of the account as a table."""

from collections.abc import Sequence

from botctl.cli.tables import Drawing, draw_table, group
from botctl.domain.money import total
from botctl.domain.text import format_amount, format_money
from botctl.queries.results import BalanceView


def draw_balances(rows: Sequence[BalanceView], currency: str) -> Drawing:
    """Each balance with its value in `currency`, then the sum of those that have one."""
    cells = [
        [row.currency, format_amount(row.total), format_amount(row.free), format_money(row.value, currency)]
        for row in rows
    ]
    table = draw_table(("currency", "amount", "free", "value"), cells)
    worth = format_money(total(row.value for row in rows if row.value is not None), currency)
    without = [row.currency for row in rows if row.value is None]
    left_out = f", without {', '.join(without)}: no price" if without else ""
    return group(table, f"worth {worth} together{left_out}")
