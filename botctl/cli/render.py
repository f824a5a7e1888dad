"""A result becomes a table that fits 80 columns. Those of the quickest commands have files of their own."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from botctl.cli.render_positions import draw_live_positions, draw_trades
from botctl.cli.results import BackupView, CheckLine, ConfigLine, CopyView, InitView, MigrateView
from botctl.cli.tables import amount, group, new_table, pairs
from botctl.domain.figures import UNKNOWN, moment, money, percent, price, signed
from botctl.domain.money import plain
from botctl.domain.report import ReportView
from botctl.domain.schedule import CRON, SHORTEST_DELAY, ScheduleView
from botctl.monitoring.results import NotifyView
from botctl.queries.results import BalanceView, CheckView, DemoView, EventView, OrderView, StoryView
from botctl.reconciliation.results import ReconcileView, RecoverView
from botctl.services.fetch import FetchView
from botctl.trading.results import DecisionView, DrawdownView, LiquidationView, OrderResult, TickView


def _orders(rows: Sequence[OrderView]) -> Any:
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
    return group(table, *lines) if lines else table


def _decisions(rows: Sequence[DecisionView]) -> Any:
    return group(*(part for row in rows for part in (_decision(row), "")))


def _decision(row: DecisionView) -> str:
    lines = [(moment(row.decided_at), f"{row.decision} {row.symbol} at {price(row.price)}")]
    lines += [(f"  {said['agent']}", f"{said['stance']}: {said['reason']}") for said in row.verdicts]
    if not row.verdicts:
        lines.append(("  reason", row.reason))
    if row.outcome:
        lines.append(("  outcome", row.outcome))
    return pairs(lines)


def _balances(rows: Sequence[BalanceView]) -> Any:
    from rich.markup import escape

    table = new_table("currency", "amount", "free", "value")
    for row in rows:
        table.add_row(escape(row.currency), amount(row.total), amount(row.free), money(row.value))
    return table


def _checks(rows: Sequence[CheckLine]) -> Any:
    from rich.markup import escape

    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    table = new_table("check", "", "what")
    for row in rows:
        fix = f"\n-> {row.fix}" if row.fix else ""
        table.add_row(row.name, f"[{colours[row.status]}]{row.status}[/]", escape(row.detail + fix))
    return table


def _notified(rows: Sequence[NotifyView]) -> str:
    return pairs(
        [
            (f"{place}. {row.service}", ("ok: " if row.ok else "FAILED: ") + row.detail)
            for place, row in enumerate(rows, 1)
        ]
    )


def _events(rows: Sequence[EventView]) -> str:
    """When, whose and what; below it each column that changed."""
    lines = []
    for row in rows:
        whose = f"trade {row.trade_id} {row.symbol}: " if row.trade_id else f"{row.symbol}: " if row.symbol else ""
        why = "" if row.why == row.kind else f", {row.why}"
        lines.append((f"{row.at:%m-%d %H:%M:%S}", f"{whose}{row.kind}{why}"))
        changes = [
            f"{name} {_figure(row.before.get(name))} -> {_figure(value)}"
            for name, value in row.after.items()
            if name != "checked_at" and row.before.get(name) != value
        ]
        if changes:
            lines.append(("", ", ".join(changes)))
    return pairs(lines)


def _figure(value: Any) -> str:
    """A column's value, to ten digits where it is a number."""
    if value in (None, ""):
        return UNKNOWN
    try:
        return plain(Decimal(f"{Decimal(str(value)):.10g}"))
    except ArithmeticError:
        return str(value)


def _config(rows: Sequence[ConfigLine]) -> str:
    return pairs([(row.name, f"{row.value or UNKNOWN} ({row.file or row.source})") for row in rows])


def _fetched(rows: Sequence[FetchView]) -> str:
    lines = []
    for row in rows:
        known = f"{row.candles:,} from {moment(row.first)} to {moment(row.last)}"
        lines += [(f"{row.symbol} {row.timeframe}", f"{row.added:,} added, now {known}"), ("", row.file)]
    return pairs(lines)


# Single results


def _order_result(result: OrderResult) -> Any:
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


def _story(result: OrderResult) -> str:
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


def _tick(view: TickView) -> Any:
    lines = [f"{view.mode} tick of {moment(view.at)} UTC"]
    lines += [f"  {_story(result)}" for result in (*view.exits, *view.entries)]
    for row in view.decisions:
        outcome = f" - {row.outcome}" if row.outcome else ""
        lines.append(f"  {row.symbol} {row.decision}: {row.reason}{outcome}")
    if view.equity is not None:
        lines.append(f"  equity {money(view.equity)}, drawdown {percent(view.drawdown)}")
    lines.append(f"  why: `botctl why {view.decisions[0].symbol}`" if view.decisions else "  the Council did not sit")
    return group(*lines)


def _check_view(view: CheckView) -> Any:
    sold = [_story(result) for result in view.exits]
    return group(*sold, draw_live_positions(view.positions) if view.positions else "no open positions")


def _drawdown(view: DrawdownView) -> Any:
    return group(
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


def _liquidation(view: LiquidationView) -> Any:
    sold = [_story(result) for result in view.exits] or [
        "nothing was sold" if view.errors or view.open_trades else "there was nothing to sell"
    ]
    buys = "enabled" if view.buy_enabled else "disabled"
    return group(*sold, f"{view.open_trades} trades are open, buys are {buys}")


def _reconcile(view: ReconcileView) -> Any:
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
    return group(*parts)


def _id(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _side(state: str | None, filled: Decimal | None, cost: Decimal | None, fee: Decimal | None) -> str:
    """One side of an order, in two lines."""
    if state is None:
        return UNKNOWN
    return f"{state} {amount(filled)}\n{money(cost)}, fee {money(fee)}" if filled else state


def _recover(view: RecoverView) -> Any:
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


def _demo(view: DemoView) -> Any:
    decided = ", ".join(f"{count} {name}" for name, count in sorted(view.decisions.items()))
    return group(
        draw_trades(view.trades) if view.trades else "no trades",
        f"{view.ticks} ticks of the synthetic tape: {len(view.trades)} trades; the Council said {decided}",
        f"equity {money(view.equity)} of {money(view.initial_balance)}",
    )


def _init(view: InitView) -> Any:
    rows = [
        ("mode", view.mode),
        ("settings", f"{view.env_file} ({'written' if view.env_written else 'kept as it is'})"),
        ("database", f"{view.database} ({'made' if view.database_created else 'was there'})"),
    ]
    return pairs([*rows, *[("next", step) for step in view.next]])


def _story_of_trade(view: StoryView) -> str:
    trade = view.trade
    ended = f", {trade.exit_reason}" if trade.exit_reason else ""
    lines = [(f"trade {trade.id}", f"{trade.symbol} {trade.status}{ended}")]
    if not view.steps or view.steps[0].kind != "decided":
        lines.append(("", "no decision of the Council led to it: bought by hand, or recovered"))
    for step in view.steps:
        lines.append((f"{step.at:%m-%d %H:%M:%S}", f"{step.kind}: {step.detail}"))
        if step.kind == "decided" and step.price is not None:
            lines.append(("", f"the last price was {price(step.price)}"))
        if step.kind == "order":
            lines.append(("", f"client order id {step.client_order_id}"))
    lines += [("fees", money(view.fees)), ("slippage", signed(view.slippage_cost)), ("P&L", signed(trade.pnl))]
    return pairs(lines)


def _schedule(view: ScheduleView) -> str:
    if view.installed:
        state = "runs the ticks" if view.current else "runs the ticks, not as it would be told now"
        hint = "" if view.current else ": `botctl schedule install` brings it up to date"
    else:
        state, hint = "does not run the ticks", ": `botctl schedule install` has it run them"
    done = "removed from" if view.changed and not view.installed else "changed in" if view.changed else ""
    delay = f"{SHORTEST_DELAY} to {view.delay_seconds} s, always the same"
    if view.kind == CRON and view.installed:
        delay = f"{view.delay_seconds} s"
    rows = [
        ("home", view.home),
        ("schedule", f"{done} {view.kind}" if done else f"{view.kind} {state}{hint}"),
        ("every", f"{view.every}, with a delay of {delay}"),
    ]
    rows += [("copy", f"the crontab from before is {view.backup}")] if view.backup else []
    rows += [("beware", f"the crontab has another line for this home: {line.strip()}") for line in view.others]
    rows += [("note", note) for note in view.notes]
    if view.changed and not view.installed:
        return pairs(rows)
    return "\n\n".join([pairs(rows), *[f"{place}:\n{text.rstrip()}" for place, text in view.files.items()]])


def _migrate(view: MigrateView) -> str:
    was = "it was there already" if view.schema_before == view.schema else f"it was {view.schema_before}"
    return pairs([("database", view.database), ("schema", f"{view.schema} ({was})")])


def _backup(view: BackupView) -> str:
    return pairs([("database", view.database), ("copied to", view.file), ("bytes", f"{view.bytes:,}")])


def _copy(view: CopyView) -> str:
    rows = [("from", view.database), ("to", view.to)]
    rows += [(table.table, f"{table.rows:,} rows, the same in both") for table in view.tables]
    return pairs([*rows, *[("next", step) for step in view.next]])


def _report(view: ReportView) -> str:
    return "\n".join(path for path in (view.file, view.png) if path)


NAMING_THE_MODE = (
    TickView,
    InitView,
    DemoView,
    CheckLine,
    FetchView,
    ReportView,
)
VIEWS: dict[type, Callable[[Any], Any]] = {
    OrderResult: _order_result,
    TickView: _tick,
    CheckView: _check_view,
    DrawdownView: _drawdown,
    LiquidationView: _liquidation,
    ReconcileView: _reconcile,
    RecoverView: _recover,
    DemoView: _demo,
    InitView: _init,
    MigrateView: _migrate,
    BackupView: _backup,
    CopyView: _copy,
    ReportView: _report,
    StoryView: _story_of_trade,
    ScheduleView: _schedule,
}
LISTS: dict[type, Callable[[Any], Any]] = {
    OrderView: _orders,
    DecisionView: _decisions,
    BalanceView: _balances,
    CheckLine: _checks,
    NotifyView: _notified,
    FetchView: _fetched,
    EventView: _events,
    ConfigLine: _config,
}
