"""What the report tells, section by section. Each function makes one piece that notebook 04 shows.

The report is for people who decide and people who check; it holds no customer's id and no row of personal
data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from omniopt.runs.html import DASH, Fragment, number, paragraph, percent, table, text, tiles, words
from omniopt.runs.notebook import Run

TODAY = "highest score first"  # the baseline that stands for what is done today


@dataclass(frozen=True)
class Result:
    """A plan and what earlier notebooks and the check left beside it.

    Parameters
    ----------
    run : Run
        The project and the folder.
    contacts : DataFrame
        The plan's contacts.
    reasons : DataFrame
        reason, candidates, customers: what was dropped, and why.
    certificate : dict
        certificate.json.
    """

    run: Run
    contacts: pd.DataFrame
    reasons: pd.DataFrame
    certificate: dict[str, Any]

    @property
    def sign(self) -> int:
        """1 where more is better, −1 where the objective is minimised."""
        return -1 if self.certificate.get("sense") == "minimise" else 1

    @property
    def aim(self) -> str:
        """The objective, as the policy states it."""
        return aim(self.certificate)

    @property
    def horizon(self) -> dict[str, Any] | None:
        """Start and length of the time planned for, where the project has one."""
        return self.run.manifest["horizon"]

    @property
    def customers(self) -> int:
        """How many customers the project has, whether contacted or not."""
        tables = self.run.tables
        return len(tables.customers) if tables.customers is not None else int(self.certificate["customers"])

    def day(self, value: Any) -> str:
        """A date, or a day number, as people write it."""
        if isinstance(value, int | np.integer):
            value = self.run.project.date_of(int(value))
        if isinstance(value, int):
            return f"day {value}"
        return f"{pd.Timestamp(value):%-d\u00a0%b}"

    def offer(self, offer_id: str) -> str:
        """An offer's name, where the project gives one, with its id."""
        offers = self.run.tables.offers
        name = next((c for c in ("name", "label") if offers is not None and c in offers), None)
        if offers is None or name is None:
            return offer_id
        found = offers.loc[offers["offer_id"] == offer_id, name]
        return offer_id if found.empty or pd.isna(found.iloc[0]) else f"{found.iloc[0]} ({offer_id})"


def open_result(run: Run) -> Result:
    """Read the plan in a run's folder.

    Raises
    ------
    BadInput
        There is no plan.
    """
    from omniopt.decisions import Plan

    plan = Plan.load(run.folder)
    return Result(run, plan.contacts, plan.reasons, plan.certificate)


def aim(certificate: dict[str, Any]) -> str:
    """The objective, as the policy states it; with a real minus."""
    return str(certificate.get("objective_expr") or "objective").replace(" - ", " − ")


def title(result: Result) -> Fragment:
    """The name of the project, the run, and the days planned for."""
    manifest = result.run.manifest
    horizon = result.horizon
    days = "without a calendar"
    if horizon:
        first = pd.Timestamp(horizon["start"])
        last = first + pd.Timedelta(days=horizon["days"] - 1)
        days = f"for {first:%-d %B %Y} to {last:%-d %B %Y}, {horizon['days']} days"
    rehearsal = (
        paragraph("A rehearsal: no lists for execution were written.", "bad")
        if manifest["report_only"]
        else ""
    )
    started = f"{pd.Timestamp(manifest['started']):%-d %B %Y, %H:%M} UTC"
    return Fragment(
        f"<h1>{text(manifest['project'])}</h1>"
        f'<p class="meta">Planned {text(days)}</p>'
        f'<p class="meta">Run {text(manifest["run_id"])}, made on {text(started)}</p>{rehearsal}'
    )


def one_page(result: Result) -> Fragment:
    """The key figures, what is proven, and what the independent check found."""
    contacts, certificate = result.contacts, result.certificate
    reached = contacts["customer_id"].nunique()
    response = contacts["response"].sum(min_count=1)
    made = [
        ("Contacts", number(len(contacts)), f"of {number(certificate['candidates'])} possible"),
        ("Customers reached", number(reached), f"of {number(result.customers)}"),
        (
            "Expected responses",
            number(response, _few(response)),
            f"{percent(response / max(len(contacts), 1))} of contacts",
        ),
        ("Value", number(contacts["value"].sum(min_count=1)), "expected"),
        ("Cost", number(contacts["cost"].sum(min_count=1)), "expected"),
        ("More value", _sum(contacts, "incremental_value"), "than without the contacts, expected"),
        ("Annoyance", _sum(contacts, "annoyance"), "expected loss by unsubscribing"),
        ("Objective", number(certificate["objective"]), aim(certificate)),
    ]
    shown = [tile for tile in made if tile[1] != DASH]
    told = proof(certificate) + ranked(certificate) + _gain(result) + _checked(result.run.verdict())
    return Fragment(tiles(shown) + told)


def proof(certificate: dict[str, Any]) -> str:
    """The status in words, with the distance to the bound in the objective's own unit."""
    objective, bound, gap = (certificate[key] for key in ("objective", "bound", "gap"))
    least = certificate.get("sense") == "minimise"
    verb = (
        "cost less than" if least else "earn more than" if "value" in aim(certificate) else "reach more than"
    )
    this = "costs" if least else "earns" if "value" in aim(certificate) else "reaches"
    left = abs(bound - objective)
    # As many decimals as show the difference.
    digits = int(min(max(2, np.ceil(-np.log10(left)) if left > 1e-9 else 2), 6))
    sentence = (
        f"No plan under these rules can {verb} {number(bound, digits)}; "
        f"this one {this} {number(objective, digits)}. "
    )
    sentence += (
        f"At most {number(left, digits)} ({percent(gap)}) is missing."
        if left > 1e-6
        else "Nothing is missing."
    )
    said = {
        "optimal": "Proven best. " + sentence,
        "within_gap": "Proven within the gap asked for. " + sentence,
        "stopped_early": "Stopped before the gap asked for was reached: the plan keeps all rules, but it is "
        "not proven good enough. " + sentence,
    }
    return paragraph(
        said[certificate["status"]], "bad" if certificate["status"] == "stopped_early" else "good"
    )


def ranked(certificate: dict[str, Any]) -> str:
    """What the plan reaches of each objective, where there are several, and what it pays in penalties."""
    said = ""
    for place, rank in enumerate(certificate.get("ranks", []), 1):
        limit = "at least" if rank["sense"] == "minimise" else "at most"
        given = f", may lose {percent(rank['within'])} to the next" if rank["within"] else ""
        reached = f"{number(rank['objective'])}, {limit} {number(rank['bound'])} is possible"
        said += paragraph(
            f"Objective {place}, {rank['sense']} {rank['objective_expr']}: {reached}{given}.", "aside"
        )
    if certificate.get("penalties"):
        paid = number(certificate["penalties"])
        said += paragraph(
            f"Penalties for limits that are missed: {paid}, already taken off the objective.", "aside"
        )
    return said


def notice(result: Result) -> Fragment:
    """What the project says about its data: NOTICE.md beside omniopt.yaml, word for word."""
    said = notice_of(result.run.project.root)
    if not said:
        return Fragment(paragraph("The project gives no notice about its data."))
    return Fragment(f'<div class="notice">{words(said)}</div>')


def notice_of(root: Path) -> str | None:
    """The notice about a project's data: NOTICE.md, or the section "About the data" of its README.md."""
    for name in ("NOTICE.md", "NOTICE.txt", "NOTICE"):
        if (root / name).is_file():
            return (root / name).read_text(encoding="utf-8", errors="replace").strip()
    readme = root / "README.md"
    if not readme.is_file():
        return None
    found = re.search(
        r"^## About the data\s*$(.*?)(?=^## |\Z)", readme.read_text("utf-8", "replace"), re.M | re.S
    )
    return found.group(1).strip() if found else None


def inputs(result: Result) -> Fragment:
    """What the run was made of: tables with their hashes, parameters, seed and versions."""
    manifest = result.run.manifest
    rows = "".join(
        f'<tr><td>{text(name)}</td><td class="n">{text(number(of.get("rows")))}</td>'
        f'<td class="hash">{text(of["sha256"])}</td></tr>'
        for name, of in manifest["inputs"].items()
    )
    given = manifest["parameters"] | {"seed": manifest["seed"]}
    took = result.certificate["seconds"]
    certificate = result.certificate
    facts = {
        "Parameters": ", ".join(f"{name} = {value}" for name, value in given.items()),
        "Solver": f"{certificate['solver']}; {number(certificate['coupling_rows'])} coupling rows; "
        f"gap asked for {certificate['gap_target']:g}",
        "Seconds": ", ".join(f"{name} {number(value, 1)}" for name, value in took.items()),
        "Versions": ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()),
    }
    made = "".join(f"<p><b>{text(name)}.</b> {text(words)}</p>" for name, words in facts.items())
    return Fragment(
        '<div class="scroll"><table class="inputs"><thead><tr><th>input</th><th class="n">rows</th>'
        "<th>SHA-256</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{made}"
    )


def _checked(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return paragraph("This plan has not been verified yet: omniopt verify does it.", "aside")
    checks = verdict["checks"]
    # Details and findings may name customers; they stay in verification.json.
    made = pd.DataFrame(
        {"check": [c["name"] for c in checks], "result": ["kept" if c["ok"] else "WRONG" for c in checks]}
    )
    wrong = sum(not c["ok"] for c in checks)
    if verdict["ok"]:
        words = f"Verified by code that shares nothing with the optimiser: all {len(checks)} checks passed."
    else:
        words = f"Verification FAILED in {wrong} of {len(checks)} checks. Do not use this plan. "
        words += "The file verification.json says why."
    if verdict["ok"]:
        words += _whose_word(verdict.get("bound_proven"), verdict.get("solver_bound"))
    return paragraph(words, "good" if verdict["ok"] else "bad") + table(made, fold="What was checked")


def _whose_word(proven: float | None, bound: float | None) -> str:
    """How much of the bound the prices alone prove, and how much is the solver's word."""
    if proven is None or bound is None:
        return ""
    if abs(proven - bound) <= 1e-6 * max(1.0, abs(bound)):
        return " The prices alone prove the bound again."
    return (
        f" The prices alone prove that no plan comes beyond {number(proven, 2)}; that none comes beyond "
        f"{number(bound, 2)} is the solver's word."
    )


def _gain(result: Result) -> str:
    """What the plan earns over today's practice."""
    others = result.run.frame("baselines")
    today = None if others is None else others.loc[others["name"] == TODAY, "objective"]
    if today is None or today.empty:
        return ""
    gain = result.sign * (result.certificate["objective"] - today.iloc[0])
    return paragraph(
        "Today's practice, which gives every offer to its highest scores first, comes to "
        f"{number(today.iloc[0])} under the same rules. The plan's gain over it is {number(gain)}."
    )


def _sum(contacts: pd.DataFrame, measure: str) -> str:
    """The sum of a measure that not every plan shows."""
    return number(contacts[measure].sum(min_count=1)) if measure in contacts else DASH


def _few(value: float) -> int:
    return 0 if abs(value) >= 1000 else 1
