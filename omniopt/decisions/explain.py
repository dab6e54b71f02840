"""Why a customer got these contacts and not others: what each is worth, and what forbids it.

At the prices of the limits every customer is a problem of its own. So only its own candidates are read and
judged by the prices in the certificate: value, what each limit charges, what is left, and what the
customer's best set loses if one is left out or put in.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from omniopt.decisions import kernels
from omniopt.decisions.charges import charges_of
from omniopt.decisions.dual import Dual, all_margins, forced, unit_optima
from omniopt.decisions.hard import HardUnits
from omniopt.decisions.plan import Plan, contact_frame, dropped_frame
from omniopt.decisions.problem import Problem, build_problem
from omniopt.errors import BadInput, Fault, Faults
from omniopt.project import Project
from omniopt.rules.unit_rows import ANY
from omniopt.tables import Source, read_parquet, sha256_of
from omniopt.tables.convert import id_texts
from omniopt.tables.pick import rows_of_ids
from omniopt.tables.storage import in_threads

OWN = ("candidates", "consents", "history", "scores")  # tables of which a customer's rows are enough


@dataclass(frozen=True)
class Explanation:
    """What a plan's prices say of one customer.

    Attributes
    ----------
    customer_id : str
    contacts : DataFrame
        One row for each candidate: customer_id, action_id, offer_id, channel, date, fallback, value, cost,
        response, objective; ``worth``, which is the objective less what the limits charge; ``planned``;
        ``loss``: what the customer's best set loses if a contact in it is left out, or another one put in
        (inf where its own rules forbid that); and ``against``, the rules that forbid it beside those planned.
        Planned contacts come first, then the others by loss.
    charges : DataFrame
        action_id, rule, group, price, uses, charged (price times uses): one row for each limit with a price
        that a candidate uses. Negative where a minimum pays for it.
    dropped : DataFrame
        Candidates that were taken out before the decision: customer_id, action_id, offer_id, channel,
        date, reason.
    planned_worth, best_worth : float
        Total worth of the planned contacts of the customer's unit, and of its best set. They differ where
        prices leave a choice open, which the limits then settle.
    """

    customer_id: str
    contacts: pd.DataFrame
    charges: pd.DataFrame
    dropped: pd.DataFrame
    planned_worth: float
    best_worth: float

    def of_offer(self, offer: str) -> Explanation:
        """Leave only what concerns an offer."""
        contacts = self.contacts[self.contacts["offer_id"] == offer]
        dropped = self.dropped[self.dropped["offer_id"] == offer]
        if contacts.empty and dropped.empty:
            known = sorted({*self.contacts["offer_id"], *self.dropped["offer_id"]})
            raise BadInput(
                Fault(
                    f"customer '{self.customer_id}' has no candidate with offer '{offer}'",
                    hint=f"There are: {', '.join(known)}" if known else None,
                )
            )
        charges = self.charges[self.charges["action_id"].isin(contacts["action_id"])]
        return replace(
            self,
            contacts=contacts.reset_index(drop=True),
            charges=charges.reset_index(drop=True),
            dropped=dropped.reset_index(drop=True),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as what JSON can hold."""
        return {
            "customer_id": self.customer_id, "planned_worth": self.planned_worth,
            "best_worth": self.best_worth,
            **{name: getattr(self, name).to_dict("records") for name in ("contacts", "charges", "dropped")},
        }  # fmt: skip


def explain(plan: Plan | Path | str, customer: str, offer: str | None = None) -> Explanation:
    """Say why a customer got what it got, and why not something else.

    Parameters
    ----------
    plan : Plan, Path or str
        A plan in memory, or the folder of a finished one.
    customer : str
    offer : str, optional
        Only the contacts with this offer.

    Returns
    -------
    Explanation

    Raises
    ------
    BadInput
        If the customer has no candidate, the project is not where the plan says, or its tables have
        changed since.
    """
    if isinstance(plan, Plan):
        if plan.problem is None:
            raise BadInput("the plan was read from a folder: name the folder instead")
        project, certificate = plan.problem.project, plan.certificate
        scores, own = plan.scores, plan.contacts
    else:
        folder = Path(plan)
        project, certificate = _project_of(folder)
        _check_unchanged(project, certificate)
        made = folder / "scores.parquet"
        scores, own = read_parquet(made) if made.is_file() else None, None
    with _narrowed(project, customer) as (narrow, members):
        problem = build_problem(narrow, scores)
    if own is None:  # of a long plan only what is asked for is read
        rows = rows_of_ids(folder / "plan.parquet", "plan", "customer_id", members)
        own = rows.select(["customer_id", "action_id"]).to_pandas()
    own = own[own["customer_id"].isin(members)]
    found = _explained(problem, certificate, customer, own)
    return found if offer is None else found.of_offer(offer)


def _project_of(folder: Path) -> tuple[Project, dict[str, Any]]:
    """The project of a saved plan, with the changes that it was made with, and the certificate."""
    if not (folder / "certificate.json").is_file() or not (folder / "plan.parquet").is_file():
        raise BadInput(f"{folder} holds no finished plan: certificate.json or plan.parquet is missing")
    certificate = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
    named = certificate.get("project")
    if not named:
        raise BadInput(
            f"the plan in {folder} was made of tables in memory: there is no project to read again"
        )
    project = Project.load((folder / str(named)).resolve())
    return replace(project, changes=certificate.get("changes") or {}), certificate


def _check_unchanged(project: Project, certificate: dict[str, Any]) -> None:
    """Refuse tables, a policy or a project file that are not those the plan was made of."""
    faults = Faults()
    sources = project._sources()
    files = {name: source for name, source in sources.items() if isinstance(source, Path) and source.exists()}
    now = dict(zip(files, in_threads(sha256_of, list(files.values())), strict=True))
    for name, found in (now | project._sha256).items():
        if found != certificate["inputs"].get(name, {}).get("sha256", found):
            what = "the table" if name in files else f"the {name} file"
            source = files[name].name if name in files else None
            faults.add(f"{what} has changed since the plan was made", file=source, hint="Make the plan again")
    faults.raise_if_any()


@contextmanager
def _narrowed(project: Project, customer: str) -> Iterator[tuple[Project, list[str]]]:
    """Leave of the long tables only the rows of a customer, or of its household where a rule counts by it.

    Candidates that the project makes itself depend on everybody's history: then all tables stay whole.
    """
    sources = project._sources()
    members = [customer, *_household(project, sources.get("customers"), customer)]
    if "candidates" not in sources or project.spec.sources:
        yield project, members
        return
    with tempfile.TemporaryDirectory() as place:
        tables = dict(project.spec.tables)
        for name in OWN:
            if name in sources:
                rows = rows_of_ids(sources[name], name, "customer_id", members)
                if name == "candidates" and not len(rows):
                    raise _unknown(customer)
                pq.write_table(rows, Path(place) / f"{name}.parquet")
                tables[name] = str(Path(place) / f"{name}.parquet")
        frames = {name: frame for name, frame in project.frames.items() if name not in OWN}
        spec = project.spec.model_copy(update={"tables": tables})
        own = {
            k: [row for row in project.changes.get(k, []) if row[0] in members] for k in ("vetoes", "locks")
        }
        changes = project.changes | own
        yield replace(project, spec=spec, frames=frames, changes=changes, _cache={}, _ahead={}), members


def _household(project: Project, customers: Source | None, customer: str) -> list[str]:
    """Return who else is in a customer's household, where rules count by household."""
    asked = any(rule.get("unit") == "household" for rule in project.effective_policy().get("contact") or [])
    if not asked or customers is None:
        return []
    mine = rows_of_ids(customers, "customers", "customer_id", [customer])
    if not len(mine) or "household_id" not in mine.column_names:
        return []
    household = id_texts(mine["household_id"])[0].as_py()
    others = rows_of_ids(customers, "customers", "household_id", [household])["customer_id"]
    return [one for one in id_texts(others).to_pylist() if one != customer]


def _unknown(customer: str) -> BadInput:
    return BadInput(
        Fault(f"customer '{customer}' has no candidate", hint="Give an id as the tables write it")
    )


# ---- at the plan's prices


def _explained(
    problem: Problem, certificate: dict[str, Any], customer: str, own: pd.DataFrame
) -> Explanation:
    charges = charges_of(problem, certificate)
    worth = problem.objective - sum((c.price * c.uses for c in charges), np.zeros(len(problem)))
    planned = problem.places(own)
    ids = problem.catalogue.ids_at("customer", problem.candidates.customer)
    mine = np.flatnonzero(np.asarray(ids == customer))
    dropped = dropped_frame(problem)
    dropped = dropped[dropped["customer_id"] == customer].reset_index(drop=True)
    if not len(mine) and dropped.empty:
        raise _unknown(customer)
    frame = contact_frame(problem, mine).assign(worth=worth[mine], planned=planned[mine])
    best, loss = _turned(problem, worth, planned, mine) if len(mine) else (0.0, np.zeros(0))
    frame = frame.assign(loss=loss, against=[_against(problem, planned, int(j)) for j in mine])
    frame = frame.sort_values(["planned", "loss", "worth", "action_id"], ascending=[False, True, False, True])
    rows = [
        (action, charge.rule, charge.group, charge.price, uses, charge.price * uses)
        for j, action in zip(mine, contact_frame(problem, mine)["action_id"], strict=True)
        for charge in charges
        if (uses := float(charge.uses[j]))
    ]
    columns = ["action_id", "rule", "group", "price", "uses", "charged"]
    total = float(worth[planned].sum())
    return Explanation(
        customer, frame.reset_index(drop=True), pd.DataFrame(rows, columns=columns), dropped, total, best
    )


def _turned(
    problem: Problem, worth: np.ndarray, planned: np.ndarray, mine: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the worth of a customer's best set, and what it loses if each contact's fate is turned round.

    Nothing is lost where the plan and the best set differ: prices leave both open.
    """
    index = kernels.UnitIndex.of(problem.unit, problem.units)
    marks = forced(problem)
    value, chosen, searched = unit_optima(index, worth, marks)
    unit = int(np.searchsorted(index.unit_start, mine[0], side="right")) - 1
    none = np.zeros(0)
    if searched[unit]:
        dual = Dual(none, np.nan, worth, value, chosen, searched, marks)
        loss = all_margins(problem, index, dual)[mine]
    else:
        hard = HardUnits(problem, index.unit_start)
        value[unit], best = hard.solve(unit, worth, marks)
        if best is not None:
            chosen[index.unit_start[unit] : index.unit_start[unit + 1]] = best
        loss = np.zeros(len(mine))
        for i, j in enumerate(mine):
            turned = marks.copy()
            turned[j] = -1 if chosen[j] else 1
            loss[i] = max(value[unit] - hard.solve(unit, worth, turned)[0], 0.0)
    settled = (planned[mine] == chosen[mine]) & (marks[mine] == 0)
    return float(value[unit]), np.where(settled, loss, 0.0)


def _against(problem: Problem, planned: np.ndarray, j: int) -> str:
    """Name the rules within a customer that forbid a contact beside those planned."""
    units = problem.units
    if planned[j]:
        return ""
    broken = []
    for r in np.unique(units.row[units.member == j]).tolist() + np.flatnonzero(units.trigger == j).tolist():
        inside = slice(units.start[r], units.start[r + 1])
        member, occasion = units.member[inside], units.occasion[inside]
        number = len(np.unique(occasion[planned[member] | (member == j)]))
        asked = units.trigger[r] == j or (units.trigger[r] == ANY and number > 0)
        if number > units.cap[r] or (asked and number < units.lo[r]):
            broken.append(units.names[units.rule[r]])
    return ", ".join(dict.fromkeys(broken))
