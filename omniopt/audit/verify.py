"""The independent check: a plan, from its files alone, without any solver and without the code that made it.

`verify` reads inputs, plan and certificate again and recomputes everything the certificate says: candidates,
eliminations, every rule, the objective, the gap, and the bound that the prices prove.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit import annoyance, arms, asked, contact, experiment, limits, pairs, plan, ranks
from omniopt.audit import certificate as cert
from omniopt.audit.bound import Rules
from omniopt.audit.candidates import Candidates
from omniopt.audit.history import history_rows
from omniopt.audit.inputs import RULES, Inputs, read, read_scores
from omniopt.audit.limit_rows import Checked, check_limit
from omniopt.audit.lots import Lots
from omniopt.audit.measures import values_of
from omniopt.audit.objective import Rank, read_ranks
from omniopt.audit.proof import Case, first_rank, later_rank
from omniopt.audit.report import Verification
from omniopt.audit.rounding import same
from omniopt.audit.scope import Rows, Unchecked
from omniopt.audit.survey import Survey, look_at_all
from omniopt.errors import BadInput, Faults
from omniopt.project import Project
from omniopt.tables import sha256_of

# Judges one rule; what it returns are the numbers that the certificate's entry must say.
Judge = Callable[[Mapping[str, Any], Faults], dict[str, float | None]]
SECTIONS = {"objective", "learning", *RULES}


def verify(directory: Path | str, project: Project | None = None) -> Verification:
    """Check a plan against its inputs, its policy and its certificate.

    Parameters
    ----------
    directory : Path or str
        The folder with plan.parquet and certificate.json (and scores.parquet, if models made the scores).
    project : Project, optional
        The project the plan was made from; needed where it was made of frames and has no file.

    Returns
    -------
    Verification
        Its `findings` are empty only if everything could be checked and is true. Nothing is raised for a
        plan that is wrong, whatever is wrong with it.
    """
    return _Audit(Path(directory), project).run()


class _Audit:
    """One run of the check; each step says what it looked at and keeps what later steps need."""

    inputs: Inputs
    lots: Lots
    survey: Survey
    frame: pd.DataFrame | None
    contacts: Candidates
    chosen: np.ndarray
    locked: np.ndarray
    past: Rows
    ledger: cert.Ledger

    def __init__(self, directory: Path, project: Project | None) -> None:
        self.directory, self.project = directory, project
        self.result = Verification()
        self.certificate: dict[str, Any] = {}
        self.ranks: list[Rank] = []
        self.limits: list[tuple[limits.Limit, Checked]] = []
        self.rules = Rules()
        self.fixed_costs, self.penalties = 0.0, 0.0
        self.entries: list[dict[str, Any]] = []
        self.plan_faults = Faults()

    def run(self) -> Verification:
        """Take the steps in turn; those that need what an earlier one could not give are left out."""
        if not self._step("certificate", self._read_certificate, must=True):
            return self.result
        if not self._step("inputs", self._read_inputs, must=True):
            return self.result
        if not self._step("candidates", self._rebuild, must=True):
            return self.result
        if not self._step("plan", self._read_plan, must=True):
            return self.result
        for name, step in (
            ("limits", self._check_limits),
            ("contact rules", self._check_contact),
            ("conflicts", self._check_conflicts),
            ("requirements", self._check_requires),
            ("rules", self._check_the_rest),
            ("objective", self._check_objective),
            ("gap and status", self._check_status),
            ("bound from the prices", self._check_bound),
        ):
            self._step(name, step)
        return self.result

    def _step(self, name: str, step: Callable[[Faults], str], must: bool = False) -> bool:
        """Run a step; True if later steps can build on it."""
        faults, usable, detail = Faults(), True, ""
        try:
            detail = step(faults)
        except _Stop:
            usable = False
        except BadInput as error:
            faults.extend(error.faults)
            usable = not must
        except Unchecked as error:
            faults.add(f"could not be checked: {error}")
            usable = not must
        self.result.findings += list(faults)
        count = len(faults)
        detail = detail or "not usable"
        self.result.checks.append((name, not count, detail if not count else f"{detail}; {count} findings"))
        return usable

    # ---- steps

    def _read_certificate(self, faults: Faults) -> str:
        read_back = cert.read(self.directory, faults)
        if read_back is None:
            raise _Stop
        self.certificate = read_back
        if read_back.get("status") == "infeasible":
            faults.add(
                "it says infeasible, which is the solver's word; there is no plan to check", file=cert.FILE
            )
            if (self.directory / plan.FILE).exists():
                faults.add("there is a plan, though the certificate says infeasible", file=plan.FILE)
            raise _Stop
        return f"status {read_back.get('status')}, solver {read_back.get('solver')}"

    def _read_inputs(self, faults: Faults) -> str:
        inputs = read(self.directory, self.certificate, self.project, faults)
        if inputs is None:
            raise _Stop
        self.inputs = inputs
        true = dict(inputs.tables.inputs)
        scores = self.directory / "scores.parquet"
        if "scores" in (self.certificate.get("inputs") or {}) and "scores" not in true and scores.is_file():
            true["scores"] = {"sha256": sha256_of(scores)}
        cert.inputs_match(self.certificate, true, inputs.tables.files, faults)
        said = self.certificate.get("horizon")
        world = inputs.world
        mine = None if world.start is None else {"start": world.start.isoformat(), "days": world.days}
        if said != mine:
            faults.add(f"it says {said}, the project {mine}", file=cert.FILE, column="horizon")
        return f"{len(true)} {'read' if faults else 'unchanged'}{cert.changes(self.certificate)}"

    def _rebuild(self, faults: Faults) -> str:
        inputs = self.inputs
        objective = inputs.policy.get("objective")
        self.ranks = read_ranks(objective)
        for key, true in (("sense", self.ranks[0].sense), ("objective_expr", self.ranks[0].expression)):
            if self.certificate.get(key, true) != true:
                words = f"it says {self.certificate.get(key)!r}, the policy {objective!r}"
                faults.add(words, file=cert.FILE, column=key)
        inputs.scores = read_scores(inputs, self.directory)
        if inputs.annoyance and inputs.scores is not None and "p_unsubscribe" not in inputs.scores:
            inputs.chances = annoyance.chances(inputs)
        inputs.arms = arms.read(inputs)
        # The pass over all candidates also finds the plan's rows; what is wrong with the file comes later.
        self.frame = plan.read(self.directory, self.plan_faults)
        self.lots = Lots(inputs)
        self.survey = survey = look_at_all(inputs, self.lots, self.ranks, self.frame)
        for unread in survey.unread:
            faults.add(unread)
        rows, counts = history_rows(inputs)
        self.past = rows.take(counts)
        size, customers = survey.candidates, len(survey.served)
        cert.count(self.certificate, "candidates", size, faults)
        cert.count(self.certificate, "customers", customers, faults)
        dropped = survey.dropped
        said = {k: v for k, v in (self.certificate.get("dropped") or {}).items() if v}
        for reason in sorted({*dropped, *said}):
            if dropped[reason] != said.get(reason, 0):
                words = f"{dropped[reason]} candidates are dropped for '{reason}', the certificate says "
                faults.add(f"{words}{said.get(reason, 0)}", file=cert.FILE, column="dropped")
        made = inputs.given is None and inputs.tables.scores is None
        return f"{size} of {customers} customers, {survey.given - size} dropped" + (
            "; scores.parquet, made by models, is taken as it is" if made else ""
        )

    def _read_plan(self, faults: Faults) -> str:
        faults.extend(self.plan_faults)
        frame, located = self.frame, self.survey.located
        if frame is None:
            raise _Stop
        plan.rows(self.inputs, frame, located, faults)
        plan.columns(self.inputs, frame, located, faults)
        # Of all columns only the advantage is still to come.
        self.frame = frame[["advantage"]]
        experiment.check(self.inputs, self.survey, self.certificate, self.directory, frame, faults)
        drawn = experiment.drawn(self.inputs, self.survey, faults)
        self.locked = np.union1d(plan.locks(self.inputs, located, faults), drawn)
        self.contacts = located.chosen(self.inputs)
        self.chosen = np.ones(len(self.contacts), dtype=bool)
        self.ledger = cert.Ledger.read(self.inputs, self.certificate, faults)
        return f"{len(frame)} contacts"

    def _rules(self, section: str, faults: Faults) -> list[Mapping[str, Any]]:
        """The rules of a section of the policy that have a name of their own."""
        rules = self.inputs.policy.get(section) or []
        if not all(isinstance(rule, Mapping) and rule.get("name") for rule in rules):
            raise Unchecked(f"{section} is not a list of rules with names")
        names = [str(rule["name"]) for rule in rules]
        for name in sorted({name for name in names if names.count(name) > 1}):
            faults.add(f"two rules of {section} bear this name", rule=name)
        return rules

    def _check_limits(self, faults: Faults) -> str:
        read_limits = []
        for rule, sums in zip(self._rules("limits", faults), self.survey.sums, strict=True):
            try:
                if isinstance(sums, Unchecked):
                    raise sums
                read_limits.append(limits.read(self.inputs, self.contacts, rule, sums))
            except Unchecked as error:
                faults.add(f"the rule could not be checked: {error}", rule=str(rule["name"]))
                self._tick(str(rule["name"]))
        # A measure of one limit may be what the cells of another cost.
        self.fixed_costs = sum(limit.paid(self.chosen) for limit in read_limits)
        shown = coupling = 0
        for limit in read_limits:
            checked = check_limit(self.ledger, limit, self.chosen, self.fixed_costs, faults)
            self.limits.append((limit, checked))
            self.penalties += checked.missed
            rows = sum(len(block) for block in limit.blocks)
            coupling += 0 if limit.report_only else rows
            shown += rows
        cert.count(self.certificate, "coupling_rows", coupling, faults)
        for key, true in (("fixed_cost", self.fixed_costs), ("penalties", self.penalties)):
            cert.agree({key: self.certificate.get(key, 0.0)}, key, true, true, faults)
        paid = [f"fixed costs {self.fixed_costs:.10g}"] if self.fixed_costs else []
        paid += [f"penalties {self.penalties:.10g}"] if self.penalties else []
        return ", ".join([f"{shown} rows", *paid])

    def _tick(self, name: str) -> None:
        """An entry of a rule that could not be checked is not also a stranger."""
        self.ledger.ticked |= {key for key in self.ledger.entries if key[1] == name}

    def _check_each(self, section: str, kind: str, judge: Judge, faults: Faults) -> str:
        """Every rule of a section that has one entry: judged, and the entry's numbers the true ones."""
        rules = self._rules(section, faults)
        for rule in rules:
            name = str(rule["name"])
            try:
                true = judge(rule, faults)
            except Unchecked as error:
                faults.add(f"the rule could not be checked: {error}", rule=name)
                self._tick(name)
                continue
            entry = self.ledger.find(kind, name, faults)
            if entry is not None:
                for key, number in {**true, "price": None}.items():
                    cert.agree(entry, key, number, 0.0, faults)
        return f"{len(rules)} rules"

    def _check_contact(self, faults: Faults) -> str:
        said = self._check_each("contact", "contact", self._contact, faults)
        return f"{said}, every window of every customer"

    def _contact(self, rule: Mapping[str, Any], faults: Faults) -> dict[str, float | None]:
        read_rule = contact.read_contact(self.inputs, rule)
        self._caps_known(read_rule)
        state = contact.reached(self.inputs, self.contacts, self.chosen, read_rule, self.past, faults)
        spare = self._spare(read_rule, faults)
        if spare is not None:
            state["slack"] = min(state["slack"], spare) if "slack" in state else spare
        self.rules.contact.append(read_rule)
        bounds = {side: rule.get(side) for side in ("min", "max")}
        return {s: float(b) if isinstance(b, int | float) else None for s, b in bounds.items()} | state

    def _spare(self, rule: contact.ContactRule, faults: Faults) -> float | None:
        """How far the emptiest window lies above the rule's minimum, if anything is asked for."""
        short = asked.Short()
        keys = self.inputs.key(self.contacts.rows)
        for lot in self.lots if rule.asks() else ():
            at = lot.find(keys)
            chosen = np.zeros(len(lot.living), dtype=bool)
            chosen[at[at >= 0]] = True
            short.look(lot.inputs, lot.living, chosen, rule, lot.past)
        short.tell(rule, faults)
        return short.spare

    def _caps_known(self, rule: contact.ContactRule) -> None:
        units = rule.owner[self.survey.served]
        if np.isnan(rule.cap[units]).any() or np.isnan(rule.least[units]).any():
            raise Unchecked("the bound is missing for a customer")

    def _check_conflicts(self, faults: Faults) -> str:
        return self._check_each("conflicts", "conflict", self._conflict, faults)

    def _conflict(self, rule: Mapping[str, Any], faults: Faults) -> dict[str, float | None]:
        conflict, items = pairs.read_conflict(rule), np.flatnonzero(self.chosen)
        pairs.broken(self.inputs, self.contacts, items, conflict, self.past, faults)
        self.rules.conflicts.append(conflict)
        return {"used": 0.0}

    def _check_requires(self, faults: Faults) -> str:
        return self._check_each("requires", "requires", self._requirement, faults)

    def _requirement(self, rule: Mapping[str, Any], faults: Faults) -> dict[str, float | None]:
        requirement, items = pairs.read_requires(self.inputs, rule), np.flatnonzero(self.chosen)
        used = pairs.unserved(self.inputs, self.contacts, items, requirement, self.past, faults)
        self.rules.requires.append(requirement)
        return {"used": float(used)}

    def _check_the_rest(self, faults: Faults) -> str:
        """Eligibility entries, sections that this check does not know, entries that belong to no rule."""
        matched = self.survey.matched
        for rule in self._rules("eligibility", faults):
            name = str(rule["name"])
            entry = self.ledger.find("eligibility", name, faults)
            if entry is not None and name in matched:
                cert.agree(entry, "dropped", float(self.survey.dropped[name]), 0.0, faults)
                if "matched" in entry:
                    cert.agree(entry, "matched", float(matched[name]), 0.0, faults)
        for section in self.inputs.policy:
            if section not in SECTIONS:
                faults.add(f"the policy's '{section}' could not be checked: it is not known to this check")
                for rule in (
                    self.inputs.policy[section] if isinstance(self.inputs.policy[section], list) else []
                ):
                    self._tick(str(rule.get("name")) if isinstance(rule, Mapping) else "")
        self.ledger.strangers(faults)
        return f"{len(self.ledger.entries)} entries in the certificate"

    def _check_objective(self, faults: Faults) -> str:
        worth, size = self._worth(self.ranks[0])
        self.result.objective = worth
        said = cert.number(self.certificate, "objective", faults)
        if not same(said, worth, size):
            words = f"it says {said:.12g}, the plan's contacts give {worth:.12g}"
            faults.add(words, file=cert.FILE, column="objective")
        return f"{worth:.10g}"

    def _worth(self, rank: Rank) -> tuple[float, float]:
        values = values_of(self.inputs.world, self.contacts, rank.expression)
        return rank.value(values, self.fixed_costs, self.penalties)

    def _check_status(self, faults: Faults) -> str:
        said = self.certificate
        self.entries = ranks.entries(said, self.ranks, faults)
        word = ranks.check(said, self.entries, self.ranks, [self._worth(rank) for rank in self.ranks], faults)
        cert.status(said, word, faults)
        several = f", {len(self.ranks)} ranks" if len(self.ranks) > 1 else ""
        return (
            f"{said.get('status')}, gap {said.get('gap')} with a target of {said.get('gap_target')}{several}"
        )

    def _check_bound(self, faults: Faults) -> str:
        solver = self.certificate.get("solver")
        if solver not in ("exact", "decomposed"):
            faults.add(f"'{solver}' is no solver", file=cert.FILE, column="solver")
        for said in (self.certificate, *self.entries):
            if said.get("bound_by", "prices") not in ("prices", "exact"):
                words = f"'{said['bound_by']}' proves no bound"
                faults.add(words, file=cert.FILE, column="bound_by")
        case = Case(
            self.inputs,
            self.lots,
            self.contacts,
            self.locked,
            self.limits,
            self.rules,
            self.ranks,
            [self._worth(rank)[0] for rank in self.ranks],
            solver == "exact",
        )
        first = first_rank(case, self.certificate, faults)
        self.result.bound_proven, self.result.solver_bound = first.proven, first.bound
        assert self.frame is not None
        words = first.words + plan.advantages(
            self.inputs, self.frame, self.survey.located, self.contacts, first.advantage, faults
        )
        for k in range(len(self.entries)):
            words += later_rank(case, self.entries, k, faults)
        return words


class _Stop(Exception):
    """A step cannot go on; why is among the findings."""
