"""Before every yes stands a ticket: what the order will do, by the rules that will size and guard it."""

from decimal import Decimal
from typing import Any

import pytest

from tests.bot_runner import BotRunner, Run
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.database_loss import lose
from tests.scenarios.steps import buy, output_of, requested_endpoints, sides, stopped_clock, trade_of
from tests.sessions import on_terminal, yes_or_no

PUBLIC = {"AssetPairs", "Ticker", "OHLC", "Time", "SystemStatus"}


def dry_run(bot: BotRunner, *order: str) -> dict[str, Any]:
    return bot.json(*order, "--dry-run")  # type: ignore[no-any-return]


def figure(ticket: dict[str, Any], name: str) -> Decimal:
    return Decimal(str(ticket[name]))


def test_a_buy_does_what_its_ticket_said(live: BotRunner, kraken: FakeKraken) -> None:
    ticket = dry_run(live, "buy", "BTC/USD", "100")
    assert kraken.orders == []

    order = live.json("buy", "BTC/USD", "100", "--yes")

    cash = Decimal(live.json("balance")[-1]["free"])
    assert order["amount"] == ticket["amount"]
    for name, done in [("price", "average_price"), ("cost", "cost"), ("fee", "fee")]:
        assert Decimal(order[done]) == pytest.approx(figure(ticket, name), rel=Decimal("0.001")), name
    assert float(order["stop_loss_price"]) == pytest.approx(float(ticket["stop_loss_price"]), rel=0.001)
    assert cash == pytest.approx(figure(ticket, "cash_after"), abs=Decimal("0.01"))


def test_a_stop_loses_what_the_ticket_said_at_most(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SLIPPAGE="0", EXIT_SLIPPAGE="0")
    ticket = dry_run(live, "buy", "BTC/USD", "1000")
    buy(live, amount="1000")
    kraken.set_price("BTC/USD", str(trade_of(live)["stop_loss_price"]))

    live.run("check-positions")

    assert -Decimal(trade_of(live)["pnl"]) == pytest.approx(figure(ticket, "max_loss"), rel=Decimal("0.02"))


def test_a_size_by_risk_risks_this_much_on_its_ticket(live: BotRunner) -> None:
    ticket = dry_run(live, "buy", "BTC/USD", "--risk", "1%")

    assert figure(ticket, "max_loss") == pytest.approx(Decimal(100), rel=Decimal("0.001"))  # of 10,000


def test_a_sale_brings_what_its_ticket_said(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 51500)
    ticket = dry_run(live, "sell", "BTC/USD")
    part = dry_run(live, "sell", "BTC/USD", "0.001")
    assert sides(kraken) == ["buy"]

    sold = live.json("sell", "BTC/USD", "--yes")

    assert (ticket["stop_loss_price"], ticket["cash_after"]) == (None, None)
    assert Decimal(sold["pnl"]) == pytest.approx(figure(ticket, "pnl"), abs=Decimal("0.01"))
    share = figure(part, "amount") / figure(ticket, "amount")
    assert figure(part, "pnl") == pytest.approx(figure(ticket, "pnl") * share, abs=Decimal("0.01"))


@pytest.mark.parametrize(
    "order", [("buy", "BTC/USD", "100"), ("buy", "BTC/USD", "--risk", "1%"), ("sell", "BTC/USD")], ids=" ".join
)
def test_a_ticket_asks_nothing_in_private_that_the_order_does_not_ask(
    live: BotRunner, kraken: FakeKraken, order: tuple[str, ...]
) -> None:
    if order[0] == "sell":
        buy(live)
    kraken.clear_requests()
    dry_run(live, *order)
    asked = [name for name in requested_endpoints(kraken) if name not in PUBLIC]
    kraken.clear_requests()

    run = live.run(*order, "--yes")

    assert run.exit_code == 0, output_of(run)
    needed = requested_endpoints(kraken)
    assert [name for name in asked if name not in needed and name not in ("GetApiKeyInfo", "TradeVolume")] == []
    assert asked.count("BalanceEx") <= 1
    assert order[0] == "buy" or asked == []


@pytest.mark.usefixtures("bent_time")
def test_a_yes_given_before_costs_no_request_more(live: BotRunner, kraken: FakeKraken) -> None:
    dry_run(live, "buy", "BTC/USD", "100")  # what is asked once a day is known
    kraken.clear_requests()
    buy(live)
    bought = sorted(requested_endpoints(kraken))
    kraken.clear_requests()

    live.run("sell", "BTC/USD", "--yes")

    assert [bought.count(name) for name in ("Ticker", "OHLC")] == [1, 1]
    assert sorted(requested_endpoints(kraken)) == ["AddOrder", "BalanceEx", "QueryOrders", "QueryTrades", "Ticker"]


def asked(answer: str, *order: str) -> Run:
    return on_terminal([*order], answer=yes_or_no(answer))


def test_the_ticket_stands_before_the_question(live: BotRunner, kraken: FakeKraken) -> None:
    refused = asked("n", "buy", "BTC/USD", "100")
    assert kraken.orders == []
    bought = asked("y", "buy", "BTC/USD", "100")
    kept = asked("n", "sell", "BTC/USD")
    sold = asked("y", "sell", "BTC/USD")

    assert (refused.exit_code, bought.exit_code, kept.exit_code, sold.exit_code) == (3, 0, 3, 0), output_of(bought)
    before, _, _ = refused.stdout.partition("with real money?")
    for words in ("buy about", "0.002 BTC", "the ask now", "USD", "loss there", "at most about", "cash after"):
        assert words in before
    before, _, _ = kept.stdout.partition("Sell the whole trade")
    assert "sell about" in before
    assert "net result" in before
    assert sides(kraken) == ["buy", "sell"]


@pytest.mark.usefixtures("bent_time")
def test_nothing_waits_for_the_answer(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    held: list[object] = []

    def answer() -> str:
        held.append(live.where.find_lock_holder())
        return "n"

    for order in (("buy", "ETH/USD", "100"), ("sell", "BTC/USD"), ("liquidate",), ("recover", "--apply")):
        assert on_terminal([*order], answer=yes_or_no(answer)).exit_code == 3

    assert held == [None] * 4
    assert sides(kraken) == ["buy"]


@pytest.mark.waits
@parametrize("trouble", ["a silent server", "an outage"], quick=1)
def test_without_a_price_there_is_no_ticket_and_the_question_comes_all_the_same(
    live: BotRunner, kraken: FakeKraken, trouble: str
) -> None:
    buy(live)
    kraken.fault("Ticker", "status" if trouble == "an outage" else "hang_before", times=50)

    sale, liquidation = asked("n", "sell", "BTC/USD"), asked("n", "liquidate")

    assert "no ticket: " in sale.stdout
    assert "Sell the whole trade of BTC?" in sale.stdout
    assert "without prices: " in liquidation.stdout
    assert "BTC/USD" in liquidation.stdout


def test_more_than_is_held_is_refused_before_anybody_is_asked(live: BotRunner) -> None:
    buy(live)

    run = asked("y", "sell", "BTC/USD", "5")

    assert run.exit_code == 2
    assert "is more than" in run.stdout
    assert "?" not in run.stdout


def test_a_liquidation_lists_its_trades_first(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    buy(live, "ETH/USD")

    run = asked("n", "liquidate")

    before, _, _ = run.stdout.partition("Sell every open")
    assert "BTC/USD" in before
    assert "ETH/USD" in before
    assert "after fees, net result -" in before
    assert sides(kraken) == ["buy", "buy"]


@pytest.mark.usefixtures("bent_time")
def test_a_recovery_shows_its_plan_and_asks(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    lose(live)

    refused = asked("n", "recover", "--apply")
    before = live.positions()
    done = asked("y", "recover", "--apply")

    assert "add trade" in refused.stdout.partition("Rebuild the live trades")[0]
    assert before == []
    assert done.exit_code == 0, output_of(done)
    assert [trade["symbol"] for trade in live.positions()] == ["BTC/USD"]


@pytest.mark.usefixtures("bent_time")
def test_a_plan_that_is_another_one_by_now_is_not_carried_out(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    lose(live)

    def answer() -> str:
        kraken.account.orders.clear()
        kraken.account.trades.clear()
        return "y"

    run = on_terminal(["recover", "--apply"], answer=yes_or_no(answer))

    assert run.exit_code == 3, output_of(run)
    assert "the plan has changed" in run.stdout
    assert live.positions() == []


@pytest.mark.parametrize("mode", ["demo", "paper"])
def test_a_ticket_is_free_where_money_is_not_real(bot: BotRunner, kraken: FakeKraken, mode: str) -> None:
    if mode == "paper":
        bot.set(BOTCTL_MODE="paper", KRAKEN_API_URL=kraken.url)
    bot.run("init")

    ticket = dry_run(bot, "buy", "BTC/USD", "100")

    assert figure(ticket, "cost") <= 100
    assert bot.trades() == []
    shown = bot.run("buy", "BTC/USD", "100", "--dry-run").stdout
    assert "dry run: nothing was sent" in shown


def test_a_dry_run_keeps_the_rules_of_the_order(live: BotRunner, kraken: FakeKraken) -> None:
    live.run("pause")
    paused = live.run("buy", "BTC/USD", "100", "--dry-run")
    live.run("pause", "--freeze", "--yes")

    assert paused.exit_code == 3
    assert live.run("sell", "BTC/USD", "--dry-run").exit_code == 3
    assert live.run("buy", "BTC/USD", "100", "--dry-run", "--validate").exit_code == 2
    assert kraken.orders == []


def test_a_yes_sells_only_the_trade_that_was_asked_about(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COOLDOWN_MINUTES="0")
    buy(live)

    def answer() -> str:
        """Meanwhile its stop is hit, and it is bought anew."""
        assert live.run("sell", "BTC/USD", "--yes").exit_code == 0
        buy(live, amount="200")
        return "y"

    run = on_terminal(["sell", "BTC/USD"], answer=yes_or_no(answer))

    assert run.exit_code == 3, output_of(run)
    assert "trade 2 of BTC was opened after the question" in run.stdout
    assert [trade["status"] for trade in live.trades()] == ["CLOSED", "OPEN"]


def test_a_yes_to_a_ticket_of_an_hour_ago_buys_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:

        def answer() -> str:
            clock.tick(3600)
            return "y"

        run = on_terminal(["buy", "BTC/USD", "100"], answer=yes_or_no(answer))

    assert run.exit_code == 3, output_of(run)
    assert "the ticket is 60 minutes old" in run.stdout
    assert kraken.orders == []
