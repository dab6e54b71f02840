"""Commands around the decision: customers, their response, why they got what they got, what changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omniopt.answers import a_path, answer, say, with_json
from omniopt.errors import BadInput, Fault

if TYPE_CHECKING:
    from omniopt.project import Project


def check_output(project: Project, out: Path, suffix: str, own: str) -> None:
    """Refuse to write a file of another kind, or in place of anything that the project reads.

    Parameters
    ----------
    project : Project
    out : Path
        The file to write.
    suffix : str
        How its name has to end.
    own : str
        What the file is to the project, if it names it: that may be replaced.

    Raises
    ------
    BadInput
    """
    if out.suffix != suffix or out.is_dir():
        raise BadInput(Fault("this is no place for the answer", file=str(out), hint=f"Name a {suffix} file"))
    spec = project.spec
    named = {**spec.tables, "policy": spec.policy, "identity.links": spec.identity.links}
    named |= {f"sources.{name}": source.table for name, source in spec.sources.items()}
    read = {name: project.root / place for name, place in named.items() if isinstance(place, str)}
    for name, place in read.items():
        if name != own and place.resolve() in (out.resolve(), *out.resolve().parents):
            hint = "Name a file that the project does not read"
            raise BadInput(Fault(f"the project reads its {name} there", file=str(out), hint=hint))


@click.command()
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
    check_output(loaded, out, ".csv", "identity.links")
    links = propose(loaded.people(), loaded.spec.identity, loaded.spec.seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_csv(links, out)
    likely = int((links["probability"] >= loaded.spec.identity.threshold).sum())
    answer(
        f"{len(links):,} links, {likely:,} of them from {loaded.spec.identity.threshold:g} on: {out}",
        {"ok": True, "out": str(out), "links": len(links), "likely": likely},
    )


@click.command()
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
    check_output(loaded, out, ".parquet", "scores")
    seed, response = loaded.spec.seed, loaded.spec.response
    model = fit(loaded.read(), seed, response=response)
    out.parent.mkdir(parents=True, exist_ok=True)
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


@click.command()
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
    appended = None if history is None else measured.append_all(results, history)
    for at, (result, estimates) in enumerate(zip(results, others, strict=True)):
        row: dict[str, Any] = {"folder": str(result.run.folder), **result.as_dict()}
        lines = measured.in_words(result)
        if appended is not None:
            row["history"] = appended[at]
            counts = ", ".join(f"{n} {name}" for name, n in appended[at].items() if name != "rows")
            lines.append(f"  history {history}: {counts}")
        result.save()
        if estimates is not None:
            row["other_plan"] = estimates.to_dict("records")
            lines += measured.estimates_in_words(row["other_plan"])
        told.append((row, "\n".join(lines)))
    answer("\n".join(text for _, text in told), {"ok": True, "runs": [row for row, _ in told]})


@click.command()
@click.argument("folder", metavar="DIR", type=a_path)
@click.option("--customer", metavar="ID", required=True, help="Whom to explain.")
@click.option("--offer", metavar="ID", help="Only the contacts with this offer.")
@with_json
def explain(folder: Path, customer: str, offer: str | None) -> None:
    """Say why a customer got what it got, why not something else, and what it would cost to force it."""
    from omniopt.decisions.explain import explain as explained
    from omniopt.terminal import explained_in_words

    found = explained(folder, customer, offer)
    answer(explained_in_words(found), {"ok": True, "folder": str(folder), **found.as_dict()})
