"""Settings looked at: config show tells where each came from, config check everything that is wrong."""

import os
from collections.abc import Iterator
from pathlib import Path

import typer

from botctl.cli.context import JsonFlag, env_file_of, exit_with
from botctl.cli.output import show_list
from botctl.cli.results import ConfigLine
from botctl.cli.views.setup import draw_checks, draw_config
from botctl.config import Config, SettingSources, load_config, others_may_read, read_sources
from botctl.domain.checks import CheckResult
from botctl.domain.errors import ConfigError
from botctl.domain.settings import (
    SETTINGS,
    Mode,
    Settings,
    find_problems,
    live_trading_disabled_error,
    missing_for_live,
    parse_settings,
    shown_value,
)

app = typer.Typer(
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    help="See and check the settings.\n\n\b\nExample:\n  botctl config check",
)


def show_config(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Every setting as it acts now, and where it came from.

    Secrets are not shown.

    \b
    Example:
      botctl config show
    """
    config = load_config(env_file_of(ctx))
    ctx.meta["mode"] = config.settings.botctl_mode
    lines = list(_lines(config, read_sources(env_file_of(ctx))))
    show_list(ctx, lines, draw_config, "no settings")


def check_config(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Everything that is wrong with the settings, at once.

    Calls nobody and makes nothing. Exit code 78 if something must be mended;
    `botctl doctor` looks further.

    \b
    Example:
      botctl config check
    """
    sources = read_sources(env_file_of(ctx))
    problems = find_problems(sources.values)
    good = {name: value for name, value in sources.values.items() if name not in problems}
    settings = parse_settings(good)
    ctx.meta["mode"] = settings.botctl_mode
    lines = [CheckResult("settings", "fail", problem.message, problem.hint) for problem in sources.problems]
    lines += [
        CheckResult("settings", "fail", sentence, f"mend it in {_place(sources, name)}")
        for name, sentence in problems.items()
    ]
    lines += _live(settings, sources, set(problems))
    lines += _files(Config(Path(settings.botctl_home or sources.folder).absolute(), sources.env_file, settings))
    show_list(ctx, lines, draw_checks, "the settings are in order", name_mode=False)
    exit_with(ConfigError.exit_code if any(line.status == "fail" for line in lines) else 0)


def _lines(config: Config, sources: SettingSources) -> Iterator[ConfigLine]:
    for setting in SETTINGS:
        name, file = setting.name, None
        value = shown_value(config.settings, name)
        if name == "BOTCTL_HOME":
            value = str(config.folder)
        given = sources.values.get(name, "").strip()
        if not given and setting.default is None:
            source = "not set" if value is None else "default"
        elif name in sources.from_environment:
            source = "environment"
        elif name in sources.from_file:
            source, file = "file", str(sources.env_file)
        else:
            source = "default"
        yield ConfigLine(name, value, source, file)


def _place(sources: SettingSources, name: str) -> str:
    return "the environment" if name in sources.from_environment else str(sources.env_file)


def _live(settings: Settings, sources: SettingSources, named: set[str]) -> Iterator[CheckResult]:
    """What a live run lacks, but for what has been named already."""
    for name in missing_for_live(settings):
        if name not in named:
            yield CheckResult("live", "fail", f"live mode needs {name}", f"set it in {sources.env_file}")
    if settings.live_trading_disabled and "LIVE_TRADING" not in named:
        yield CheckResult("live", "fail", live_trading_disabled_error().message, live_trading_disabled_error().hint)


def _files(config: Config) -> Iterator[CheckResult]:
    """Modes and places, without touching any."""
    if others_may_read(config.env_file):
        status = "fail" if config.settings.botctl_mode is Mode.LIVE else "warn"
        yield CheckResult(
            "file modes", status, f"{config.env_file} can be read by others", f"chmod 600 {config.env_file}"
        )
    if (
        config.settings.botctl_mode is Mode.LIVE and config.database.lacks_file()
    ):  # a server is asked by `botctl db check`
        yield CheckResult("database", "fail", f"there is no live database at {config.database}", "run `botctl init`")
    found = {
        "the home": _problem_with_folder(config.folder),
        "the folder of the database": _problem_with_folder(config.database_file.parent),
    }
    for name in ("log_file", "metrics_file"):
        if file := getattr(config.settings, name):
            found[name.upper()] = _problem_with_file(config.folder / file)
    for place, problem in found.items():
        if problem:
            yield CheckResult("paths", "fail", f"{place}: {problem}", "choose another place, or mend its mode")


def _problem_with_folder(path: Path) -> str | None:
    """Why nothing can be written to a folder, which is made where it is not there; None when something can."""
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK) else f"{there} can't be written"


def _problem_with_file(path: Path) -> str | None:
    """Why a file can't be written, whose folder is not made; None when it can."""
    if path.is_dir():
        return f"{path} is a folder"
    if not path.parent.is_dir():
        return f"{path.parent} is no folder"
    return None if os.access(path if path.exists() else path.parent, os.W_OK) else f"{path} can't be written"


def register(root: typer.Typer) -> None:
    app.command("show")(show_config)
    app.command("check")(check_config)
    root.add_typer(app, name="config")
