"""The top of the page: how the bot stands, with every open position and its stop."""

from collections.abc import Iterable, Sequence
from html import escape

from botctl.domain import text
from botctl.domain.money import format_decimal
from botctl.queries.cockpit import Cockpit, CockpitPosition
from botctl.reporting.tables import figure_cell, percent_cell, table, text_cell


def now_section(cockpit: Cockpit) -> Iterable[str]:
    yield f'<h2 id="now">Now <span class="quiet">{escape(cockpit.status.mode)} mode, {escape(cockpit.home)}</span></h2>'
    yield f'<p class="state">{escape(cockpit.switch)}</p>'
    yield from _alarms(cockpit)
    yield "<dl>"
    for name, value in _facts(cockpit):
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl>"
    held = f"{len(cockpit.positions):,}, at the last price that a run has seen" if cockpit.positions else "none"
    yield f'<h2 id="positions">Open positions <span class="quiet">{held}</span></h2>'
    yield from table(
        "Open positions",
        "symbol, price*, stop*, above its stop*, stop to highest price, if sold at the stop*, if sold now*, guard~, "
        "amount*, seen, trade",
        map(_position_cells, cockpit.positions),
        "no open positions",
    )


def _alarms(cockpit: Cockpit) -> Iterable[str]:
    if not cockpit.alarms:
        yield '<p class="quiet">No open alarms.</p>'
        return
    yield '<ul class="alarms" aria-label="Open alarms">'
    for alarm in cockpit.alarms:
        since = f" (since {text.format_time(alarm.since)} UTC)" if alarm.since else ""
        yield f"<li><strong>Alarm:</strong> {escape(alarm.text)}{since}</li>"
    yield "</ul>"


def _facts(cockpit: Cockpit) -> Iterable[tuple[str, str]]:
    status, quote = cockpit.status, cockpit.quote_currency
    at = f", at {text.format_time(cockpit.equity_at)}" if cockpit.equity_at else ""
    yield "equity", f"{text.format_money(status.equity)} {quote}{at}"
    yield "cash", f"{text.format_money(cockpit.cash)} {quote}"
    limit, peak = text.format_percent(cockpit.max_drawdown), cockpit.max_drawdown_peak
    yield "drawdown below the base", f"{text.format_percent(status.drawdown)}, sells all at {limit}"
    limit = "" if peak is None else f", sells all at {text.format_percent(peak)}"
    yield "drawdown from the peak of performance", f"{text.format_percent(status.drawdown_peak)}{limit}"
    yield "last tick", _describe_last_tick(cockpit)
    expected = f"about {text.format_time(cockpit.next_tick_at)}" if cockpit.next_tick_at else "none is expected"
    yield "next tick", f"{expected}{f', by {status.scheduled_by}' if status.scheduled_by else ', no scheduler found'}"


def _describe_last_tick(cockpit: Cockpit) -> str:
    status = cockpit.status
    if status.last_tick_at is None:
        return "none yet"
    missed = f", {status.missed_ticks:,} missed so far" if status.missed_ticks else ""
    if status.last_tick_ok:
        return f"{text.format_time(status.last_tick_at)}, without a failure{missed}"
    return f"{text.format_time(status.last_tick_at)}, failed: {cockpit.last_tick_error}{missed}"


def _position_cells(position: CockpitPosition) -> Sequence[str]:
    trade, price, stop = position.live.trade, position.live.price, position.live.trade.stop_loss_price
    return (
        text_cell(trade.symbol),
        figure_cell(price, text.format_price(price, position.price_decimals)),
        figure_cell(stop, text.format_price(stop, position.price_decimals)),
        percent_cell(position.stop_distance),
        _bar(position),
        figure_cell(position.pnl_at_stop, text.format_signed(position.pnl_at_stop), coloured=True),
        figure_cell(position.live.net_pnl, text.format_signed(position.live.net_pnl), coloured=True),
        text_cell(_describe_guard(position), kind="guard"),
        figure_cell(trade.amount, format_decimal(trade.amount)),
        text_cell(text.format_time(position.price_at)),
        text_cell(str(trade.id)),
    )


def _bar(position: CockpitPosition) -> str:
    """Where the price is between the stop and the highest price since the entry."""
    price, trade = position.live.price, position.live.trade
    stop, high = trade.stop_loss_price, max(trade.high_price or 0.0, float(price or 0))
    if price is None or stop is None or high <= stop:
        return text_cell(text.UNKNOWN)
    part = min(1.0, max(0.0, (float(price) - stop) / (high - stop)))
    name = f"{escape(trade.symbol)}: from the stop to the highest price"
    return f'<td><meter value="{part:.2f}" aria-label="{name}"></meter> {100 * part:.0f} %</td>'


def _describe_guard(position: CockpitPosition) -> str:
    trade = position.live.trade
    trigger = text.format_price(trade.resting_trigger, position.price_decimals)
    resting = "" if trade.resting_trigger is None else f"; a stop rests at Kraken at {trigger}"
    if position.unguarded:
        return f"{'at Kraken only' if resting else 'NOT guarded'}: {position.unguarded}{resting}"
    lack = "" if trade.unprotected is None else f"; resting stop: {trade.unprotected}"
    return f"each tick{resting}{lack}"
