"""Each bad value is named, all of them at once, and no secret is ever shown."""

import dataclasses
import pickle
import string
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from botctl.domain.configuration.addresses import ProxyUrl, is_loopback, parse_api_url
from botctl.domain.configuration.database_url import without_password
from botctl.domain.configuration.example import example_env
from botctl.domain.configuration.setting_problems import unknown_settings
from botctl.domain.configuration.settings import (
    NAMES,
    SETTINGS,
    Mode,
    Secret,
    missing_for_live,
    parse_leniently,
    parse_settings,
    shown_value,
)
from botctl.domain.errors import ConfigError

AMOUNTS = ["0", "-1", "nan", "inf", "a hundred", "1,000", "1e12", "1e30", "$5"]
RATIOS = ["1e-400", "0", "-1", "100", "1e9", "nan", "inf", "two"]
WHOLE = ["-1", "1.5", "nan", "many", "99999999999", "+1"]
URLS = ["kraken", "ftp://host/", "http://", "//host", "http://[::1"]
BAD: dict[str, list[str]] = {
    "BOTCTL_MODE": ["", "real", "live2", "LIVE!", "prod"],
    "KRAKEN_API_URL": [
        *URLS,
        "http://api.kraken.com",
        "http://127.0.0.1.evil.com",
        "http://127.evil.com",
        "ftp://api.kraken.com",
        "http://localhost:1@evil.example",
        "http://127.0.0.1@evil.example/",
        "http://evil.example\\@localhost",
        "http://localhost\\.evil.example",
        "http://localhost#@evil.example",
        "http://localhost?@evil.example",
        "http://localhost%2eevil.example",
        "http://127.0.0.999",
        "http://127.0.0.1.",
        "http://127.1",
        "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
        "http://\uff4cocalhost:8080",
        "https://user:pass@api.kraken.com",
        "https://api.kraken.com?x=1",
        "https://api.kr\u0430ken.com",
        "https://api.kraken.com:99999",
        "https://api.kraken.com:0",
        "https:// api.kraken.com",
        "api.kraken.com",
    ],
    "DATABASE_URL": ["postgres://x", "sqlite://x", "sqlite:///", "data.db", "postgres://localhost/bot", "data/live.db"],
    "SYMBOLS": ["", ",", "BTC", "BTC/USD,", "BTC/USD,,ETH/USD", "BTCUSD", "BTC/USD;ETH/USD"],
    "QUOTE_CURRENCY": ["", "U", "US$", "TOO-LONG", "$", "US D"],
    "TRADE_AMOUNT_USD": ["", *AMOUNTS],
    "SIZING": ["", "kelly", "fixed,risk"],
    "RISK_PER_TRADE": ["0", "-0.01", "1.1", "101%", "nan", "half", "0.5%%", "%", "1,5"],
    "COMPOUND": ["", "true"],
    "MAX_TRADE_AMOUNT": AMOUNTS,
    "MAX_EXPOSURE": ["0", "1.01", "nan", "all", "150%"],
    "ALLOCATION": ["BTC", "BTC:", "BTC:2", "BTC:0", "BTC:0.5,", "BTC:0.5,XBT:0.1", "BTC/USD:0.5", ":0.5", "BTC=0.5"],
    "MAX_OPEN_TRADES": ["", "0", "10001", *WHOLE],
    "COOLDOWN_MINUTES": ["", *WHOLE, "1h"],
    "LIVE_TRADING": ["", "true", "1", "y", "ja"],
    "TICK_TIMEOUT": ["0", "0.5", "900", "86400", "nan", "soon", "-1", "1e9"],
    "TIMEFRAME": ["", "15", "2m", "15M", "900"],
    "SIGNAL_TIMEFRAME": ["1m", "5m", "15", "2m", "15M", "900"],
    "ATR_PERIOD": ["", "0", "1", "92", *WHOLE, "999999"],
    "ATR_MULTIPLE": ["", *RATIOS],
    "BREAKEVEN_ATR": ["", *RATIOS],
    "BREAKEVEN_FEES": ["", "true", "1", "ja"],
    "MIN_STOP_COSTS": ["", "-1", "100", "nan", "two"],
    "EXCHANGE_STOP": ["", "yes", "1", "true"],
    "EXCHANGE_STOP_ATR": ["", "-1", "100", "nan", "two"],
    "INITIAL_BALANCE": AMOUNTS,
    "MAX_DRAWDOWN": ["", "0", "1", "20", "-0.2", "nan", "20%", "inf"],
    "COUNCIL": ["", ",", "technical,", "tech nical", "two words"],
    "COUNCIL_TIMEOUT": ["", "0", "-1", "600", "nan", "soon", "inf", "99999"],
    "SENTIMENT_URL": ["", *URLS, "file:///etc/passwd"],
    "FEE_RATE": ["", "-0.1", "0.5", "40", "nan", "26%", "tier0", "tier10"],
    "SLIPPAGE": ["", "-0.1", "0.5", "nan"],
    "EXIT_SLIPPAGE": ["-0.1", "0.5", "nan"],
    "LOG_LEVEL": ["", "LOUD", "10"],
    "HTTPS_PROXY": ["socks5://127.0.0.1:1", "http://", "http://proxy:99999", "http://proxy/path", "http://a b"],
    "COUNCIL_ENV": [",", "A,", "A B", "1A", "KRAKEN_API_KEY", "A,PGPASSWORD", "A=b"],
    "KRAKEN_PRIVATE_KEY": ["not base64!", "abc", "ключ"],
}
SECRET = "c2VjcmV0IG9mIHRoZSBob3VzZQ=="


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_value_that_does_not_parse_is_an_error_that_names_it(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        parse_settings({name: value})

    assert caught.value.exit_code == 78
    if value and name != "KRAKEN_PRIVATE_KEY":
        assert without_password(repr(value)) in str(caught.value)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings({name: values[-1] for name, values in BAD.items()})

    assert [name for name in BAD if name not in str(caught.value)] == []


def test_every_setting_has_a_default_that_parses_or_is_not_set() -> None:
    parsed = parse_settings({})

    assert [field.name for field in dataclasses.fields(parsed)] == [name.lower() for name in NAMES]
    assert parsed.botctl_mode is Mode.DEMO
    assert (parsed.max_drawdown, parsed.atr_multiple, parsed.breakeven_atr) == (Decimal("0.20"), 2.0, 2.0)
    assert (parsed.initial_balance, parsed.trade_amount_usd) == (10000, 100)
    assert parsed.symbols == ("BTC/USD", "ETH/USD")


def test_the_example_file_names_every_setting_with_its_default() -> None:
    lines = dict(line.lstrip("#").split("=", 1) for line in example_env().splitlines() if "=" in line.split(" ")[0])

    assert lines == {setting.name: setting.default or "" for setting in SETTINGS}


@given(st.text(alphabet=string.ascii_letters + string.digits + "+/=!?", min_size=12, max_size=80))
def test_no_private_key_is_ever_quoted_in_an_error(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings({"KRAKEN_PRIVATE_KEY": f"{key}!"})

    assert key not in str(caught.value)
    assert "KRAKEN_PRIVATE_KEY" in str(caught.value)


def test_no_secret_shows_in_a_repr_or_a_text() -> None:
    values = dict.fromkeys(("KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY", "NOTIFY_URLS", "HEALTHCHECK_URL"), SECRET)

    parsed = parse_settings(values)

    assert parsed.kraken_private_key == Secret(SECRET)
    assert parsed.kraken_private_key.reveal() == SECRET
    for shown in (repr(parsed), str(parsed), f"{parsed}", f"{parsed.kraken_api_key}", f"{[parsed.notify_urls]}"):
        assert SECRET not in shown
        assert "***" in shown


def test_the_initial_balance_is_required_live_and_only_there() -> None:
    live = parse_settings({"BOTCTL_MODE": "live"})

    assert live.initial_balance is None
    assert missing_for_live(live) == ["KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY", "INITIAL_BALANCE"]
    assert missing_for_live(parse_settings({"BOTCTL_MODE": "paper"})) == []


def test_settings_are_frozen() -> None:
    parsed = parse_settings({})

    with pytest.raises(dataclasses.FrozenInstanceError):
        parsed.max_open_trades = 99  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(parsed)) == parsed


@given(st.sampled_from(NAMES), st.integers(min_value=1, max_value=40))
def test_a_misspelled_name_is_an_error_with_the_right_one_beside_it(name: str, place: int) -> None:
    wrong = name[:place] + name[place + 1 :] if place < len(name) else name + "S"
    if wrong in NAMES:
        return

    [problem] = unknown_settings([wrong], strict=True)

    assert wrong in problem.message
    assert "did you mean" in problem.message


def test_only_our_own_prefixes_are_misspelled_in_an_environment_full_of_other_names() -> None:
    environment = {"MAX_DRAWDOWM": "1", "PATH": "/bin", "BOTCTL_MOOD": "live", "KRAKEN_TOKEN": "x"}

    named = unknown_settings(environment, strict=False)

    assert [problem.message.split()[2].rstrip(",") for problem in named] == ["BOTCTL_MOOD", "KRAKEN_TOKEN"]


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("127.evil.com", False),
        ("api.kraken.com", False),
        ("127.0.0.1.evil.com", False),
        ("", False),
    ],
)
def test_only_this_machine_may_be_spoken_to_in_the_clear(host: str, ours: bool) -> None:
    assert is_loopback(host) is ours


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("HTTPS://API.Kraken.com/0/", "https://api.kraken.com"),
        ("Http://LocalHost:8080/0", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://proxy_1.example/kraken/", "https://proxy_1.example/kraken"),
    ],
)
def test_an_address_is_kept_as_all_readers_read_it(text: str, base: str) -> None:
    assert parse_api_url(text) == base


PIECES = [
    "http", "https", "HTTP", "://", ":", "//", "/", "\\", "@", "#", "?", "%2e", "%40", ".", "[", "]", "::1",
    "localhost",
    "127.0.0.1", "evil.example", "8080", "1", " ", "\t", "\u3002", "\uff0f", "\u2100", "user", "0", "_", "-",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.sampled_from(["", "http://", "https://"]))
def test_what_is_accepted_means_the_same_to_the_library_that_connects(text: str, scheme: str) -> None:
    try:
        accepted = parse_api_url(scheme + text)
    except ValueError:
        return

    read = parse_url(accepted)

    assert (read.auth, read.query, read.fragment) == (None, None, None)
    assert read.scheme == "https" or (read.scheme == "http" and is_loopback(read.host or ""))
    assert (read.scheme, read.host, read.port) == parse_url(scheme + text)[0:1] + parse_url(scheme + text)[2:4]


def test_a_proxy_prints_without_its_password() -> None:
    settings = parse_settings({"HTTPS_PROXY": "http://me:p%40ss@proxy.example:3128"})

    assert "p%40ss" not in f"{settings} {shown_value(settings, 'HTTPS_PROXY')}"
    assert {"p%40ss", "p@ss"} <= set(settings.secrets)
    assert parse_settings({"HTTPS_PROXY": "proxy.example:3128"}).https_proxy == ProxyUrl("http://proxy.example:3128")


@pytest.mark.parametrize("text", ["me:hidden@proxy:x", "http://me:hidden@proxy:x"])
def test_a_proxy_that_is_none_is_named_without_its_password(text: str) -> None:
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        parse_settings({"HTTPS_PROXY": text})

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(("timeframe", "seconds"), [("1m", 48), ("5m", 240), ("15m", 720), ("1h", 720), ("1d", 720)])
def test_a_tick_ends_before_the_next_one_is_due(timeframe: str, seconds: int) -> None:
    assert parse_settings({"TIMEFRAME": timeframe}).tick_timeout == seconds
    assert parse_settings({"TIMEFRAME": timeframe, "TICK_TIMEOUT": "30"}).tick_timeout == 30


def test_signals_are_those_of_ticks_unless_told_otherwise() -> None:
    both = {"TIMEFRAME": "1h", "SIGNAL_TIMEFRAME": "4h"}

    assert parse_settings({"TIMEFRAME": "1h"}).signal_timeframe == "1h"
    assert parse_settings({"TIMEFRAME": "1h"}).signal_seconds is None
    assert parse_settings(both).signal_seconds == 4 * 3600


def test_signals_that_do_not_fit_the_ticks_name_both_and_leave_those_of_the_ticks() -> None:
    values = {"TIMEFRAME": "1h", "SIGNAL_TIMEFRAME": "15m"}

    with pytest.raises(ConfigError, match=r"SIGNAL_TIMEFRAME='15m' .* TIMEFRAME=1h"):
        parse_settings(values)
    assert parse_leniently(values)[0].signal_timeframe == "1h"


def test_signals_are_not_blamed_for_a_wrong_timeframe() -> None:
    settings, problems = parse_leniently({"TIMEFRAME": "2m", "SIGNAL_TIMEFRAME": "5m"})

    assert [*problems] == ["TIMEFRAME"]
    assert settings.signal_timeframe == settings.timeframe == "15m"


@pytest.mark.parametrize("text", ["yes", "YES", "Yes"])
def test_a_yes_to_live_trading_is_a_yes(text: str) -> None:
    assert not parse_settings({"BOTCTL_MODE": "live", "LIVE_TRADING": text}).live_trading_disabled


def test_no_yes_is_a_no_in_live_mode_and_of_no_account_elsewhere() -> None:
    assert parse_settings({"BOTCTL_MODE": "live"}).live_trading_disabled
    assert not parse_settings({"BOTCTL_MODE": "paper"}).live_trading_disabled


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "0.0015"),
        ({"SLIPPAGE": "0.001"}, "0.003"),
        ({"SLIPPAGE": "0"}, "0"),
        ({"EXIT_SLIPPAGE": "0", "SLIPPAGE": "0.001"}, "0"),
        ({"SLIPPAGE": "0.4"}, "0.499"),
    ],
)
def test_the_slippage_of_exits_is_three_times_that_of_entries_where_it_is_not_set(
    values: dict[str, str], expected: str
) -> None:
    assert parse_settings(values).exit_slippage == Decimal(expected)
