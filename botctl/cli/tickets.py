"""Order tickets of buys and sales by hand: shown before the question, or alone with --dry-run. They send no order.

Nothing waits for an answer: a ticket is made and forgotten, and the order is planned anew by the prices that are then.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import typer

from botctl.cli.context import confirm, wants_json
from botctl.cli.log import log_errors, notice
from botctl.cli.output import print_drawing, show
from botctl.cli.views.tickets import draw_sale_tickets, draw_ticket
from botctl.config import Config, open_store
from botctl.domain.errors import BadValue, BotError, ExchangeUnreachable, Refused, attempt_each
from botctl.domain.kill_switch import frozen_refusal
from botctl.domain.orders import ExitReason, TradeStatus
from botctl.queries.portfolio import fee_rates
from botctl.store.journal import Journal
from botctl.store.rows import TradeRow
from botctl.timeouts import time_limit
from botctl.trading.bot import Bot
from botctl.trading.entries import Spend
from botctl.trading.exits import WantedExit
from botctl.trading.outages import saying, without_outages
from botctl.trading.sizing import RunSizer
from botctl.trading.tickets.order_ticket import OrderTicket, plan_buy_ticket, sale_ticket
from botctl.wiring import build_market, open_bot

PATIENCE = 5.0
"""Seconds that the prices of a sale may take before the question: who wants out must not wait for a ticket."""

MAX_TICKET_AGE = timedelta(minutes=10)
"""How late a yes to a buy may come. Who left the question open overnight saw another market."""

DryRunFlag = Annotated[
    bool, typer.Option("--dry-run", help="Show the ticket: amount, price, fee, result. Send nothing.")
]


def check_dry_run(*, dry_run: bool, validate: bool) -> None:
    """Raises BadValue for --dry-run together with --validate."""
    if dry_run and validate:
        raise BadValue(
            "--dry-run and --validate can't be used together", hint="--validate asks Kraken, --dry-run does not"
        )


def show_ticket(ctx: typer.Context, ticket: OrderTicket) -> None:
    show(ctx, ticket, draw_ticket)
    if not wants_json(ctx):
        print("dry run: nothing was sent")


def plan_buy(config: Config, symbol: str, spend_of: Callable[[Bot], Spend], *, dry_run: bool) -> OrderTicket:
    """The ticket of a buy. Takes the lock for its requests and gives it back: no tick waits for the answer.

    Raises what the buy would raise before it is sent.
    """
    with open_bot(config, validate_only=dry_run) as bot, saying("nothing was bought; run it again later"):
        if not dry_run:
            log_errors(without_outages(bot.settlement.settle_unfinished_orders() + bot.unrecorded.check()))
        bot.execution.pre_trade_checks.check(symbol, bot.clock.now())
        spend = spend_of(bot)
        if isinstance(spend, Decimal):
            notice(*bot.sizing.remarks_on(symbol, spend))
        free = spend.free if isinstance(spend, RunSizer) else bot.execution.get_balance  # its look has the balances
        return plan_buy_ticket(bot.execution.entry_planner, symbol, spend, bot.sizing.rule, free)


def plan_sale(config: Config, asset: str, part: Decimal | None) -> OrderTicket:
    """The ticket of a sale, from the database and public prices: without the lock and without a private request.

    Raises Refused without an open trade of the asset, BadValue for more than it holds, and what the prices meet.
    """
    with open_store(config):
        wanted = _wanted_exit(config, asset, part)
        if config.switch.read().frozen:
            raise frozen_refusal()
        return _tickets_of(config, [wanted])[0]


def _wanted_exit(config: Config, asset: str, part: Decimal | None) -> WantedExit:
    trade = Journal(config.settings.botctl_mode).active_trade(asset)
    if trade is None or trade.status != TradeStatus.OPEN:
        raise Refused(f"no open trade of {asset}", hint="see `botctl positions`")
    wanted = WantedExit(trade, ExitReason.MANUAL, part)
    wanted.amount_to_sell()
    return wanted


def confirm_buy(ticket: OrderTicket, question: str) -> None:
    """Show the ticket, and ask. Raises Refused for no, and for a yes that comes too late."""
    print_drawing(draw_ticket(ticket), err=True)
    asked_at = datetime.now(UTC)
    confirm(question, yes=False)
    if (age := abs(datetime.now(UTC) - asked_at)) > MAX_TICKET_AGE:
        minutes = round(age.total_seconds() / 60)
        raise Refused(f"the ticket is {minutes} minutes old: nothing was bought", hint="run it again for a new one")


def show_before_sale(config: Config, asset: str, part: Decimal | None) -> int | None:
    """Show the ticket, or why there is none: that keeps nobody from selling. Returns the id of the asset's trade, None
    where there is none. Raises BadValue for more than is held."""
    trade: TradeRow | None = None
    with open_store(config):
        try:
            trade = Journal(config.settings.botctl_mode).active_trade(asset)
            _show_sale(config, asset, part)
        except BadValue:
            raise
        except (BotError, TimeoutError) as error:
            notice(f"no ticket: {_say(error)}")
    return None if trade is None else trade.id


def _show_sale(config: Config, asset: str, part: Decimal | None) -> None:
    wanted = _wanted_exit(config, asset, part)
    with time_limit(PATIENCE):
        ticket = _tickets_of(config, [wanted])[0]
    print_drawing(draw_ticket(ticket), err=True)


def check_same_trade(asked_about: int | None, trade: TradeRow) -> None:
    """Raises Refused where the yes was given to the sale of another trade, as when a tick has sold that meanwhile."""
    if trade.id != asked_about:
        problem = f"trade {trade.id} of {trade.asset} was opened after the question: it is not sold"
        raise Refused(problem, hint="run it again to see its ticket")


def show_before_liquidation(config: Config) -> None:
    """List what would be sold, with prices as far as they can be had at once."""
    trades, tickets = list[TradeRow](), list[OrderTicket]()
    with open_store(config):
        try:
            trades = Journal(config.settings.botctl_mode).active_trades()
            wanted = [WantedExit(each, ExitReason.LIQUIDATION) for each in trades if each.status == TradeStatus.OPEN]
            with time_limit(PATIENCE):
                tickets = _tickets_of(config, wanted) if wanted else []
        except (BotError, TimeoutError) as error:
            notice(f"without prices: {_say(error)}")
    print_drawing(draw_sale_tickets(trades, tickets), err=True)


def _tickets_of(config: Config, wanted: Sequence[WantedExit]) -> list[OrderTicket]:
    """Of one look at the prices, without those that fail. Raises the first failure where none is left."""
    market, rates = build_market(config.settings), fee_rates(config.settings)
    quotes = market.fetch_quotes([each.trade.symbol for each in wanted])

    def ticket_of(each: WantedExit) -> OrderTicket:
        symbol = each.trade.symbol
        if symbol not in quotes.good:
            raise ExchangeUnreachable(f"{symbol} {quotes.bad.get(symbol, 'has no price')}", hint="try again")
        try:
            listed = market.find_market(symbol)
        except BadValue as error:  # of the market, not of what was typed
            raise ExchangeUnreachable(error.message, hint=error.hint) from error
        return sale_ticket(each, listed, quotes.good[symbol], rates.taker(symbol))

    tickets, errors = attempt_each(ticket_of, wanted)
    if errors and not tickets:
        raise errors[0]
    log_errors(errors)
    return tickets


def _say(error: BotError | TimeoutError) -> str:
    return error.message if isinstance(error, BotError) else f"the prices took more than {PATIENCE:g} s"
