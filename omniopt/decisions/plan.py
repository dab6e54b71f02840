"""The plan: what was decided, what it earns, what proves it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from omniopt.actions.catalogue import Catalogue
from omniopt.actions.valuation import BASIC, FURTHER
from omniopt.decisions.exploration import Trial
from omniopt.decisions.problem import Problem
from omniopt.errors import BadInput
from omniopt.tables import read_parquet, sha256_of, write_parquet
from omniopt.tables.write import write_parts

if TYPE_CHECKING:
    from omniopt.decisions.large.shape import Large

SHOWN = BASIC  # measures of every contact
ALTERNATIVES = 5  # best contacts not chosen that are kept for each customer
FILES = (
    "plan.parquet", "certificate.json", "scores.parquet", "dropped.parquet", "alternatives.parquet",
    "experiment.parquet",
    "rule_values.parquet", "measured.json", "measured.parquet",  # written after the plan, if asked for
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A plan with its proof.

    Attributes
    ----------
    certificate : dict
        Everything the plan claims; what ``certificate.json`` holds.
    contacts : DataFrame
        One row per chosen contact: customer_id, action_id, offer_id, channel, date, fallback,
        value, cost, response, objective, advantage; and incremental_response, incremental_value and
        annoyance where the candidates have them; and, where the policy explores, the probability of each
        contact, 1 where it was not drawn. Sorted by customer_id, date, action_id.
    dropped : DataFrame
        Candidates that were taken out before the decision, with the reason; empty, as the next, where
        there are more than a million candidates, of whom the certificate says how many went, and why.
    alternatives : DataFrame
        For each customer the best contacts that were not chosen; ``worth`` is their objective
        less the prices of what they would use.
    scores : DataFrame or None
        The response model's scores, where the project has no scores of its own.
    problem : Problem, Large or None
        The problem solved; None for a plan read from a folder.
    arms : Trial, Path or None
        What `experiment` is made of, or the file it is read from.
    """

    certificate: dict[str, Any]
    contacts: pd.DataFrame
    dropped: pd.DataFrame
    alternatives: pd.DataFrame
    scores: pd.DataFrame | None = None
    problem: Problem | Large | None = None
    arms: Trial | Path | None = None

    def __repr__(self) -> str:
        return (
            f"<Plan: {self.status}, objective {self.objective:,.2f}, bound {self.bound:,.2f}, "
            f"gap {self.gap:.2g}, {len(self.contacts):,} contacts>"
        )

    @cached_property
    def experiment(self) -> pd.DataFrame | None:
        """Who was in which arm, where the policy says ``learning``; else None.

        customer_id, offer_id (missing: all offers), arm, probability, stratum, date: a row for each customer
        and each offer with a control group of its own, besides that of all offers. `scopes` holds fewer at
        once.
        """
        if isinstance(self.arms, Trial):
            return pd.concat([rows for _, rows in self.arms.scopes()], ignore_index=True)
        return None if self.arms is None else read_parquet(self.arms)

    def scopes(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the rows of `experiment` part by part: those of all offers (""), then those of each."""
        if isinstance(self.arms, Trial):
            yield from self.arms.scopes()
        elif self.experiment is not None and self.experiment.empty:
            yield "", self.experiment
        elif self.experiment is not None:
            for offer, rows in self.experiment.groupby(self.experiment["offer_id"].fillna("")):
                yield str(offer), rows

    @property
    def status(self) -> str:
        """``optimal``, ``within_gap`` or ``stopped_early``."""
        return str(self.certificate["status"])

    @property
    def objective(self) -> float:
        """What the plan is worth, in the units of the policy's objective."""
        return float(self.certificate["objective"])

    @property
    def bound(self) -> float:
        """What no plan under these rules can beat."""
        return float(self.certificate["bound"])

    @property
    def gap(self) -> float:
        """Distance of objective and bound, relative to the bound."""
        return float(self.certificate["gap"])

    @property
    def rules(self) -> pd.DataFrame:
        """One row per rule and group: bounds, use, slack and price."""
        return pd.DataFrame(self.certificate["rules"])

    @property
    def reasons(self) -> pd.DataFrame:
        """How many candidates and customers each reason took out; missing where that is not known."""
        told = self.certificate.get("dropped") or {}
        if self.dropped.empty and told:
            counts = pd.Series(told, name="candidates").rename_axis("reason").reset_index()
            counts["customers"] = pd.array([None] * len(counts), dtype="Int64")
            return counts.sort_values("candidates", ascending=False, kind="stable", ignore_index=True)
        grouped = self.dropped.groupby("reason", sort=False, observed=True)
        counts = grouped.agg(candidates=("customer_id", "size"), customers=("customer_id", "nunique"))
        return counts.sort_values("candidates", ascending=False, kind="stable").reset_index()

    def save(self, folder: Path | str) -> None:
        """Write the plan's files into a folder; each appears whole or not at all.

        Raises
        ------
        BadInput
            If the folder cannot be written to.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as staging:
                self._write(Path(staging), folder)
                for name in FILES:
                    (folder / name).unlink(missing_ok=True) if name != "certificate.json" else None
                # the certificate goes last: a folder without it is no finished plan
                for name in sorted(os.listdir(staging), key=lambda n: n == "certificate.json"):
                    shutil.move(Path(staging) / name, folder / name)
        except OSError as error:
            raise BadInput(f"the plan cannot be written to {folder}: {error.strerror}") from None

    def _write(self, staging: Path, folder: Path) -> None:
        began = time.perf_counter()
        certificate = dict(self.certificate)
        if self.problem is not None and self.problem.project.file is not None:
            file = self.problem.project.file
            # The file may be a link; its folder, where the tables are, is that of the link.
            place = file.parent.resolve() / file.name
            certificate["project"] = os.path.relpath(place, folder.resolve())
        write_parquet(self.contacts, staging / "plan.parquet")
        write_parquet(self.dropped, staging / "dropped.parquet")
        write_parquet(self.alternatives, staging / "alternatives.parquet")
        if self.arms is not None:
            write_parts((rows for _, rows in self.scopes()), staging / "experiment.parquet")
        if self.scores is not None:
            write_parquet(self.scores, staging / "scores.parquet")
            sha256 = sha256_of(staging / "scores.parquet")
            made = {"sha256": sha256, "rows": len(self.scores), "source": "scores.parquet"}
            certificate["inputs"] = certificate["inputs"] | {"scores": made}
        certificate["seconds"] = certificate["seconds"] | {"write": round(time.perf_counter() - began, 3)}
        text = json.dumps(certificate, indent=1, ensure_ascii=False, allow_nan=False)
        (staging / "certificate.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> Plan:
        """Read a plan that was saved.

        Raises
        ------
        BadInput
            If the folder holds no finished plan.
        """
        folder = Path(folder)
        if not (folder / "certificate.json").is_file() or not (folder / "plan.parquet").is_file():
            raise BadInput(f"{folder} holds no finished plan: certificate.json or plan.parquet is missing")
        certificate = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
        plan, dropped, alternatives = (
            read_parquet(folder / f"{n}.parquet") for n in ("plan", "dropped", "alternatives")
        )
        scores, arms = (
            folder / name if (folder / name).is_file() else None
            for name in ("scores.parquet", "experiment.parquet")
        )
        known = None if scores is None else read_parquet(scores)
        return cls(certificate, plan, dropped, alternatives, known, arms=arms)

    def with_trial(self, trial: Trial | None) -> Plan:
        """Return the plan with what it says of control groups and of contacts drawn at random."""
        if trial is None:
            return self
        told = self.certificate | {"learning": trial.entries(self.certificate["dropped"])}
        contacts = self.contacts
        if trial.draws is not None:
            contacts = contacts.assign(probability=trial.probabilities(contacts))
        return replace(self, certificate=told, contacts=contacts, arms=trial)


def frame_of(
    catalogue: Catalogue, customer: np.ndarray, action: np.ndarray, fallback: np.ndarray | None = None
) -> dict[str, Any]:
    """Show contacts by their ids, column by column.

    Parameters
    ----------
    catalogue : Catalogue
    customer, action : ndarray of int64
        Codes.
    fallback : ndarray of int64, optional
        Codes of channels, or -1; the column is left out if not given.
    """
    rows = catalogue.actions.take(action)
    columns: dict[str, Any] = {
        "customer_id": catalogue.ids_at("customer", customer),
        "action_id": catalogue.ids_at("action", action),
        "offer_id": catalogue.ids_at("offer", rows.codes["offer"]),
        "channel": catalogue.ids_at("channel", rows.codes["channel"]),
        "date": _dates(catalogue, rows.day),
    }
    return columns if fallback is None else columns | {"fallback": catalogue.ids_at("channel", fallback)}


def contact_frame(problem: Problem, index: np.ndarray) -> pd.DataFrame:
    """Show candidates by their ids and measures, one row each."""
    c = problem.candidates
    columns = frame_of(problem.catalogue, c.customer[index], c.action[index], c.fallback[index])
    for name in SHOWN:
        measure = c.measures.get(name)
        known = measure[index] if measure is not None else action_measure(c.catalogue, name, c.action[index])
        columns[name] = np.full(len(index), np.nan) if known is None else known
    frame = pd.DataFrame(columns).assign(objective=problem.sign * problem.objective[index])
    return frame.assign(**{name: c.measures[name][index] for name in FURTHER if name in c.measures})


def action_measure(catalogue: Catalogue, name: str, action: np.ndarray) -> np.ndarray | None:
    """Return a measure of the actions themselves, where they have it."""
    frame = catalogue.entities["action"]
    if name in frame and pd.api.types.is_numeric_dtype(frame[name]):
        return frame[name].to_numpy(np.float64)[action]
    return None


def _dates(catalogue: Catalogue, day: np.ndarray) -> np.ndarray:
    start = catalogue.start
    if start is None:
        return day.astype(np.int32)
    return (start + (day - 1).astype("timedelta64[D]")).astype("datetime64[s]")


def dropped_frame(problem: Problem) -> pd.DataFrame:
    """List the candidates that were taken out, with the reason."""
    c = problem.everything
    out = np.flatnonzero(c.reason)
    return dropped_rows(c.catalogue, c.customer[out], c.action[out], c.reason[out], c.reasons)


def dropped_rows(
    catalogue: Catalogue, customer: np.ndarray, action: np.ndarray, reason: np.ndarray, reasons: list[str]
) -> pd.DataFrame:
    """List candidates that were taken out; a reason is its place among the texts."""
    text = pd.Categorical.from_codes(reason, categories=reasons).astype("str")
    return pd.DataFrame(frame_of(catalogue, customer, action) | {"reason": text})


def alternatives_frame(problem: Problem, chosen: np.ndarray, worth: np.ndarray) -> pd.DataFrame:
    """List each customer's best contacts that were not chosen, by their worth at the plan's prices."""
    open_ = np.flatnonzero(~chosen)
    order = open_[np.lexsort((open_, -worth[open_], problem.candidates.customer[open_]))]
    customer = problem.candidates.customer[order]
    first = np.flatnonzero(np.diff(customer, prepend=-1))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    best = order[rank < ALTERNATIVES]
    return contact_frame(problem, best).drop(columns="fallback").assign(worth=worth[best])
