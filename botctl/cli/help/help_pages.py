"""How `--help` is written: usage lines, arguments, options with their defaults, and the commands in groups."""

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from botctl.domain.errors import BadValue


class Page:
    """What the help of a command and that of a group have in common."""

    params: list[Any]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """As gh writes them: <SYMBOL> is required, [AMOUNT] may be left out, and [flags] are listed below."""
        arguments = [argument_name(param) for param in self.params if isinstance(param, TyperArgument)]
        required = [f"{param.opts[0]} <{param.metavar}>" for param in self.params if _is_required_option(param)]
        return [*arguments, *required, "[flags]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        params = [param for param in self.get_params(ctx) if not param.hidden]  # type: ignore[attr-defined]
        options = [param for param in params if isinstance(param, TyperOption)]
        arguments = [(argument_name(param), param.help) for param in params if isinstance(param, TyperArgument)]
        valued = [(_option_name(param), describe_option(param)) for param in options if not _is_off(param)]
        flags = [(_option_name(param), param.help) for param in options if _is_off(param)]
        self.format_list(ctx, formatter)
        for title, rows in (("Arguments", arguments), ("Options", valued), ("Flags, off unless given", flags)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=26)

    def format_list(self, ctx: Any, formatter: Any) -> None:
        """The commands of a group, before its options."""


class Command(Page, TyperCommand):
    """A command."""


class Group(Page, TyperGroup):
    """A group of commands: without one it shows its help, and an unknown one is answered with those there are."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["<command>", "[flags]"]

    def format_list(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and ctx.parent is not None and not ctx.resilient_parsing:
            print(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise self.unknown_command(ctx, name)
        return super().resolve_command(ctx, args)

    def unknown_command(self, ctx: Any, name: str) -> BadValue:
        """What is said of a command that is not in this group."""
        choices = ", ".join(self.list_commands(ctx))
        return BadValue(
            f"{ctx.command_path} has no command {name!r:.60}: it has {choices}", hint=f"see `{ctx.command_path} --help`"
        )


def argument_name(param: TyperArgument) -> str:
    """<SYMBOL>, [AMOUNT] or <FILE>..."""
    name = (param.metavar or param.name or "").strip("[].")
    dots = "..." if param.nargs != 1 else ""
    return f"<{name}>{dots}" if param.required else f"[{name}]{dots}"


def describe_option(param: TyperOption) -> str:
    """The meaning of an option that takes a value, with the limits of the value and the default."""
    notes = [limits] if (limits := limits_of(param)) else []
    if param.required:
        notes.append("required")
    elif default := default_of(param):
        notes.append(f"default: {default}")
    return f"{str(param.help).removesuffix('.')} ({'; '.join(notes)})." if notes else str(param.help)


def default_of(param: TyperOption) -> str:
    """The value that counts without the option, or where it comes from; empty where the help says it in words."""
    if isinstance(param.show_default, str):
        return param.show_default
    return "" if param.default is None or param.default == "" else str(param.default)


def limits_of(param: Any) -> str:
    """`1 to 3600` or `1 or more`; empty without limits."""
    low, high = getattr(param.type, "min", None), getattr(param.type, "max", None)
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"{low} or more" if low is not None else ""


def _is_off(param: TyperOption) -> bool:
    """Whether it is a flag that is off unless it is given. That of others comes from a setting."""
    return bool(param.is_flag) and not isinstance(param.show_default, str)


def _option_name(param: TyperOption) -> str:
    names = ", ".join([*sorted(param.opts, key=len), *param.secondary_opts])
    return names if param.is_flag else f"{names} {param.metavar or (param.name or '').upper()}"


def _is_required_option(param: Any) -> bool:
    return isinstance(param, TyperOption) and param.required
