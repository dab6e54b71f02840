"""The commands. Each calls the package and turns what comes back into words or JSON, and an exit status."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from omniopt import __version__
from omniopt.answers import (
    BAD_INPUT,
    BUG,
    INTERRUPTED,
    Commands,
    a_path,
    answer,
    finite,
    leave,
    say,
    with_json,
)
from omniopt.commands import explain, link, measure, score
from omniopt.errors import BadInput, Fault, OmnioptError
from omniopt.terminal import briefly, headline, progress, rule_by_rule, values_in_words, worth_in_words


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="omniopt")
def cli() -> None:
    """Who gets which offer, on which channel, when: the best plan your rules allow, with its proof.

    Exit status: 0 done, 2 bad input, 3 no plan keeps all the rules, 4 stopped above the gap,
    5 a notebook failed, 130 interrupted.
    """


for command in (link, score, measure, explain):
    cli.add_command(command)


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
@click.option("--out", metavar="DIR", type=a_path, required=True, help="Where plan and certificate go.")
@click.option("--gap", type=click.FloatRange(0, 1), default=1e-4, callback=finite, show_default=True,
              help="Stop when no plan can be better by more than this share.")  # fmt: skip
@click.option("--time-limit", metavar="SECONDS", type=click.FloatRange(0, min_open=True), callback=finite,
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
    if solver != "exact":
        from omniopt.tables import ahead

        ahead.begin(project)  # before all that takes long to import
    import omniopt as oo

    loaded = oo.Project.load(project)
    if solver != "exact":
        loaded.read_ahead()  # what solves is imported meanwhile
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


def remove_plan(folder: Path) -> bool:
    """Remove a plan's files from a folder; tell whether there was one."""
    from omniopt.decisions.plan import FILES

    there = [folder / name for name in FILES if (folder / name).is_file()]
    for path in there:
        path.unlink()
    return bool(there)


def main() -> None:
    """Run the command line, in a process that ends with it."""
    # What linear algebra there is, is small or kept to one thread; others would wait for it in busy loops.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(500_000)  # libraries alone make half as many objects, and all of them last
    sys.setswitchinterval(2e-4)  # seconds that threads which read wait for one that imports
    status: Any = BUG

    def end() -> None:
        with contextlib.suppress(OSError, ValueError):  # Python's own way out says what cannot be written
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    # Registered first, it is called last: all is closed by then, and to take apart what is left would take
    # longer than many a command.
    atexit.register(end)
    try:
        cli()
    except SystemExit as left:
        status = left.code
    except KeyboardInterrupt:  # before a command began
        status = INTERRUPTED
    if status in (BAD_INPUT, INTERRUPTED):
        end()  # nobody waits for what threads are still at
    sys.exit(status)


if __name__ == "__main__":
    main()
