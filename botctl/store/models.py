"""The tables. What the database itself forbids stands at the bottom: a second active trade of one asset, and a
second unsettled order of one trade."""

from decimal import Decimal

from peewee import (
    SQL,
    AutoField,
    BooleanField,
    DatabaseProxy,
    FloatField,
    ForeignKeyField,
    IntegerField,
    Model,
    SqliteDatabase,
    TextField,
)

from botctl.domain.orders import OrderState, TradeStatus
from botctl.store.fields import decimal_field, json_field, optional_decimal_field, optional_utc_field, utc_field

database = DatabaseProxy()
"""Stands for the one database of this process once `store.database.open_database` has run."""


def new_trade_tag() -> str:
    """A mark that no trade of any database has."""
    import secrets

    from botctl.domain.client_order_ids import TAG_BITS, format_trade_tag

    return format_trade_tag(secrets.randbits(TAG_BITS))


def on_server() -> bool:
    """Whether the open database is on a server."""
    return database.obj is not None and not isinstance(database.obj, SqliteDatabase)


def advance_id_sequence(table: type[Model]) -> None:
    """A row was written with an id of its own: the next one counts on from it. SQLite does so by itself."""
    if on_server():
        database.obj.advance_id_sequence(table._meta.table_name)


class Table(Model):
    id = AutoField()

    class Meta:
        database = database


class DatabaseInfo(Table):
    """One row: what kind of database this is. Apart from SystemConfig, so that a broken switch can't hide the mode."""

    mode = TextField()
    schema_version = IntegerField()
    created_at = utc_field()

    class Meta:
        table_name = "stamp"


class SystemConfig(Table):
    """The switchboard, readable and settable from outside: system_status, frozen, buy_enabled, tripped_at."""

    key = TextField(unique=True)
    value = TextField()
    updated_at = utc_field()


class Trade(Table):
    """From entry to exit. Money as text, prices of the stop rule as float64."""

    symbol = TextField()
    asset = TextField()
    mode = TextField()
    status = TextField(default=TradeStatus.PENDING)
    created_at = utc_field()
    amount = decimal_field()
    """Asked for while PENDING, still held while OPEN, traded once CLOSED; in the asset."""
    entry_amount = optional_decimal_field()
    entry_price = optional_decimal_field()
    entry_cost = optional_decimal_field()
    entry_fee = optional_decimal_field()
    opened_at = optional_utc_field()
    entry_order_id = TextField(null=True)
    atr = FloatField(null=True)
    stop_loss_price = FloatField(null=True)
    high_price = FloatField(null=True)
    checked_at = optional_utc_field()
    """The last good stop check: where a late tick begins to catch up."""
    exiting = TextField(null=True)
    """The reason of an exit that has begun: sells go on at every check until nothing is left."""
    sold_amount = decimal_field(default=Decimal(0))
    exit_proceeds = decimal_field(default=Decimal(0))
    exit_price = optional_decimal_field()
    exit_fee = decimal_field(default=Decimal(0))
    closed_at = optional_utc_field()
    exit_order_id = TextField(null=True)
    exit_reason = TextField(null=True)
    pnl = optional_decimal_field()
    mark = TextField(unique=True, default=new_trade_tag)
    """Stands in the client order ids of all its orders, so that the exchange's records tell which are its own."""


class Order(Table):
    """The journal: written before the request leaves, and never forgotten."""

    client_order_id = TextField(unique=True)
    exchange_order_id = TextField(null=True)
    trade = ForeignKeyField(Trade, backref="orders")
    trade_id: int
    side = TextField()
    symbol = TextField()
    state = TextField(default=OrderState.INTENDED)
    reason = TextField(null=True)
    """Why it sells; empty for an entry."""
    whole = BooleanField(default=True)
    """Whether a sell is for all that is left of the trade."""
    amount = decimal_field()
    cost = optional_decimal_field()
    filled = decimal_field(default=Decimal(0))
    average_price = optional_decimal_field()
    fee = optional_decimal_field()
    deadline = utc_field()
    """In exchange time."""
    created_at = utc_field()
    settled_at = optional_utc_field()
    error = TextField(null=True)
    error_class = TextField(null=True)
    """Which class of `domain.errors` that was, by its name; empty where no error of ours says why."""


class Decision(Table):
    """What the Council said, who said what, and what came of it."""

    symbol = TextField(index=True)
    decided_at = utc_field()
    decision = TextField()
    reason = TextField()
    verdicts = json_field()
    outcome = TextField(default="")
    price = optional_decimal_field()
    trade_id = IntegerField(null=True, index=True)
    """The trade that it bought or sold."""


class Tick(Table):
    """One visit from cron."""

    at = utc_field(index=True)
    seconds = FloatField()
    ok = BooleanField()
    exit_code = IntegerField()
    steps = json_field()
    equity = optional_decimal_field()
    drawdown = optional_decimal_field()


class Event(Table):
    """The audit trail: each change of a trade or of the switch, with before, after and why."""

    at = utc_field()
    kind = TextField()
    trade_id = IntegerField(null=True, index=True)
    order_id = IntegerField(null=True)
    before = json_field()
    after = json_field()
    why = TextField()
    price = optional_decimal_field()
    """The price that moved the high or the stop, or hit the stop."""


class KeyValue(Table):
    """Small things kept between runs: caches, the last nonce, the rate counter, the tape's position."""

    key = TextField()
    value = TextField()
    saved_at = utc_field()

    class Meta:
        table_name = "memory"


class PaperHolding(Table):
    """What the paper broker holds of one currency."""

    currency = TextField(unique=True)
    total = decimal_field()


class PaperOrder(Table):
    """An order at the paper broker; its markets always fill it whole."""

    exchange_order_id = TextField(unique=True)
    client_order_id = TextField(index=True)
    side = TextField()
    symbol = TextField()
    amount = decimal_field()
    cost = decimal_field()
    fee = decimal_field()
    at = utc_field()


class Alarm(Table):
    """A trouble that has been said, from its beginning until an hour after its end."""

    key = TextField(unique=True)
    text = TextField()
    since = utc_field()
    said_at = utc_field()
    times = IntegerField()
    size = IntegerField()
    told = BooleanField()
    over_at = optional_utc_field()


class Outgoing(Table):
    """A message that has not reached its channel yet."""

    channel = TextField(index=True)
    """A digest of the address, which is a secret and stands nowhere in the database."""
    level = IntegerField()
    text = TextField()
    written_at = utc_field()
    claimed_until = optional_utc_field()
    """Some run is sending it just now; one that dies lets go of it at this moment."""


TABLES = (
    DatabaseInfo,
    SystemConfig,
    Trade,
    Order,
    Decision,
    Tick,
    Event,
    KeyValue,
    PaperHolding,
    PaperOrder,
    Alarm,
    Outgoing,
)

TABLES_LOCKED_FOR_WRITES = (SystemConfig, Trade, Order)
"""What an order stands on: the switch, and that no other trade or order stands in its way."""

ACTIVE_TRADES = SQL("status IN ('PENDING', 'OPEN')")
UNSETTLED_ORDERS = SQL("state IN ('INTENDED', 'SUBMITTED', 'UNKNOWN', 'ACCEPTED')")
"""The few rows that every run looks for among all there ever were. A partial index serves a query that says its own
condition word for word, and values that are bound to marks say nothing: so these are texts."""

Trade.add_index(SQL(f"CREATE UNIQUE INDEX one_active_trade_per_asset ON trade (asset) WHERE {ACTIVE_TRADES.sql}"))
Trade.add_index(SQL(f"CREATE INDEX trade_active ON trade (status) WHERE {ACTIVE_TRADES.sql}"))
Trade.add_index(SQL("CREATE INDEX trade_asset_closed ON trade (asset, closed_at)"))
Order.add_index(
    SQL(f'CREATE UNIQUE INDEX one_unsettled_order_per_trade ON "order" (trade_id) WHERE {UNSETTLED_ORDERS.sql}')
)
Order.add_index(SQL(f'CREATE INDEX order_unsettled ON "order" (state) WHERE {UNSETTLED_ORDERS.sql}'))
KeyValue.add_index(SQL('CREATE UNIQUE INDEX "memory_key" ON "memory" ("key")'))  # the name that databases have
