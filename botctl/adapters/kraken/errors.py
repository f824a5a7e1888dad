"""Maps Kraken's error texts to our errors: for a read, and for an order that may or may not exist.

The tuples contain prefixes of Kraken's own texts. ccxt's exception classes can't be used: its NetworkError covers
refusals before processing and time-outs after it alike.
"""

from botctl.domain.errors import (
    BelowMinimum,
    BotError,
    DeadlineElapsed,
    ExchangeBusy,
    ExchangeRefused,
    ExchangeUnreachable,
    InsufficientFunds,
    LockedOut,
    OutcomeUnknown,
)

NONCE = "EAPI:Invalid nonce"
LOCKOUT = "EGeneral:Temporary lockout"
NO_FUNDS = "EOrder:Insufficient funds"
UNKNOWN_PAIR = "EQuery:Unknown asset pair"
UNKNOWN_ORDER = ("EOrder:Invalid order", "EOrder:Unknown order")
UNCHANGED = "EOrder:No amendable parameters specified"
"""The answer to an amendment whose figures the order has already."""

NOT_UNIQUE = "EGeneral:Invalid arguments:cl_ord_id not unique"
"""The only 'invalid argument' that proves that an order with this id exists."""

ELAPSED = "elapsed"
"""In the text for an order whose deadline passed in the engine. Kraken may have placed it all the same."""

TOO_LATE = ("EGeneral:Invalid arguments:deadline",)
BEFORE_PROCESSING = (
    NONCE,
    "EAPI:Rate limit exceeded",
    "EOrder:Rate limit exceeded",
    "EAuth:Rate limit exceeded",
    "EOrder:Domain rate limit exceeded",
    "EGeneral:Too many requests",
)
"""Refusals before an order is processed: the same order may be sent again, a bounded number of times."""

TOO_SMALL = ("EOrder:Order minimum not met", "EOrder:Cost minimum not met", "EGeneral:Invalid arguments:volume minimum")
"""Refusals of an order below the market's minimum, in the asset or in quote."""

DEFINITE = (
    *TOO_SMALL,
    NO_FUNDS,
    "EGeneral:Permission denied",
    "EAccount:Invalid permissions",
    "EAPI:Invalid key",
    "EAPI:Invalid signature",
    UNKNOWN_PAIR,
    "EGeneral:Invalid arguments",
    "EOrder:Invalid price",
    "EOrder:Tick size check failed",
    *(TOO_MANY := ("EOrder:Orders limit exceeded", "EOrder:Scheduled orders limit exceeded")),
)
"""Refusals that prove that nothing was placed. A text on none of these lists proves nothing."""

HINTS = {
    NO_FUNDS: "see `botctl balance`; a buy needs its cost and the fee",
    UNKNOWN_PAIR: "if the market was renamed or delisted, `botctl forget TRADE` closes the trade",
    "EGeneral:Permission denied": "give the key the rights that `botctl doctor` names",
    "EAccount:Invalid permissions": "Kraken does not let this account trade this market",
    "EAPI:Invalid key": "check KRAKEN_API_KEY",
    **dict.fromkeys(TOO_MANY, "cancel open orders at Kraken that you don't need"),
    "EAPI:Invalid signature": "check KRAKEN_PRIVATE_KEY",
    **dict.fromkeys(TOO_SMALL, "raise the amount above the market's order minimum"),
    NONCE: "use this API key in one program and on one machine only",
    LOCKOUT: "no private call is made until it ends",
}


class KrakenApiError(Exception):
    """A well-formed answer with error or warning texts."""

    def __init__(self, texts: tuple[str, ...], *, beside_result: bool = False) -> None:
        super().__init__(", ".join(texts))
        self.texts = texts
        self.beside_result = beside_result

    def mentions(self, *prefixes: str) -> bool:
        return any(text.startswith(prefixes) for text in self.texts)

    def contains(self, word: str) -> bool:
        return any(word in text.lower() for text in self.texts)

    def all_of(self, *prefixes: str) -> bool:
        return all(text.startswith(prefixes) for text in self.texts)


def order_error(api_error: KrakenApiError) -> BotError:
    """The error for an answer to AddOrder: a refusal only if every text is on the lists."""
    message = f"Kraken refused the order: {api_error}"
    if api_error.beside_result:
        return OutcomeUnknown(f"Kraken returned both an order and an error: {api_error}")
    if api_error.mentions(NOT_UNIQUE):
        return OutcomeUnknown(f"Kraken already has an order with this id: {api_error}")
    if api_error.contains(ELAPSED):
        return OutcomeUnknown(f"Kraken may have placed the order after its deadline: {api_error}")
    if api_error.all_of(*TOO_LATE):
        return DeadlineElapsed(message, hint="the next order asks Kraken for its time first")
    if api_error.all_of(*BEFORE_PROCESSING):
        return ExchangeBusy(message, hint=_hint(api_error))
    if api_error.all_of(NO_FUNDS):
        return InsufficientFunds(message, hint=_hint(api_error))
    if api_error.all_of(*DEFINITE):
        refused = BelowMinimum if api_error.mentions(*TOO_SMALL) else ExchangeRefused
        return refused(message, hint=_hint(api_error))
    return OutcomeUnknown(f"Kraken's answer does not tell whether the order exists: {api_error}")


def read_error(api_error: KrakenApiError) -> BotError:
    message = f"Kraken returned an error: {api_error}"
    if api_error.mentions(LOCKOUT):
        return LockedOut(message, hint=_hint(api_error))
    if api_error.mentions(*DEFINITE, *UNKNOWN_ORDER):
        return ExchangeRefused(message, hint=_hint(api_error))
    return ExchangeUnreachable(message, hint=_hint(api_error))


def _hint(api_error: KrakenApiError) -> str:
    return next((hint for text, hint in HINTS.items() if api_error.mentions(text)), "")
