"""A finished run, opened at once: the plan and its certificate; everything else is read when it is needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from omniopt.errors import BadInput, Fault, nearest

PAGE = 200  # contacts shown at once; a page is for reading, the run's own lists are for working through


@dataclass(frozen=True)
class Filter:
    """Which contacts to look at; what is not given does not restrict.

    Parameters
    ----------
    channel, offer : str
    first, last : int, optional
        Day numbers, both included; day 1 is the start of the horizon.
    customer : str
        Part of a customer id, upper and lower case alike.
    """

    channel: str = ""
    offer: str = ""
    first: int | None = None
    last: int | None = None
    customer: str = ""


@dataclass(frozen=True)
class Customer:
    """One customer's side of the plan: what was chosen, what came next, what was dropped and why."""

    customer_id: str
    chosen: pd.DataFrame
    next_best: pd.DataFrame
    dropped: pd.DataFrame


class FinishedRun:
    """A run folder, open for reading.

    Attributes
    ----------
    folder : Path
    certificate : dict
        certificate.json as it stands.
    contacts : DataFrame
        plan.parquet with one more column, ``day`` (int, day 1 is the start of the horizon).
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        missing = [
            name for name in ("plan.parquet", "certificate.json") if not (self.folder / name).is_file()
        ]
        if missing:
            raise BadInput(
                f"{self.folder} is no finished run: it has no {' and no '.join(missing)}."
                " Give the folder that `omniopt run` or `omniopt optimize` wrote."
            )
        try:
            self.certificate: dict[str, Any] = json.loads(
                (self.folder / "certificate.json").read_text("utf-8")
            )
        except (ValueError, OSError) as error:
            raise BadInput(
                [Fault(f"cannot be read: {error}", file=f"{self.name}/certificate.json")]
            ) from error
        self.contacts = self._with_day(self.table("plan"))

    @classmethod
    def open(cls, run: str | Path = "", reports: str | Path = "reports") -> FinishedRun:
        """Open a run by its folder or by its name under ``reports``; without one, the newest finished run.

        A relative ``reports`` is looked for in the working folder and in the one above it, so that a notebook
        finds it whether it runs from its own folder or from the project's.

        Raises
        ------
        BadInput
            When there is no such run; the runs that there are, are named.
        """
        if str(run) and Path(run).is_dir():
            return cls(run)
        places = [Path(reports), Path("..") / reports]
        root = next((place for place in places if place.is_dir()), None)
        if root is None:
            said = "" if not str(run) else f"There is no folder '{run}', and "
            raise BadInput(f"{said}there is no folder of runs '{reports}'. Make a run first: `omniopt run`.")
        runs = finished_runs(root)
        if not str(run):
            if not runs:
                raise BadInput(f"No finished run in {root.resolve()}. Make one first: `omniopt run`.")
            return cls(runs[0])
        if (root / run).is_dir():
            return cls(root / run)
        raise BadInput(
            f"There is no run '{run}' in {root.resolve()}; {nearest(str(run), [r.name for r in runs])}"
        )

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.folder.name

    @property
    def maximises(self) -> bool:
        """Whether more of the objective is better."""
        return self.certificate.get("sense", "maximise") == "maximise"

    @property
    def objective(self) -> str:
        """What the plan is the best for, as the policy writes it."""
        said = self.certificate.get("objective_expr", "objective")
        ranks = said if isinstance(said, list) else [said]
        return ", then ".join(
            r if isinstance(r, str) else " ".join(map(str, next(iter(r.items())))) for r in ranks
        )

    @cached_property
    def start(self) -> date | None:
        """The date of day 1, or None where the project counts days only."""
        horizon = self.certificate.get("horizon")
        return date.fromisoformat(horizon["start"]) if horizon else None

    @cached_property
    def days(self) -> tuple[int, int]:
        """The first and the last day a contact may have."""
        horizon = self.certificate.get("horizon")
        if horizon:
            return 1, int(horizon["days"])
        if self.contacts.empty:
            return 1, 1
        return int(self.contacts["day"].min()), int(self.contacts["day"].max())

    def day_label(self, day: int, form: str = "{0:%a} {0.day} {0:%b}") -> str:
        """A day as people write it: ``Mon 23 Nov``, or as `form` has it; ``day 3`` without dates."""
        if self.start is None:
            return f"day {day}"
        return form.format(self.start + timedelta(days=int(day) - 1))

    @cached_property
    def rules(self) -> pd.DataFrame:
        """The certificate's rules, one row each; what an entry does not state is missing."""
        frame = pd.DataFrame(self.certificate.get("rules", []))
        columns = ["name", "kind", "group", "min", "max", "used", "slack", "price"]
        return frame.reindex(columns=[*columns, *frame.columns.difference(columns)])

    @property
    def limits(self) -> pd.DataFrame:
        """The limits across customers, the dearest first, then the fullest."""
        limits = self.rules[self.rules["kind"] == "limit"]
        order = pd.DataFrame({"price": limits["price"].fillna(0).abs(), "slack": -limits["slack"].fillna(0)})
        return limits.loc[order.sort_values(["price", "slack"], ascending=False, kind="stable").index]

    @cached_property
    def alternatives(self) -> pd.DataFrame:
        """The best contacts not chosen, at most five for each customer."""
        return self._with_day(self.table("alternatives"))

    def matching(self, wanted: Filter) -> pd.DataFrame:
        """The chosen contacts that pass a filter, in the plan's order."""
        frame = self.contacts
        keep = pd.Series(True, index=frame.index)
        if wanted.channel:
            keep &= frame["channel"] == wanted.channel
        if wanted.offer:
            keep &= frame["offer_id"] == wanted.offer
        if wanted.first is not None:
            keep &= frame["day"] >= wanted.first
        if wanted.last is not None:
            keep &= frame["day"] <= wanted.last
        if wanted.customer.strip():
            keep &= (
                frame["customer_id"]
                .str.casefold()
                .str.contains(wanted.customer.strip().casefold(), regex=False)
            )
        return frame[keep]

    def by_channel_and_day(self, contacts: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
        """Count contacts: a row for each channel of the plan, a column for each day from first to last."""
        counts = contacts.groupby(["channel", "day"], observed=True).size().unstack(fill_value=0)
        channels = sorted(self.contacts["channel"].unique())
        return counts.reindex(index=channels, columns=range(first, last + 1), fill_value=0)

    def customer(self, customer_id: str) -> Customer:
        """Everything the run says about one customer.

        Raises
        ------
        BadInput
            When the run does not know the customer.
        """
        chosen = self.contacts[self.contacts["customer_id"] == customer_id]
        next_best, dropped = (
            self._with_day(self.table(name, filters=[("customer_id", "==", customer_id)]))
            for name in ("alternatives", "dropped")
        )
        if chosen.empty and next_best.empty and dropped.empty:
            raise BadInput(f"Customer '{customer_id}' is not in this run.")
        return Customer(customer_id, chosen, next_best, dropped)

    def customers_like(self, text: str, at_most: int = PAGE) -> list[str]:
        """Customer ids that hold a text, those with a contact first."""
        found = _holding(self._planned_customers, text)[:at_most]
        if len(found) < at_most:  # the alternatives are many: they are read only if need be
            found += _holding(self._other_customers, text)[:at_most]
        return list(dict.fromkeys(found))[:at_most]

    @cached_property
    def _planned_customers(self) -> pd.Series:
        return self.contacts["customer_id"].drop_duplicates()

    @cached_property
    def _other_customers(self) -> pd.Series:
        return self.table("alternatives", columns=["customer_id"])["customer_id"].drop_duplicates()

    def knows(self, ids: pd.Series, column: str) -> list[bool]:
        """Whether each id occurs in the run's plan, alternatives or dropped candidates."""
        plan = self.contacts[column]
        known = set(plan[plan.isin(ids)])
        for table in ("alternatives", "dropped"):
            unknown = sorted(set(ids) - known)
            if unknown:  # the candidates may be many: only what is asked for is read, and only if need be
                known |= set(self.table(table, columns=[column], filters=[(column, "in", unknown)])[column])
        return [one in known for one in ids]

    def dropped_because(self, contacts: pd.DataFrame) -> dict[tuple[str, str], str]:
        """Why contacts were dropped, by (customer_id, action_id); those that were not are left out."""
        if contacts.empty:
            return {}
        customers = contacts["customer_id"].unique().tolist()
        dropped = self.table("dropped", filters=[("customer_id", "in", customers)])
        rows = contacts.merge(dropped, on=["customer_id", "action_id"])
        return {(row.customer_id, row.action_id): row.reason for row in rows.itertuples()}

    def table(
        self, table: str, columns: Sequence[str] | None = None, filters: list[tuple] | None = None
    ) -> pd.DataFrame:
        """One of the run's Parquet files, or the part of it that is asked for.

        Raises
        ------
        BadInput
            When the file cannot be read.
        """
        path = self.folder / f"{table}.parquet"
        try:
            return pq.read_table(path, columns=columns, filters=filters).to_pandas(date_as_object=False)
        except (OSError, pa.ArrowException) as error:
            raise BadInput(
                [
                    Fault(
                        f"cannot be read: {error}",
                        file=f"{self.name}/{path.name}",
                        hint="Make the run again.",
                    )
                ]
            ) from error

    def _with_day(self, frame: pd.DataFrame) -> pd.DataFrame:
        when = frame["date"]
        if self.start is not None:
            when = (when - pd.Timestamp(self.start)).dt.days + 1
        return frame.assign(day=when.astype("int32"))


def _holding(ids: pd.Series, text: str) -> list[str]:
    return ids[ids.str.casefold().str.contains(text.strip().casefold(), regex=False)].tolist()


def finished_runs(reports: str | Path) -> list[Path]:
    """The finished runs in a folder, the newest first."""
    found = [certificate.parent for certificate in Path(reports).glob("*/certificate.json")]
    found = [run for run in found if (run / "plan.parquet").is_file() and not run.name.startswith(".")]
    return sorted(found, key=lambda run: (_finished_at(run), run.name), reverse=True)


def _finished_at(run: Path) -> float:
    """When a run ended, in seconds: by its manifest, which a copy keeps, or else by its files."""
    try:
        manifest = json.loads((run / "manifest.json").read_text("utf-8"))
        return datetime.fromisoformat(manifest["finished"]).timestamp()
    except (OSError, ValueError, KeyError, TypeError):
        return (run / "certificate.json").stat().st_mtime
