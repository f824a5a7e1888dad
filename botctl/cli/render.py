"""A result becomes a table that fits 80 columns, or JSON."""

import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from botctl.domain import results
from botctl.domain.figures import UNKNOWN, moment, money, percent, price, signed
from botctl.domain.money import plain
from botctl.domain.results import to_plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from botctl.ports import Progress

KEPT_WHOLE = ("why", "symbol", "state", "status")
"""Columns whose words somebody may look for: never broken."""
WIDTH = 80


def show(ctx: typer.Context, result: Any) -> None:
    """Print one result."""
    if ctx.meta.get("json"):
        print(json.dumps(to_plain(result)))
    else:
        _name_mode(ctx, type(result))
        show_table(VIEWS[type(result)](result))


def show_list(ctx: typer.Context, rows: Sequence[Any], when_empty: str) -> None:
    """Print several results of one kind."""
    if ctx.meta.get("json"):
        print(json.dumps(to_plain(rows)))
    elif rows:
        _name_mode(ctx, type(rows[0]))
        show_table(LISTS[type(rows[0])](rows))
    else:
        print(f"{ctx.meta['mode']}: {when_empty}")


def _name_mode(ctx: typer.Context, kind: type) -> None:
    """Say whose figures these are, where the view itself does not: paper must never pass for live."""
    if kind not in NAMING_THE_MODE:
        print(f"{ctx.meta['mode']} mode")


def show_table(renderable: "RenderableType") -> None:
    """Print a table, or a text."""
    if isinstance(renderable, str):
        print(renderable)
        return
    from rich.console import Console

    Console(highlight=False, soft_wrap=False).print(renderable)


def with_progress[T](items: Sequence[T], text: str, *, quiet: bool) -> Iterable[T]:
    """The items one by one, with a bar on stderr where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, text, console=Console(stderr=True), transient=True)


@contextmanager
def progress(text: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal; call what it gives with how many more are done."""
    if quiet or not sys.stderr.isatty():
        yield lambda _more: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda more: bar.advance(task, more)


@contextmanager
def progress_bar(ctx: typer.Context, words: str) -> "Iterator[Progress]":
    """A bar on stderr for the one who waits on a terminal; nothing for scripts."""
    if ctx.meta.get("json") or not sys.stderr.isatty():
        yield lambda done, whole: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(words, total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)


# Figures


def amount(value: Decimal | None) -> str:
    return UNKNOWN if value is None else plain(value)


def short(value: Decimal) -> str:
    """An amount to about five digits, for a table that has no room for all of them."""
    return f"{value:.0f}" if value >= 10_000 else plain(Decimal(f"{value:.5g}"))


def coloured(value: Decimal | None) -> str:
    """Profit in green, loss in red, where there are colours."""
    return f"[{'green' if value is None or value >= 0 else 'red'}]{signed(value)}[/]"


# Tables


def new_table(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for column in columns:
        right = column in ("id", "amount", "entry", "stop", "high", "price", "exit", "P&L", "filled", "fee", "value")
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=column in KEPT_WHOLE)
    return table


def pairs(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values in two columns, plain: what needs no table needn't wait for rich to load."""
    left = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, value in rows:
        first, *rest = textwrap.wrap(value, WIDTH - left, break_on_hyphens=False) or [""]
        lines += [f"{name:{left}}{first}".rstrip(), *(" " * left + line for line in rest)]
    return "\n".join(lines)


def _group(*parts: Any) -> Any:
    """Parts below each other; plain text as long as all of them are."""
    if all(isinstance(part, str) for part in parts):
        return "\n".join(parts)
    from rich.console import Group
    from rich.text import Text

    return Group(*(Text(part) if isinstance(part, str) else part for part in parts))


def _positions(rows: Sequence[results.TradeView]) -> Any:
    table = new_table("id", "symbol", "status", "amount", "entry", "stop", "high")
    for row in rows:
        table.add_row(
            str(row.id),
            row.symbol,
            row.status,
            amount(row.amount),
            price(row.entry_price),
            price(row.stop_loss_price),
            price(row.high_price),
        )
    return table


def _live_positions(rows: Sequence[results.LivePosition]) -> Any:
    table = new_table("id", "symbol", "amount", "entry", "stop", "high", "price", "P&L")
    for row in rows:
        trade = row.trade
        table.add_row(
            str(trade.id),
            trade.symbol,
            amount(trade.amount),
            price(trade.entry_price),
            price(trade.stop_loss_price),
            price(trade.high_price),
            price(row.price),
            coloured(row.unrealized_pnl),
        )
    return table


def _trades(rows: Sequence[results.TradeView]) -> Any:
    if all(row.status in ("OPEN", "PENDING") for row in rows):
        return _positions(rows)
    table = new_table("id", "symbol", "amount", "entry", "exit", "why", "closed", "P&L")
    for row in rows:
        table.add_row(
            str(row.id),
            row.symbol,
            short(row.amount),
            price(row.entry_price),
            price(row.exit_price),
            row.exit_reason or row.status,
            f"{row.closed_at:%m-%d %H:%M}" if row.closed_at else UNKNOWN,
            coloured(row.pnl),
        )
    return table


def _orders(rows: Sequence[results.OrderView]) -> Any:
    table = new_table("id", "trade", "side", "symbol", "state", "amount", "filled", "price", "fee")
    for row in rows:
        table.add_row(
            str(row.id),
            str(row.trade_id),
            row.side,
            row.symbol,
            row.state,
            amount(row.amount),
            amount(row.filled),
            price(row.average_price),
            money(row.fee),
        )
    lines = [f"{row.id}: {row.error}" for row in rows if row.error]
    return _group(table, *lines) if lines else table


def _decisions(rows: Sequence[results.DecisionView]) -> Any:
    return _group(*(part for row in rows for part in (_decision(row), "")))


def _decision(row: results.DecisionView) -> str:
    lines = [(moment(row.decided_at), f"{row.decision} {row.symbol} at {price(row.price)}")]
    lines += [(f"  {said['agent']}", f"{said['stance']}: {said['reason']}") for said in row.verdicts]
    if not row.verdicts:
        lines.append(("  reason", row.reason))
    if row.outcome:
        lines.append(("  outcome", row.outcome))
    return pairs(lines)


def _balances(rows: Sequence[results.BalanceView]) -> Any:
    from rich.markup import escape

    table = new_table("currency", "amount", "free", "value")
    for row in rows:
        table.add_row(escape(row.currency), amount(row.total), amount(row.free), money(row.value))
    return table


def _checks(rows: Sequence[results.CheckLine]) -> Any:
    from rich.markup import escape

    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    table = new_table("check", "", "what")
    for row in rows:
        fix = f"\n-> {row.fix}" if row.fix else ""
        table.add_row(row.name, f"[{colours[row.status]}]{row.status}[/]", escape(row.detail + fix))
    return table


def _notified(rows: Sequence[results.NotifyView]) -> str:
    return pairs(
        [
            (f"{place}. {row.service}", ("ok: " if row.ok else "FAILED: ") + row.detail)
            for place, row in enumerate(rows, 1)
        ]
    )


def _fetched(rows: Sequence[results.FetchView]) -> str:
    lines = []
    for row in rows:
        known = f"{row.candles:,} from {moment(row.first)} to {moment(row.last)}"
        lines += [(f"{row.symbol} {row.timeframe}", f"{row.added:,} added, now {known}"), ("", row.file)]
    return pairs(lines)


# Single results


def _order_result(result: results.OrderResult) -> Any:
    done = f"{amount(result.filled)} of {amount(result.amount)}"
    rows = [
        ("order", f"{result.side} {result.symbol} {result.state}"),
        ("amount", done if result.state != "VALIDATED" else amount(result.amount)),
    ]
    if result.average_price is not None:
        rows += [
            ("price", price(result.average_price)),
            ("cost" if result.side == "buy" else "proceeds", money(result.cost)),
            ("fee", money(result.fee)),
        ]
    if result.trade_id:
        ended = result.reason if result.trade_status == "CLOSED" else None
        rows.append(("trade", " ".join(filter(None, (str(result.trade_id), result.trade_status, ended)))))
    if result.side == "buy" and result.stop_loss_price is not None:
        rows.append(("stop", f"{price(result.stop_loss_price)} (ATR {price(result.atr)})"))
    if result.pnl is not None:
        rows.append(("P&L", signed(result.pnl)))
    if result.note:
        rows.append(("note", result.note))
    return pairs(rows)


def _story(result: results.OrderResult) -> str:
    """One order in one line, as a tick tells it."""
    verb = "bought" if result.side == "buy" else "sold"
    if result.state == "VALIDATED":
        return f"validated: would have {verb} {amount(result.amount)} {result.symbol}"
    if result.filled == 0:
        return f"{result.side} {result.symbol} is {result.state}"
    line = f"{verb} {amount(result.filled)} {result.symbol} at {price(result.average_price)}"
    if result.side == "buy":
        return f"{line}, stop {price(result.stop_loss_price)}"
    return f"{line}: {result.reason}" + ("" if result.pnl is None else f", P&L {signed(result.pnl)}")


def _tick(view: results.TickView) -> Any:
    lines = [f"{view.mode} tick of {moment(view.at)} UTC"]
    lines += [f"  {_story(result)}" for result in (*view.exits, *view.entries)]
    for row in view.decisions:
        outcome = f" - {row.outcome}" if row.outcome else ""
        lines.append(f"  {row.symbol} {row.decision}: {row.reason}{outcome}")
    if view.equity is not None:
        lines.append(f"  equity {money(view.equity)}, drawdown {percent(view.drawdown)}")
    lines.append(f"  why: `botctl why {view.decisions[0].symbol}`" if view.decisions else "  the Council did not sit")
    return _group(*lines)


def _check_view(view: results.CheckView) -> Any:
    sold = [_story(result) for result in view.exits]
    return _group(*sold, _live_positions(view.positions) if view.positions else "no open positions")


def _drawdown(view: results.DrawdownView) -> Any:
    return _group(
        pairs(
            [
                ("equity", money(view.equity)),
                ("initial balance", money(view.initial_balance)),
                ("drawdown", f"{percent(view.drawdown)} (limit {percent(view.max_drawdown)})"),
                ("guard", "TRIPPED" if view.tripped else "quiet"),
            ]
        ),
        *[_story(result) for result in view.exits],
    )


def _liquidation(view: results.LiquidationView) -> Any:
    sold = [_story(result) for result in view.exits] or [
        "nothing was sold" if view.errors or view.open_trades else "there was nothing to sell"
    ]
    buys = "enabled" if view.buy_enabled else "disabled"
    return _group(*sold, f"{view.open_trades} trades are open, buys are {buys}")


def _status(view: results.StatusView) -> Any:
    state = view.system_status + (" and FROZEN" if view.frozen else "")
    buys = "enabled" if view.buy_enabled else "disabled"
    if view.tripped_at:
        buys = f"disabled: the drawdown guard tripped at {moment(view.tripped_at)}"
    last = "never" if view.last_tick_at is None else f"{moment(view.last_tick_at)} UTC, {_ok(view.last_tick_ok)}"
    return pairs(
        [
            ("mode", view.mode),
            ("system", state + (f" ({view.why})" if view.why else "")),
            ("buys", buys),
            ("equity", f"{money(view.equity)} of {money(view.initial_balance)}"),
            ("drawdown", percent(view.drawdown)),
            ("open trades", str(view.open_trades)),
            ("unsettled orders", str(view.unsettled_orders)),
            ("last tick", last),
            ("missed ticks", str(view.missed_ticks)),
        ]
    )


def _ok(value: bool | None) -> str:
    return "ok" if value else "failed"


def _switch(view: results.SwitchView) -> Any:
    frozen = " and FROZEN: positions are unguarded" if view.frozen else ""
    why = f" ({view.why})" if view.why else ""
    return f"system is {view.system_status}{frozen}{why}, buys are {'enabled' if view.buy_enabled else 'disabled'}"


def _reconcile(view: results.ReconcileView) -> Any:
    parts: list[Any] = []
    if view.orders:
        table = new_table("trade", "order", "journal", "exchange", "verdict")
        for order in view.orders:
            mine = (order.journal_state, order.journal_filled, order.journal_cost, order.journal_fee)
            theirs = (order.exchange_state, order.exchange_filled, order.exchange_cost, order.exchange_fee)
            table.add_row(
                _id(order.trade_id), f"{order.role}\n{order.symbol}", _side(*mine), _side(*theirs), order.verdict
            )
        parts += [table, ""]
    if view.positions:
        table = new_table("trade", "symbol", "held", "by its orders", "balance", "verdict")
        for row in view.positions:
            figures = (amount(row.held), amount(row.exchange_held), amount(row.balance))
            table.add_row(_id(row.trade_id), row.symbol, *figures, row.verdict)
        parts += [table, ""]
    differing = sum(not row.same for row in view.orders) + sum(not row.same for row in view.positions)
    compared = f"{len(view.orders)} orders and {len(view.positions)} positions since {moment(view.since)} UTC"
    parts.append(f"{compared}: {'all the same' if view.same else f'{differing} differ'}")
    if view.foreign_orders:
        parts.append(f"{view.foreign_orders} orders of the account are not botctl's")
    return _group(*parts)


def _id(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _side(state: str | None, filled: Decimal | None, cost: Decimal | None, fee: Decimal | None) -> str:
    """One side of an order, in two lines."""
    if state is None:
        return UNKNOWN
    return f"{state} {amount(filled)}\n{money(cost)}, fee {money(fee)}" if filled else state


def _recover(view: results.RecoverView) -> Any:
    lines = []
    for row in view.actions:
        figures = [amount(row.amount)]
        if row.stop_loss_price is not None:
            figures += [f"entry {price(row.entry_price)}", f"stop {price(row.stop_loss_price)}"]
        lines += [
            (f"{row.action} trade {_id(row.trade_id)}", f"{row.symbol} {', '.join(figures)}"),
            ("", row.detail),
        ]
    lines += [("note", note) for note in view.notes]
    rest = f"{view.same_trades} trades are the same or have ended, {view.foreign_orders} orders are not botctl's"
    lines.append((f"since {view.since:%Y-%m-%d}", rest))
    if any(row.action in ("add", "reduce", "close", "adopt") for row in view.actions):
        applied = "written, and paused: check with `botctl reconcile`, then `botctl resume`"
        lines.append(("", applied if view.applied else "nothing was changed: `botctl recover --apply` writes it"))
    elif not view.actions:
        lines.append(("", "there is nothing to recover"))
    return pairs(lines)


def _demo(view: results.DemoView) -> Any:
    decided = ", ".join(f"{count} {name}" for name, count in sorted(view.decisions.items()))
    return _group(
        _trades(view.trades) if view.trades else "no trades",
        f"{view.ticks} ticks of the synthetic tape: {len(view.trades)} trades; the Council said {decided}",
        f"equity {money(view.equity)} of {money(view.initial_balance)}",
    )


def _init(view: results.InitView) -> Any:
    rows = [
        ("mode", view.mode),
        ("settings", f"{view.env_file} ({'written' if view.env_written else 'kept as it is'})"),
        ("database", f"{view.database} ({'made' if view.database_created else 'was there'})"),
    ]
    return pairs([*rows, *[("next", step) for step in view.next]])


def _report(view: results.ReportView) -> str:
    return "\n".join(path for path in (view.file, view.png) if path)


NAMING_THE_MODE = (
    results.TickView,
    results.StatusView,
    results.InitView,
    results.DemoView,
    results.CheckLine,
    results.FetchView,
    results.ReportView,
)
VIEWS: dict[type, Callable[[Any], Any]] = {
    results.OrderResult: _order_result,
    results.TickView: _tick,
    results.CheckView: _check_view,
    results.DrawdownView: _drawdown,
    results.LiquidationView: _liquidation,
    results.StatusView: _status,
    results.SwitchView: _switch,
    results.ReconcileView: _reconcile,
    results.RecoverView: _recover,
    results.DemoView: _demo,
    results.InitView: _init,
    results.ReportView: _report,
}
LISTS: dict[type, Callable[[Any], Any]] = {
    results.TradeView: _trades,
    results.LivePosition: _live_positions,
    results.OrderView: _orders,
    results.DecisionView: _decisions,
    results.BalanceView: _balances,
    results.CheckLine: _checks,
    results.NotifyView: _notified,
    results.FetchView: _fetched,
}
