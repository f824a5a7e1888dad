"""How the bot stands, as a cockpit: the switch, each position beside its stop, the account, the ticks, the alarms."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from botctl.cli.styled import Line, Span, draw_lines, flowing, wrapped
from botctl.cli.tables import Drawing, sentence, width
from botctl.domain import text
from botctl.domain.configuration.settings import Mode
from botctl.domain.kill_switch import ACTIVE, SwitchSince, SwitchState, switch_sentence
from botctl.domain.symbols import quote_of
from botctl.queries.cockpit import Cockpit, CockpitPosition

BARS = "▁▂▃▄▅▆▇█"
NARROWEST, WIDEST = 60, 220
LABEL = 10
"""Columns of the names before the figures."""
BAR_WIDTHS = (24, 60)
NEAR_STOP = Decimal("0.005")
"""Distance from the stop, as a fraction of the price, below which it is coloured."""
GREY, GOOD, BAD, WARN = "bright_black", "green", "bold red", "yellow"
MODE_STYLES = {Mode.LIVE: "bold white on red", Mode.PAPER: "bold black on cyan"}


@dataclass(frozen=True)
class Screen:
    """What the cockpit is drawn on."""

    width: int
    letters: bool
    """Whether it shows more than ASCII."""
    stale_after: timedelta
    """The age from which a price is grey."""


def draw_status(view: Cockpit) -> Drawing:
    """In colour and as wide as the terminal; elsewhere plain ASCII, in 80 columns or COLUMNS."""
    screen = find_screen(timedelta(seconds=1.5 * view.tick_seconds))
    return draw_lines(cockpit_lines(view, screen), coloured=sys.stdout.isatty())


def find_screen(stale_after: timedelta) -> Screen:
    """The terminal; elsewhere what COLUMNS says, without letters beyond ASCII."""
    stdout = getattr(sys.stdout, "rich_proxied_file", sys.stdout)  # while rich draws, it stands before the real one
    letters = stdout.isatty() and "utf" in (stdout.encoding or "").lower()
    return Screen(min(max(width(), NARROWEST), WIDEST), letters, stale_after)


def cockpit_lines(view: Cockpit, screen: Screen) -> list[Line]:
    return [
        *_title(view, screen),
        *wrapped(view.switch, screen.width, _switch_style(view)),
        [],
        *_positions(view, screen),
        [],
        *_account(view, screen),
        [],
        *_ticks(view, screen),
        [],
        *_alarms(view, screen),
    ]


def draw_switch(state: SwitchState, open_trades: int, resting: int, no_buys: str) -> str:
    """In a sentence, as in the cockpit. `resting` stops rest at the exchange; `no_buys` is why settings allow none."""
    now = datetime.now(UTC)  # since when is left out: it is now
    return sentence(
        switch_sentence(state, SwitchSince(), now, open_trades=open_trades, resting=resting, no_buys=no_buys)
    )


def sparkline(values: Sequence[float], width: int) -> str:
    """The values as bars, oldest first, thinned to `width` of them; the last value is always the last bar."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    picked = [values[-1 - round(step * (len(values) - 1) / max(count - 1, 1))] for step in range(count)][::-1]
    low, span = min(picked), max(picked) - min(picked)
    if span <= 0:
        return BARS[len(BARS) // 2] * count
    return "".join(BARS[min(int((value - low) / span * len(BARS)), len(BARS) - 1)] for value in picked)


def _title(view: Cockpit, screen: Screen) -> list[Line]:
    mode = view.status.mode
    name = Span(f" {mode.upper()} ", MODE_STYLES.get(Mode(mode), "bold black on white"))
    time = f"{text.format_time(view.at)} UTC"
    room = screen.width - len(name.text) - len(time) - 2
    home = view.home if len(view.home) <= room - 1 else f"...{view.home[len(view.home) - room + 4 :]}"
    line = [name, Span(f" {home:{room}} ", "bold"), Span(time, GREY)]
    return [line, [Span(("─" if screen.letters else "-") * screen.width, GREY)]]


def _switch_style(view: Cockpit) -> str:
    status = view.status
    if status.frozen or status.tripped_at or (status.overdue and status.open_trades):
        return BAD
    return GOOD if status.system_status == ACTIVE and status.buy_enabled and not status.overdue else WARN


# Positions


def _positions(view: Cockpit, screen: Screen) -> list[Line]:
    if not view.positions:
        return [[Span(f"{'Positions':{LABEL}}", "bold"), Span("none open")]]
    stop, entry, price, end = _marks(screen)
    legend = f"bar: stop {stop}  entry {entry}  price {price}  high {end}"
    title = f"Positions: {len(view.positions)} open"
    lines: list[Line] = [[Span(f"{title:{screen.width - len(legend)}}", "bold"), Span(legend, GREY)]]
    rows = [_cells(view, row, screen) for row in view.positions]
    names = [max(len(row.live.trade.symbol) for row in view.positions)]
    columns = [max(len(row[column].text) for row in rows) for column in range(len(rows[0]))]
    bar = _bar_width([*names, *columns], screen.width)
    for position, cells in zip(view.positions, rows, strict=True):
        name = Span(position.live.trade.symbol, "bold")
        parts = [*cells, Span("")]
        *above, last = flowing(name, parts, [*names, *columns, bar], screen.width)
        last = [*last[:-1], *_bar(position, bar, screen)]
        lines += [*above, last] if any(span.text.strip() for span in last) else above
        lines += _remarks(position, names[0] + 2, screen)
    return lines


def _cells(view: Cockpit, row: CockpitPosition, screen: Screen) -> list[Span]:
    quote, decimals = quote_of(row.live.trade.symbol), row.price_decimals
    age = text.format_age(row.price_at, view.at)
    stale = row.price_at is None or view.at - row.price_at > screen.stale_after
    price = Span(f"price {text.format_price(row.live.price, decimals)} ({age})", GREY if stale else "")
    net = text.format_signed(row.live.net_pnl, quote, named=False)
    there = text.format_signed(row.pnl_at_stop, quote, named=False)
    return [
        price,
        Span(f"net P&L {net}", GREY if stale else sign_style(row.live.net_pnl)),
        Span(*_stop(row)),
        Span(f"at the stop {there}", sign_style(row.pnl_at_stop)),
    ]


def _stop(row: CockpitPosition) -> tuple[str, str]:
    """The stop and how far below the price it is: yellow close to it, red at it."""
    if row.live.trade.stop_loss_price is None:
        return "NO STOP", BAD
    stop = f"stop {text.format_price(row.live.trade.stop_loss_price, row.price_decimals)}"
    if row.stop_distance is None:
        return stop, ""
    if row.stop_distance <= 0:
        return f"{stop} (HIT: the next check sells)", BAD
    return f"{stop} ({text.format_percent(row.stop_distance)} below)", WARN if row.stop_distance < NEAR_STOP else ""


def _remarks(row: CockpitPosition, indent: int, screen: Screen) -> list[Line]:
    lines: list[Line] = []
    trade = row.live.trade
    if row.unguarded:
        guard = "NOT GUARDED" if trade.resting_trigger is None else "guarded at Kraken only"
        lines += wrapped(f"{guard}: {row.unguarded}", screen.width, BAD, indent=indent)
    if trade.resting_trigger is not None:
        trigger = text.format_price(trade.resting_trigger, row.price_decimals)
        lines += wrapped(f"a stop rests at the exchange, it sells at {trigger}", screen.width, indent=indent)
    if trade.unprotected is not None:
        lack = "no stop rests at the exchange" if trade.unprotected == "none" else f"that stop is {trade.unprotected}"
        lines += wrapped(f"UNPROTECTED: {lack}", screen.width, WARN, indent=indent)
    return lines


def sign_style(value: Decimal | None) -> str:
    return "" if not value else GOOD if value > 0 else "red"


def _marks(screen: Screen) -> tuple[str, str, str, str]:
    return ("├", "┼", "●", "┤") if screen.letters else ("[", "|", "o", "]")


def _bar_width(widths: Sequence[int], width: int) -> int:
    """What is left beside the other cells, or a line of its own."""
    used = widths[0] + 2
    for wide in widths[1:]:
        used = used if used + wide <= width else widths[0] + 2
        used += wide + 2
    least, most = BAR_WIDTHS
    return min(most, width - used if width - used >= least else width - widths[0] - 2)


def _bar(row: CockpitPosition, width: int, screen: Screen) -> list[Span]:
    """Stop, entry, price and high to scale."""
    trade = row.live.trade
    if trade.stop_loss_price is None or row.live.price is None or trade.entry_price is None:
        return []
    stop, entry, price = trade.stop_loss_price, float(trade.entry_price), float(row.live.price)
    high = max(trade.high_price or entry, price, entry, stop)
    low = min(stop, price, entry)
    scale = (width - 1) / (high - low) if high > low else 0.0
    places = [round((value - low) * scale) for value in (high, stop, entry, price)]
    dash, filled = ("─", "━") if screen.letters else ("-", "=")
    between = range(min(places[1], places[3]), max(places[1], places[3]))
    letters = [filled if place in between else dash for place in range(width)]
    stop_mark, entry_mark, price_mark, end_mark = _marks(screen)
    for place, mark in zip(places, (end_mark, stop_mark, entry_mark, price_mark), strict=True):
        letters[place] = mark
    near = (row.stop_distance or Decimal(0)) < NEAR_STOP
    return [Span("".join(letters), WARN if near else GOOD)]


# The account


def _account(view: Cockpit, screen: Screen) -> list[Line]:
    status, currency = view.status, view.quote_currency
    rows = [("equity", _equity(view), "")]
    if view.equity_curve:
        rows.append(("", _curve_in_words(view), GREY))
    rows += [
        ("drawdown", _drawdown(view), _drawdown_style(view)),
        ("cash", text.format_money(view.cash, currency), ""),
    ]
    if status.unsettled_orders:
        rows.append(("orders", f"{status.unsettled_orders} unsettled: the next tick looks them up", WARN))
    lines = _section("Account", rows, screen)
    if len(view.equity_curve) > 1 and screen.letters:
        values = [float(each.equity) for each in view.equity_curve]
        curve = sparkline(values, screen.width - LABEL)
        lines.insert(2, [Span(" " * LABEL), Span(curve, GOOD if values[-1] >= values[0] else "red")])
    return lines


def _section(title: str, rows: Sequence[tuple[str, str, str]], screen: Screen) -> list[Line]:
    lines: list[Line] = [[Span(title, "bold")]]
    for name, value, style in rows:
        lines += wrapped(value, screen.width, style, first=name, indent=LABEL)
    return lines


def _equity(view: Cockpit) -> str:
    if view.status.equity is None:
        return f"not known yet; it starts from {text.format_money(view.status.initial_balance, view.quote_currency)}"
    figure = text.format_money(view.status.equity, view.quote_currency)
    if view.status.drawdown is None:
        return figure
    return f"{figure}, {text.format_change(-view.status.drawdown)} since the start"


def _curve_in_words(view: Cockpit) -> str:
    first, last = view.equity_curve[0], view.equity_curve[-1]
    values = [each.equity for each in view.equity_curve]
    low, high = (text.format_money(each(values)) for each in (min, max))
    return (
        f"from {text.format_money(first.equity)} on {first.at:%Y-%m-%d} to {text.format_money(last.equity)} "
        f"on {last.at:%Y-%m-%d}, between {low} and {high}"
    )


def _drawdown(view: Cockpit) -> str:
    if view.status.drawdown is None:
        return f"not known; the limit is {text.format_percent(view.max_drawdown)} below the start"
    start = f"{text.below_or_above(view.status.drawdown, 'the start')} (limit {text.format_percent(view.max_drawdown)})"
    if view.status.drawdown_peak is None:
        return start
    limit = "no limit" if view.max_drawdown_peak is None else f"limit {text.format_percent(view.max_drawdown_peak)}"
    return f"{start}, {text.below_or_above(view.status.drawdown_peak, 'the peak')} ({limit})"


def _drawdown_style(view: Cockpit) -> str:
    """Yellow from half of a limit on, red from four fifths."""
    status = view.status
    pairs = ((status.drawdown, view.max_drawdown), (status.drawdown_peak, view.max_drawdown_peak))
    used = max((down / limit for down, limit in pairs if down is not None and limit), default=Decimal(0))
    return BAD if used >= Decimal("0.8") else WARN if used >= Decimal("0.5") else ""


# Ticks and alarms


def _ticks(view: Cockpit, screen: Screen) -> list[Line]:
    status = view.status
    rows = [("last", *_last_tick(view)), ("next", *_next_tick(view))]
    missed = f"{status.missed_ticks} in all" if status.missed_ticks else "none"
    rows.append(("missed", missed, ""))
    if status.running:
        rows.append(("running", status.running, ""))
    return _section("Ticks", rows, screen)


def _last_tick(view: Cockpit) -> tuple[str, str]:
    status = view.status
    if status.last_tick_at is None:
        return "never", WARN
    when = f"{text.format_time(status.last_tick_at)} UTC"
    if _has_own_clock(view):
        when = f"{text.format_age(status.last_tick_at, view.at)}, {when}"
    if status.last_tick_ok:
        return f"{when}, ok", BAD if status.overdue else GOOD
    return f"{when}, FAILED with exit code {view.last_tick_exit_code}: {view.last_tick_error}", BAD


def _next_tick(view: Cockpit) -> tuple[str, str]:
    runner = view.status.scheduled_by
    if view.status.overdue:
        return f"OVERDUE: {view.status.overdue}", BAD
    if not _has_own_clock(view):
        return f"run by {runner}" if runner else "whenever you run `botctl tick`: nothing else runs it here", ""
    if view.next_tick_at is None:
        return "nothing runs the ticks here: `botctl schedule install` does", WARN
    when = f"in {text.format_duration(view.next_tick_at - view.at)}, at {view.next_tick_at:%H:%M} UTC"
    if runner is None:
        return f"{when}, if somebody runs it: neither cron nor systemd does here", WARN
    return f"{when}, run by {runner}", ""


def _has_own_clock(view: Cockpit) -> bool:
    """Whether time passes between two ticks: that of the demo stands still."""
    return view.status.mode in (Mode.PAPER, Mode.LIVE)


def _alarms(view: Cockpit, screen: Screen) -> list[Line]:
    if not view.alarms:
        return [[Span(f"{'Alarms':{LABEL}}", "bold"), Span("none", GOOD)]]
    lines: list[Line] = [[Span(f"Alarms: {len(view.alarms)} open", BAD)]]
    for alarm in view.alarms:
        since = "" if alarm.since is None else f" (for {text.format_duration(view.at - alarm.since)})"
        lines += wrapped(f"{alarm.text}{since}", screen.width, "red", first="!", indent=2)
    return lines
