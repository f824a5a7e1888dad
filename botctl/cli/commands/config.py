"""config: show the effective settings, and check them."""

import os
from collections.abc import Iterator
from pathlib import Path

import typer

from botctl.cli.context import JsonFlag, env_file_of
from botctl.cli.output import show_checks, show_list
from botctl.cli.results import ConfigLine
from botctl.cli.views.setup import draw_config
from botctl.config import (
    Config,
    SettingSources,
    check_file_modes,
    find_home,
    find_unclear_home,
    find_unknown_channels,
    load_config,
    named_variables,
    read_sources,
)
from botctl.domain.configuration.refused_buys import live_trading_disabled_error
from botctl.domain.configuration.settings import (
    SETTINGS,
    Mode,
    Settings,
    missing_for_live,
    parse_leniently,
    shown_value,
)
from botctl.domain.errors import ConfigError
from botctl.domain.health.checks import CheckResult
from botctl.links import refuse_links
from botctl.monitoring.page import MISSING as MISSING_PLOTLY
from botctl.monitoring.page import plotly_is_missing
from botctl.trading.council.check import check_council

app = typer.Typer(rich_markup_mode=None, help="Show and check the settings.\n\n\b\nExample:\n  botctl config check")


@app.command("show")
def show_config(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show every setting with its value and its source.

    Secrets are masked.

    \b
    Example:
      botctl config show
    """
    config = load_config(env_file_of(ctx))
    ctx.meta["mode"] = config.settings.botctl_mode
    lines = list(_describe_settings(config, read_sources(env_file_of(ctx))))
    show_list(ctx, lines, draw_config, "no settings")


def _describe_settings(config: Config, sources: SettingSources) -> Iterator[ConfigLine]:
    for setting in SETTINGS:
        name, file = setting.name, None
        value = str(config.folder) if name == "BOTCTL_HOME" else shown_value(config.settings, name)
        if not sources.values.get(name, "").strip() and setting.default is None:
            source = "not set" if value is None else "default"
        elif name in sources.from_environment:
            source = "environment"
        elif name in sources.from_file:
            source, file = "file", str(sources.env_file)
        else:
            source = "default"
        yield ConfigLine(name, value, source, file)


@app.command("check")
def check_config(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Check the settings, and report every problem at once.

    Needs no network and writes nothing. Exit code 78 if a setting must be fixed.
    `botctl doctor` checks more.

    \b
    Example:
      botctl config check
    """
    sources = read_sources(env_file_of(ctx))
    settings, problems = parse_leniently(sources.values)
    ctx.meta["mode"] = settings.botctl_mode
    folder = find_home(settings.botctl_home or str(sources.folder))
    found = [*sources.problems, *find_unclear_home(folder, sources.values), *find_unknown_channels(settings)]
    found = list({problem.message: problem for problem in found}.values())
    results = [CheckResult("settings", "fail", problem.message, problem.hint) for problem in found]
    for name, problem in problems.items():
        source = "the environment" if name in sources.from_environment else sources.env_file
        results.append(CheckResult("settings", "fail", problem, f"fix it in {source}"))
    hint = "set it, or take its name out of COUNCIL_ENV"
    results += [CheckResult("council", "warn", each, hint) for each in named_variables(settings, sources).missing]
    results += [each for each in check_council(settings, folder) if each.status != "ok"]
    if settings.report_file is not None and plotly_is_missing():
        results.append(CheckResult("page", "warn", MISSING_PLOTLY.message, MISSING_PLOTLY.hint))
    results += _check_live(settings, sources, set(problems))
    results += _check_files(Config(folder, sources.env_file, settings))
    show_checks(ctx, results, "no problems found", ConfigError.exit_code)


def _check_live(settings: Settings, sources: SettingSources, reported: set[str]) -> Iterator[CheckResult]:
    """What live mode lacks, without the settings that are reported already."""
    for name in missing_for_live(settings):
        if name not in reported:
            yield CheckResult("live", "fail", f"live mode needs {name}", f"set it in {sources.env_file}")
    if settings.live_trading_disabled and "LIVE_TRADING" not in reported:
        yield CheckResult("live", "fail", live_trading_disabled_error().message, live_trading_disabled_error().hint)


def _check_files(config: Config) -> Iterator[CheckResult]:
    mode = config.settings.botctl_mode
    yield from (result for result in check_file_modes([config.env_file], mode) if result.status != "ok")
    if mode is Mode.LIVE and config.database.lacks_file():  # `botctl db check` asks a server
        yield CheckResult("database", "fail", f"no live database at {config.database}", "run `botctl init`")
    problems = {
        "BOTCTL_HOME": _problem_with_folder(config.folder),
        "the folder of the database": _problem_with_folder(config.database_file.parent),
    }
    for name in ("log_file", "metrics_file", "report_file"):
        if file := getattr(config.settings, name):
            problems[name.upper()] = _problem_with_file(config.folder / file)
    if config.settings.log_file:
        problems["LOG_FILE"] = problems["LOG_FILE"] or _problem_with_links(config.folder / config.settings.log_file)
    for place, problem in problems.items():
        if problem:
            yield CheckResult("paths", "fail", f"{place}: {problem}", "choose another path, or fix its permissions")


def _problem_with_folder(path: Path) -> str | None:
    """Why a folder, which is created when missing, can't be written to."""
    existing = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    if not existing.is_dir():
        return f"{existing} is not a folder"
    return None if os.access(existing, os.W_OK) else f"can't write to {existing}"


def _problem_with_links(path: Path) -> str | None:
    """Which link on the way to a file is not followed."""
    try:
        refuse_links(path)
    except OSError as error:
        return error.strerror
    return None


def _problem_with_file(path: Path) -> str | None:
    """Why a file can't be written. Its folder is not created."""
    if path.is_dir():
        return f"{path} is a folder"
    if not path.parent.is_dir():
        return f"{path.parent} is not a folder"
    return None if os.access(path if os.path.lexists(path) else path.parent, os.W_OK) else f"can't write to {path}"
