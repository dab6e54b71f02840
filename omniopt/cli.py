"""The commands. Each calls the package and turns what comes back into words or JSON, and an exit status."""

from __future__ import annotations

import math
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click

from omniopt import __version__
from omniopt.errors import BadInput, Fault, Infeasible, NotebookFailed, OmnioptError, nearest
from omniopt.terminal import (
    as_json,
    briefly,
    headline,
    progress,
    rule_by_rule,
    values_in_words,
    worth_in_words,
)

DONE, BUG, BAD_INPUT, STOPPED_EARLY, INTERRUPTED = 0, 1, 2, 4, 130


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
            say("interrupted")
            if wants_json(ctx):
                click.echo(as_json({"ok": False, "error": "interrupted", "exit_status": INTERRUPTED}))
            ctx.exit(INTERRUPTED)
        except OmnioptError as error:
            fail(ctx, error)
        except OSError as error:
            if error.filename is None or isinstance(error, BrokenPipeError):
                unforeseen(ctx, error)
            fail(ctx, BadInput(Fault(error.strerror or str(error), file=os.fspath(error.filename))))
        except Exception as error:
            unforeseen(ctx, error)


def say(text: str) -> None:
    """Write one line to stderr."""
    click.echo(f"omniopt: {text}", err=True)


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


def _finite(_: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("write a finite number", param=parameter)
    return value


# Read by Commands.invoke, so that an argument that cannot be parsed is answered in JSON too.
with_json = click.option(
    "--json", is_flag=True, expose_value=False, help="One JSON object on stdout, no prose."
)
a_path = click.Path(path_type=Path)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="omniopt")
def cli() -> None:
    r"""Who gets which offer, on which channel, when: the best plan your rules allow, with its proof.

    \b
    Exit status: 0 done, 2 bad input, 3 no plan keeps all the rules, 4 stopped above the gap,
    5 a notebook failed, 130 interrupted.
    """


@cli.command()
@click.argument("folder", metavar="DIR", type=a_path)
@click.option(
    "--example", is_flag=True, help="The example made from retail data instead of the small starter."
)
@with_json
def init(folder: Path, example: bool) -> None:
    """Lay a commented project into DIR that runs as it is."""
    from omniopt.runs.share import start_project

    files = start_project(folder, example=example)
    answer(
        f"{folder} holds a project of {len(files)} files. Its rules are in {folder / 'policy.yaml'}.\n"
        f"Next: omniopt run {folder}",
        {"ok": True, "folder": str(folder), "files": files},
    )


@cli.command()
@click.argument("project", metavar="PROJECT", type=a_path)
@with_json
def check(project: Path) -> None:
    """Read and validate everything, solve nothing; list every fault."""
    import omniopt as oo
    from omniopt import decisions

    summary = decisions.check(oo.Project.load(project))
    lines = [f"{project} is in order."]
    lines += [f"  {name.replace('_', ' ')}: {briefly(value)}" for name, value in summary.items()]
    answer("\n".join(lines), {"ok": True, **summary})


@cli.command()
@click.argument("project", metavar="PROJECT", type=a_path)
@click.option("--out", metavar="FILE", type=a_path, required=True, help="Where the links go, a .csv file.")
@with_json
def link(project: Path, out: Path) -> None:
    """Propose links between ids of the project's sources that exact keys do not show, with probabilities.

    Name the file in the project, as identity.links, to have the likely ones made.
    """
    import omniopt as oo
    from omniopt.identity.propose import propose
    from omniopt.tables import write_csv

    loaded = oo.Project.load(project)
    links = propose(loaded.people(), loaded.spec.identity, loaded.spec.seed)
    write_csv(links, out)
    likely = int((links["probability"] >= loaded.spec.identity.threshold).sum())
    answer(
        f"{len(links):,} links, {likely:,} of them from {loaded.spec.identity.threshold:g} on: {out}",
        {"ok": True, "out": str(out), "links": len(links), "likely": likely},
    )


@cli.command()
@click.argument("project", metavar="PROJECT", type=a_path)
@click.option("--out", metavar="DIR", type=a_path, required=True, help="Where plan and certificate go.")
@click.option("--gap", type=click.FloatRange(0, 1), default=1e-4, callback=_finite, show_default=True,
              help="Stop when no plan can be better by more than this share.")  # fmt: skip
@click.option("--time-limit", metavar="SECONDS", type=click.FloatRange(0, min_open=True), callback=_finite,
              help="Stop then, with the best plan found.")  # fmt: skip
@click.option(
    "--solver", type=click.Choice(["auto", "exact", "decomposed"]), default="auto", show_default=True
)
@click.option("--warm-start", metavar="DIR", type=a_path, help="A plan to start from.")
@click.option("--cluster", metavar="ADDRESS", help="Solve on the workers of the dask scheduler there; "
              "local: a worker on each core of this machine.")  # fmt: skip
@click.option("--rule-values", "values", is_flag=True,
              help="Also say what each rule costs, by solving again without it.")  # fmt: skip
@with_json
def optimize(
    project: Path,
    out: Path,
    gap: float,
    time_limit: float | None,
    solver: str,
    warm_start: Path | None,
    cluster: str | None,
    values: bool,
) -> None:
    """Decide, and write plan and certificate into DIR: the decision alone, no notebooks.

    A plan that is in DIR already is replaced when the new one is complete. If none is found, because no
    plan keeps all the rules or time ran out, it is removed: it would pass for an answer to this question.
    """
    import omniopt as oo

    loaded = oo.Project.load(project)
    start = None if warm_start is None else oo.Plan.load(warm_start)
    try:
        with progress() as tell:
            plan = oo.optimize(
                loaded, gap=gap, time_limit=time_limit, solver=solver, warm_start=start, progress=tell,
                price_ranges=values or None, cluster=cluster,
            )  # fmt: skip
    except OmnioptError as error:
        if not isinstance(error, BadInput) and remove_plan(out):
            say(f"the older plan in {out} was removed: it is no answer to this question")
        raise
    plan.save(out)
    customer = plan.contacts["customer_id"]  # sorted: counting changes is faster than hashing texts
    said = (
        f"{worth_in_words(plan)}\n{len(customer):,} contacts with "
        f"{int((customer != customer.shift()).sum()):,} customers, written to {out}"
    )
    data = {"ok": True, "out": str(out), "contacts": len(plan.contacts), **headline(plan)}
    if values:
        from omniopt.decisions.rule_values import save_values

        with rule_by_rule() as tell_rule:
            frame = oo.rule_values(loaded, plan, gap, time_limit, progress=tell_rule)
        save_values(frame, out)
        said += f"\n{values_in_words(frame)}"
        data["rule_values"] = frame.to_dict("records")
    answer(said, data)
    leave(plan.status)


@cli.command()
@click.argument("folder", metavar="DIR", type=a_path)
@with_json
def verify(folder: Path) -> None:
    """Recompute every rule, the objective and the bound of the plan in DIR, without the solver."""
    from omniopt.audit.verify import verify as audit

    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder: name the one that holds plan.parquet and certificate.json")
    verdict = audit(folder)
    lines = [f"{'kept ' if ok else 'WRONG'}  {name}: {detail}" for name, ok, detail in verdict.checks]
    lines.append(
        f"{folder}: {'the plan holds what it says' if verdict.ok else 'the plan does NOT hold what it says'}"
    )
    answer(
        "\n".join(lines),
        {
            "ok": verdict.ok,
            "folder": str(folder),
            "objective": verdict.objective,
            "bound_proven": verdict.bound_proven,
            "solver_bound": verdict.solver_bound,
            "checks": [{"name": name, "ok": ok, "detail": detail} for name, ok, detail in verdict.checks],
            "findings": [asdict(fault) for fault in verdict.findings],
        },
    )
    for fault in verdict.findings:
        say(str(fault))
    if not verdict.ok:
        click.get_current_context().exit(BAD_INPUT)


@cli.command()
@click.argument("project", metavar="PROJECT", type=a_path)
@click.option("-p", "--parameter", "pairs", metavar="KEY VALUE", type=(str, str), multiple=True,
              help="A parameter of the notebooks. Repeat the option for several.")  # fmt: skip
@click.option("--report-only", is_flag=True, help="A rehearsal: no lists for execution are written.")
@click.option("--reports", metavar="DIR", type=a_path, default=Path("reports"), show_default=True,
              help="Where the run's folder appears.")  # fmt: skip
@with_json
def run(project: Path, pairs: tuple[tuple[str, str], ...], report_only: bool, reports: Path) -> None:
    """Run the whole way from the tables to the report, through the notebooks."""
    from omniopt.runs.pipeline import run as pipeline

    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        twice = sorted({key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1})
        raise BadInput(
            [Fault(f"parameter {key!r} is given more than once", hint="Give it once") for key in twice]
        )
    result = pipeline(project, parameters=parameters, report_only=report_only, reports=reports)
    report = result.folder / "report.html"
    answer(
        f"{worth_in_words(result)}\nreport: {report}",
        {"ok": True, "folder": str(result.folder), "report": str(report), **headline(result)},
    )
    leave(result.status)


@cli.command()
@click.argument("project", metavar="PROJECT", type=a_path)
@click.option("--out", metavar="FILE", type=a_path, required=True, help="The Parquet file to write.")
@with_json
def score(project: Path, out: Path) -> None:
    """Learn from history how customers respond, and score each for every offer on every channel."""
    import omniopt as oo
    from omniopt.knowledge.response import fit
    from omniopt.knowledge.stream import write_scores
    from omniopt.knowledge.uncertain import cautious
    from omniopt.tables import write_parquet

    loaded = oo.Project.load(project)
    seed, response = loaded.spec.seed, loaded.spec.response
    model = fit(loaded.read(), seed, response=response)
    if response.caution == "none":
        rows = write_scores(model, out)
    else:  # what scores are drawn to is known when all are made
        scores = cautious(loaded.read(), model.score(), response.caution, seed, response)
        rows = len(scores)
        write_parquet(scores, out)
    kept = ("estimator", "auc", "log_loss", "log_loss_constant", "recalibration", "warnings")
    report = {name: model.report[name] for name in kept}
    for warning in report["warnings"]:
        say(f"warning: {warning}")
    lines = f"{rows:,} scores written to {out}; AUC {report['auc']:.3f} on later contacts"
    answer(lines, {"ok": True, "out": str(out), "rows": rows, **report})


@cli.command()
@click.argument("folders", metavar="RUN_DIR...", nargs=-1, required=True, type=a_path)
@click.option("--outcomes", metavar="FILE", type=a_path,
              help="What happened; without it the table called outcomes of the run's project.")  # fmt: skip
@click.option("--append", "history", metavar="HISTORY", type=a_path,
              help="Append the contacts with their outcomes to this history file.")  # fmt: skip
@click.option("--answer-days", type=click.IntRange(0, 3650), default=14, show_default=True,
              help="Days after a contact during which an answer may come.")  # fmt: skip
@click.option("--by", "segments", metavar="COLUMN", multiple=True,
              help="A column of customers whose values are segments. Repeat it for several.")  # fmt: skip
@click.option("--plan", "other", metavar="DIR", type=a_path,
              help="Estimate what the plan there, which was not run, would have brought.")  # fmt: skip
@with_json
def measure(
    folders: tuple[Path, ...],
    outcomes: Path | None,
    history: Path | None,
    answer_days: int,
    segments: tuple[str, ...],
    other: Path | None,
) -> None:
    """Say what the contacts of finished runs changed, against those held out; write it into their folders."""
    from omniopt.runs import measured

    columns = tuple(name.removeprefix("customer.") for name in segments)
    results = measured.measure_all(folders, outcomes, answer_days, columns)
    told = []
    # What can still be refused comes first: then nothing is written of a look that fails.
    others = [None if other is None else measured.not_run(result, other) for result in results]
    for result, estimates in zip(results, others, strict=True):
        row: dict[str, Any] = {"folder": str(result.run.folder), **result.as_dict()}
        lines = measured.in_words(result)
        if history is not None:
            row["history"] = measured.append(result, history)
            counts = ", ".join(f"{n} {name}" for name, n in row["history"].items() if name != "rows")
            lines.append(f"  history {history}: {counts}")
        # Last, for history may refuse: appending again changes nothing.
        result.save()
        if estimates is not None:
            row["other_plan"] = estimates.to_dict("records")
            lines += measured.estimates_in_words(row["other_plan"])
        told.append((row, "\n".join(lines)))
    answer("\n".join(text for _, text in told), {"ok": True, "runs": [row for row, _ in told]})


@cli.command()
@with_json
def doctor() -> None:
    """Check the installation: Python, packages, solver, kernel, permissions."""
    from omniopt.runs.doctor import examine

    findings = examine()
    fit = all(finding.ok for finding in findings if finding.needed)
    lines = []
    for finding in findings:
        mark = "ok     " if finding.ok else "WRONG  " if finding.needed else "absent "
        hint = f" → {finding.hint}" if finding.hint else ""
        lines.append(f"{mark}{finding.name}: {finding.detail}{hint}")
    lines.append("fit to work" if fit else "not fit to work")
    answer("\n".join(lines), {"ok": fit, "findings": [asdict(finding) for finding in findings]})
    if not fit:
        click.get_current_context().exit(BAD_INPUT)


def leave(status: str) -> None:
    """Leave with the status a plan's own status stands for."""
    if status == "stopped_early":
        say("stopped before the gap was reached: the plan is feasible, but not proven good enough")
        click.get_current_context().exit(STOPPED_EARLY)


def remove_plan(folder: Path) -> bool:
    """Remove a plan's files from a folder; tell whether there was one."""
    from omniopt.decisions.plan import FILES

    there = [folder / name for name in FILES if (folder / name).is_file()]
    for path in there:
        path.unlink()
    return bool(there)


def main() -> None:
    """Run the command line."""
    try:
        cli()
    except KeyboardInterrupt:  # before a command began
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
