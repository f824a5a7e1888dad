"""Faults put into the product on purpose that a test of its own catches: no trial reaches them, or only by chance."""

from dataclasses import dataclass

from tests.chaos.mutations import Mutation, Replacement

SCENARIOS = "tests/scenarios"


@dataclass(frozen=True)
class TestedMutation:
    """One fault, and the test that must fail with it, by its file in `SCENARIOS` and the start of its name."""

    __test__ = False

    replacements: tuple[Replacement, ...]
    file: str
    test: str

    def mutated_files(self) -> dict[str, str]:
        return Mutation(self.replacements, (), "").mutated_files()


def one(file: str, old: str, new: str, test_file: str, test: str) -> TestedMutation:
    return TestedMutation((Replacement(f"botctl/{file}", old, new),), f"test_{test_file}.py", f"test_{test}")


TESTED: dict[str, TestedMutation] = {
    # 1. Balances.
    "coins that are missing at two looks are written off before 15 minutes": one(
        "store/evidence/missing_coins.py", "LASTS_AFTER = timedelta(minutes=15)", "LASTS_AFTER = timedelta()",
        "missing_coins", "a_refused_sell_writes_off_only_what_was_missing_for_a_quarter_of_an_hour",
    ),
    "an outside sale explains coins again": one(
        "trading/evidence/missing_coins.py", "surplus.amount + surplus.explained + seen", "surplus.amount + seen",
        "missing_coins", "an_outside_sale_explains_coins_once",
    ),
    # 2. Order records.
    "an order record of another volume is believed": one(
        "trading/orders/settlement.py",
        "if complete and filled not in (order.amount, self._in_lots(order)) and not resized:",
        "if False:",
        "order_records", "a_record_that_shows_another_volume_than_was_sent_is_no_ending",
    ),
    "canceled orders are not asked for again": one(
        "trading/tick.py", '    _run(bot, state, "late fills", _book_late_fills)\n', "",
        "order_of_work", "what_a_canceled_buy_fills_late_is_guarded_from_the_next_tick_on",
    ),
    "a late fill takes more off a trade than it holds": one(
        "store/trade_changes.py", "sold = min(execution.filled, held)", "sold = execution.filled",
        "order_records", "a_late_fill_of_more_than_a_trade_holds",
    ),
    # 4. Entries.
    "a stop may be closer than MIN_STOP_COSTS": one(
        "trading/entries.py", "if not covers_costs(", "if price < 0 and not covers_costs(",
        "fees", "an_entry_whose_stop_is_too_close_for_its_costs_is_refused_and_says_so",
    ),
    # 6. Orders that hang.
    "a sell outranks no own resting order": one(
        "adapters/kraken/order_params.py", '"stptype": "cancel-oldest"', '"stptype": "cancel-newest"',
        "order_records", "every_sell_outranks_an_own_resting_order_and_no_buy_does",
    ),
    # 8. No way out missing.
    "a market that is gone names no way out": one(
        "trading/evidence/gone_markets.py", "then `botctl forget {trade.id} --price PRICE` closes the trade, ", "",
        "gone_markets", "every_command_says_so_and_names_forget",
    ),
    # 9. Order of work.
    "moved stops are saved before the sells of others leave": one(
        "trading/position_manager.py",
        "yield [trade for trade in urgent if trade.id not in late]\n",
        "yield self.journal.trades(others)\n        yield [each for each in urgent if each.id not in late]\n",
        "order_of_work", "a_sell_leaves_before_the_moved_stops_of_other_trades_are_saved",
    ),
    # 10. The key.
    "a key that may withdraw buys": one(
        "trading/evidence/api_key.py", "and known.withdraw_rights and not self.allow_withdraw", "and False",
        "withdraw_key", "a_key_that_may_withdraw_sells_and_buys_nothing",
    ),
    # Drawdown and flows.
    "a flow that lasts moves the base at once": one(
        "domain/account/performance.py", "ACCEPTED_AFTER = timedelta(minutes=15)", "ACCEPTED_AFTER = timedelta()",
        "lying_account", "a_balance_that_lies_for_a_minute_trips_nothing_and_is_no_equity",
    ),
    "fills after a look count as seen by it": one(
        "trading/evidence/account_check.py", "snapshot.at, look.last_event)", "snapshot.at, newest_event())",
        "flows", "what_a_stop_sells_after_the_look_of_its_tick_is_no_flow",
    ),
    "a new INITIAL_BALANCE leaves flows in doubt": one(
        "trading/evidence/account_check.py", "look is not None and new_base and", "False and",
        "flows", "a_new_initial_balance_counts_a_flow_that_is_in_doubt",
    ),
    "a flow in doubt is no reason for a lower peak": one(
        "trading/drawdown_guard.py", "(report.valuation.lowest, report.lowest)", "(report.valuation.lowest,)",
        "flows", "a_new_initial_balance_counts_a_flow_that_is_in_doubt",
    ),
    "MAX_DRAWDOWN_PEAK limits nothing": one(
        "trading/drawdown_guard.py", "return limit is not None and report", "return False and report",
        "flows", "a_fall_from_the_peak_trips_the_guard_that_has_such_a_limit",
    ),
    "coins that left count at an old price": one(
        "trading/snapshot.py", ", *self._known_symbols()]", "]",
        "flows", "coins_that_left_the_account_move_the_base_by_their_price_of_now",
    ),
    # Stops that rest at the exchange.
    "an exit leaves its resting stop alone": one(
        "trading/exit_preparation.py", " if wanted else set()\n", " if False else set()\n",
        "resting_stops", "a_hit_stop_cancels_learns_the_ending_and_sells_once",
    ),
    "what a canceled stop held counts as held": one(
        "trading/exit_preparation.py", "balances = balances.with_released(base_of(order.symbol), order.amount)", "pass",
        "wire_budget", "the_sells_of_hit_stops_leave_three_round_trips_after_the_start",
    ),
    "a list that lacks a resting stop proves its end": one(
        "trading/orders/resting_stops.py", "in missing if _has_ended(reports.get(order.client_order_id))]",
        "in missing]",
        "resting_stops", "a_list_that_lacks_it_proves_nothing_and_is_said",
    ),
    "a resting stop of another size is left": one(
        "trading/orders/resting_stops.py", "if record.amount != wanted.amount:", "if False:",
        "resting_stops", "one_that_the_owner_has_made_smaller_is_replaced",
    ),
    "a resting stop is moved down": one(
        "domain/stops.py", "return wanted - trigger >= ", "return abs(wanted - trigger) >= ",
        "resting_stops", "one_that_the_owner_has_raised_stays_there",
    ),
    "a resting stop stays where it was placed": one(
        "domain/stops.py", "return wanted - trigger >= ", "return wanted < trigger and wanted >= ",
        "resting_stops", "it_moves_up_with_the_stop_and_never_down",
    ),
    "a move is recorded only by the run that makes it": one(
        "trading/orders/resting_stops.py", "elif shown != order.trigger:", "elif False:",
        "resting_stops", "a_move_that_was_not_recorded_is_recorded_by_the_next_run",
    ),
    "a trade without its resting stop is not said": one(
        "trading/orders/resting_stops.py", "patient=True), bare)[1]", "patient=True), bare)[0:0]",
        "resting_stops", "a_position_that_gets_none_is_named_and_the_run_fails",
    ),
    "a resting stop whose answer was lost is believed to rest": one(
        "trading/orders/resting_stops.py", "if order.state == OrderState.RESTING else []", "if False else []",
        "resting_stops", "one_that_ended_as_it_was_placed_is_said",
    ),
    "a resting stop outlives its trade": one(
        "trading/orders/resting_stops.py", "        errors += self._cancel_left_over(load_resting_stops())\n", "",
        "resting_stops", "one_whose_trade_the_owner_has_sold_is_canceled",
    ),
    "a stop that was given up and surfaces is left": one(
        "trading/orders/resting_stops.py", "        if not orphans:\n", "        if orphans:\n",
        "resting_stops", "one_of_a_trade_that_ended_is_canceled",
    ),
    "nobody looks for a stop that was given up": one(
        "trading/orders/resting_stops.py", "and not has_lost_stops(self.clock.now() - LOST_FOR):", "and True:",
        "resting_stops", "one_of_a_trade_that_ended_is_canceled",
    ),
    "a resting stop that the owner has changed never ends": one(
        "trading/orders/settlement.py", "resized = in_doubt and self._is_resized(order, filled)",
        "resized = False",
        "resting_stops", "one_of_another_size_by_the_owner_is_the_exit_all_the_same",
    ),
    "the rest of a stop that fired in part is kept": one(
        "store/trade_changes.py", "and trade.amount > 0 and not trade.exiting:", "and trade.amount < 0:",
        "resting_stops", "the_rest_of_one_that_fired_in_part_is_sold",
    ),
    "coins that a resting stop has sold are missing": one(
        "trading/tick.py", "if not snapshot.missing or not bot.resting", "if True or not bot.resting",
        "resting_stops", "drawdown_counts_what_one_that_fired_has_brought",
    ),
    "open orders are asked for where no stop rests": one(
        "trading/orders/resting_stops.py", "if not resting and not trades and", "if False and",
        "wire_budget", "one_position_costs_one_look_and_a_stop_hit_one_order_more",
    ),
    "exits with resting stops wait for the candles of others": one(
        "trading/exit_preparation.py", "PREPARED_EARLY = 4", "PREPARED_EARLY = 0",
        "exits_with_resting_stops", "cancel_and_sell_leave_before_the_candles_of_others",
    ),
    "what a resting stop has sold is called missing": one(
        "trading/evidence/missing_coins.py", "for each in reviewed if each.asset not in explained}",
        "for each in reviewed}",
        "exits_with_resting_stops", "a_liquidation_does_not_call_coins_missing_that_a_resting_stop_has_sold",
    ),
    "a yes sells whatever trade there is by then": one(
        "cli/tickets.py", "if trade.id != asked_about:", "if False:",
        "tickets", "a_yes_sells_only_the_trade_that_was_asked_about",
    ),
    # The stop.
    "BREAKEVEN_FEES covers no fees": one(
        "domain/stops.py", "return break_even_price(unit_cost, fee_rate) if self.breakeven_fees else 0.0", "return 0.0",
        "fees", "a_breakeven_stop_may_cover_both_fees",
    ),
}  # fmt: skip
