"""What a command answers: words or JSON on stdout, faults on stderr, and the exit status."""

from __future__ import annotations

import math
import os
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click

from omniopt.errors import BadInput, Fault, Infeasible, NotebookFailed, OmnioptError, is_interrupt, nearest
from omniopt.terminal import as_json

BUG, BAD_INPUT, STOPPED_EARLY, INTERRUPTED = 1, 2, 4, 130


class Commands(click.Group):
    """A group of commands that knows the nearest name and turns every error into words and a status."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is told the nearest."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}: {nearest(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong is said on stderr and becomes the exit status."""
        ctx.meta["json"] = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except click.ClickException as error:
            if wants_json(ctx):
                click.echo(
                    as_json({"ok": False, "error": error.format_message(), "exit_status": error.exit_code})
                )
            raise
        except (KeyboardInterrupt, click.Abort):
            interrupted(ctx)
        except OmnioptError as error:
            fail(ctx, error)
        except OSError as error:
            if error.filename is None or isinstance(error, BrokenPipeError):
                unforeseen(ctx, error)
            fail(ctx, BadInput(Fault(error.strerror or str(error), file=os.fspath(error.filename))))
        except Exception as error:
            if is_interrupt(error):
                interrupted(ctx)
            unforeseen(ctx, error)


def say(text: str) -> None:
    """Write one line to stderr."""
    click.echo(f"omniopt: {text}", err=True)


def interrupted(ctx: click.Context) -> NoReturn:
    """Say that somebody pressed Ctrl-C before there was anything to show."""
    say("interrupted")
    if wants_json(ctx):
        click.echo(as_json({"ok": False, "error": "interrupted", "exit_status": INTERRUPTED}))
    ctx.exit(INTERRUPTED)


def fail(ctx: click.Context, error: OmnioptError) -> NoReturn:
    """Say what went wrong, in words and, if asked for, as JSON; leave with the error's status."""
    answer: dict[str, Any] = {"ok": False, "error": str(error), "exit_status": error.exit_code}
    if isinstance(error, BadInput):
        many = len(error.faults) > 1
        lines = [f"  {number}. {fault}" for number, fault in enumerate(error.faults, 1)]
        say("\n".join([f"{len(error.faults)} faults", *lines]) if many else str(error))
        answer |= {"error": "bad input", "faults": [asdict(fault) for fault in error.faults]}
    elif isinstance(error, Infeasible):
        say(f"no plan keeps all the rules: {error.reason}")
        answer |= {"status": "infeasible"}
        answer |= {} if error.diagnosis is None else {"diagnosis": error.diagnosis.as_dict()}
    else:
        say(str(error))
    if isinstance(error, NotebookFailed):
        answer |= {"folder": str(error.folder), "notebook": error.notebook}
    if wants_json(ctx):
        click.echo(as_json(answer))
    ctx.exit(error.exit_code)


def unforeseen(ctx: click.Context, error: Exception) -> NoReturn:
    """Keep the traceback of a fault of ours in a file, or show it where it was asked for."""
    trace = "".join(traceback.format_exception(error))
    line = f"this is a fault of omniopt, not of your data: {type(error).__name__}: {error}".splitlines()[0]
    if os.environ.get("OMNIOPT_DEBUG") == "1":
        say(f"{line}\n{trace}")
    else:
        handle, path = tempfile.mkstemp(prefix="omniopt-", suffix=".traceback.txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(trace)
        say(f"{line}. The traceback is kept in {path}; OMNIOPT_DEBUG=1 shows it.")
    if wants_json(ctx):
        click.echo(as_json({"ok": False, "error": line, "exit_status": BUG}))
    ctx.exit(BUG)


def wants_json(ctx: click.Context) -> bool:
    """Tell whether --json was given."""
    return bool(ctx.find_root().meta["json"])


def answer(text: str, data: Mapping[str, Any]) -> None:
    """Give the answer: prose, or the object if --json was given."""
    click.echo(as_json(data) if wants_json(click.get_current_context()) else text)


def finite(_: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse infinities and NaN as the value of an option."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("write a finite number", param=parameter)
    return value


# Read by Commands.invoke, so that an argument that cannot be parsed is answered in JSON too.
with_json = click.option(
    "--json", is_flag=True, expose_value=False, help="One JSON object on stdout, no prose."
)
a_path = click.Path(path_type=Path)


def leave(status: str) -> None:
    """Leave with the status a plan's own status stands for."""
    if status == "stopped_early":
        say("stopped before the gap was reached: the plan is feasible, but not proven good enough")
        click.get_current_context().exit(STOPPED_EARLY)
