"""Customers, offers, channels and actions as sorted, coded entities with attributes.

Everything downstream speaks in integer codes into these tables; sorting the ids as text
is what makes a plan independent of the order of rows in the files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from omniopt.errors import Faults
from omniopt.project import Project
from omniopt.tables import Tables
from omniopt.tables.texts import text_codes, text_order, texts_of

ID_COLUMN = {"customer": "customer_id", "offer": "offer_id", "channel": "channel", "action": "action_id"}


@dataclass(frozen=True)
class Rows:
    """Things that rules are matched against, as codes into the catalogue's entities.

    A code of -1 means that the thing has no such entity. ``day`` holds day numbers.
    Entities that the things do not have at all (the customer of an action) are absent.

    Attributes
    ----------
    codes : dict of str to ndarray of int64
        Entity name (customer, offer, channel, action) to one code per thing.
    day : ndarray of int64
        Planned or past contact day of each thing, 1 = first day of the horizon.
    """

    codes: dict[str, np.ndarray]
    day: np.ndarray

    def __len__(self) -> int:
        return len(self.day)

    def take(self, index: np.ndarray) -> Rows:
        """Return the things at the given positions (or under a boolean mask)."""
        return Rows({name: codes[index] for name, codes in self.codes.items()}, self.day[index])

    def followed_by(self, other: Rows) -> Rows:
        """Return these things and then the other ones, of the same entities."""
        codes = {name: np.concatenate([self.codes[name], other.codes[name]]) for name in other.codes}
        return Rows(codes, np.concatenate([self.day, other.day]))


@dataclass(frozen=True)
class Catalogue:
    """The entities of a project, each sorted by its id as text.

    Attributes
    ----------
    entities : dict of str to DataFrame
        ``customer``, ``offer``, ``channel`` and ``action``: one row per id, the id column first.
    actions : Rows
        Every action with its offer, channel, action code and day.
    fallback : ndarray of int64
        For each channel the code of its fallback channel, or -1.
    past : Rows
        Every row of the history, sorted by customer, day, offer, channel.
    past_table : DataFrame
        The same rows with their columns.
    history : Rows
        Those of them that count in rules: past contacts and commitments.
    history_table : DataFrame
        The same contacts with their columns.
    start : numpy.datetime64 or None
        Calendar date of day 1.
    days : int or None
        Length of the horizon in days.
    has_dates : bool
        Whether the actions carry dates; without them every action lies on day 1.
    """

    entities: dict[str, pd.DataFrame]
    actions: Rows
    fallback: np.ndarray
    past: Rows
    past_table: pd.DataFrame
    history: Rows
    history_table: pd.DataFrame
    start: np.datetime64 | None
    days: int | None
    has_dates: bool
    multi_valued: dict[str, str] = field(default_factory=dict)

    def ids(self, entity: str) -> np.ndarray:
        """Return the sorted ids of an entity as objects; of many, `ids_of` returns them as they are kept."""
        return self.entities[entity][ID_COLUMN[entity]].to_numpy(dtype=object)

    def ids_of(self, entity: str) -> pd.api.extensions.ExtensionArray:
        """Return the sorted ids of an entity as an array of text, without an object for each."""
        return self.entities[entity][ID_COLUMN[entity]].array

    def ids_at(self, entity: str, codes: np.ndarray) -> pd.Series:
        """Return the ids of the given codes as text, a missing value where the code is -1."""
        return pd.Series(self.ids_of(entity).take(codes, allow_fill=True))

    def codes_of(self, entity: str, ids: pd.Series) -> np.ndarray:
        """Translate ids to codes, int64; -1 where an id is missing or unknown."""
        return text_codes(texts_of(ids), texts_of(self.entities[entity][ID_COLUMN[entity]]))

    @property
    def span(self) -> tuple[int, int]:
        """First and last day that planned contacts can lie on: the horizon, or what the actions reach."""
        if self.days:
            return 1, self.days
        day = self.actions.day
        return (int(day.min()), int(day.max())) if len(day) else (1, 1)

    def day_text(self, day: int) -> str:
        """Return a day number as an ISO date, or as it is where no horizon is known."""
        return str(day) if self.start is None else str(self.start + np.timedelta64(int(day) - 1, "D"))


# A contact that bounced reached nobody; every other outcome implies that it was sent.
CONTACT_OUTCOMES = ("sent", "delivered", "opened", "clicked", "responded", "rejected", "unsubscribed")


def build_catalogue(project: Project, tables: Tables, faults: Faults) -> Catalogue:
    """Build the catalogue from the tables as read.

    Parameters
    ----------
    project : Project
        Supplies horizon and multi-valued columns.
    tables : Tables
        The validated tables.
    faults : Faults
        Collects what is wrong; the catalogue is still returned as far as it can be.

    Returns
    -------
    Catalogue
    """
    horizon = project.spec.horizon
    actions_table = tables.actions
    if actions_table is None:
        actions_table = _default_actions(project, tables, faults)
    given = tables.candidates
    if tables.coded is not None:
        given = pd.DataFrame({"customer_id": pd.array(tables.coded.customer_ids, dtype="str")})
    entities = {
        "customer": _entity("customer", tables.customers, [given, tables.scores, tables.history]),
        "offer": _entity("offer", tables.offers, [actions_table, tables.history]),
        "channel": _entity("channel", tables.channels, [actions_table, tables.history]),
        "action": _entity("action", actions_table, []),
    }
    none = np.zeros(0, np.int64)
    empty = Rows({}, none)
    partial = Catalogue(
        entities, empty, none, empty, pd.DataFrame(), empty, pd.DataFrame(),
        None if horizon is None else np.datetime64(horizon.start, "D"),
        None if horizon is None else horizon.days,
        "date" in actions_table.columns, dict(project.spec.multi_valued),
    )  # fmt: skip
    action = entities["action"]
    day = action["date"].to_numpy(np.int64) if partial.has_dates else np.ones(len(action), np.int64)
    actions = Rows(
        {
            "offer": partial.codes_of("offer", action["offer_id"]),
            "channel": partial.codes_of("channel", action["channel"]),
            "action": np.arange(len(action), dtype=np.int64),
        },
        day,
    )
    channel = entities["channel"]
    fallback = np.full(len(channel), -1, np.int64)
    if "fallback" in channel:
        named = channel["fallback"].notna().to_numpy()
        fallback[named] = partial.codes_of("channel", channel["fallback"][named])
    past, table = _past(partial, tables.history)
    counts = _counts(table)
    return replace(
        partial, actions=actions, fallback=fallback, past=past, past_table=table,
        history=past.take(counts), history_table=table[counts].reset_index(drop=True),
    )  # fmt: skip


def _entity(entity: str, table: pd.DataFrame | None, others: list[pd.DataFrame | None]) -> pd.DataFrame:
    """Sort an entity's table by id; without a table, know it by the ids found elsewhere."""
    key = ID_COLUMN[entity]
    if table is None:
        found = [t[key].dropna() for t in others if t is not None and key in t]
        ids = pd.concat(found).unique() if found else np.array([], dtype=object)
        table = pd.DataFrame({key: pd.Series(ids, dtype="str")})
    order = text_order(texts_of(table[key]))
    frame = (table if order is None else table.iloc[order]).reset_index(drop=True)
    frame[key] = pd.array(texts_of(frame[key]), dtype="str")  # in one piece, for `Catalogue.codes_of`
    return frame[[key, *[c for c in frame.columns if c != key]]]


def _default_actions(project: Project, tables: Tables, faults: Faults) -> pd.DataFrame:
    """Cross offers, channels and days: what a project without an actions table offers."""
    empty = pd.DataFrame({c: pd.Series([], dtype="str") for c in ("action_id", "offer_id", "channel")})
    empty["date"] = pd.Series([], dtype="int64")
    horizon = project.spec.horizon
    if tables.offers is None or tables.channels is None or horizon is None:
        faults.add(
            "there is no table of actions to choose from",
            file=None if project.file is None else project.file.name,
            hint="Name a table under tables: actions, or give offers, channels and a horizon to cross.",
        )
        return empty
    offers = tables.offers[["offer_id"]].assign(
        first=_bound(tables.offers, "valid_from", 1), last=_bound(tables.offers, "valid_to", horizon.days)
    )
    days = pd.DataFrame({"date": np.arange(1, horizon.days + 1)})
    grid = offers.merge(tables.channels[["channel"]], how="cross").merge(days, how="cross")
    grid = grid[(grid["date"] >= grid["first"]) & (grid["date"] <= grid["last"])]
    text = np.datetime_as_string(np.asarray(project.date_of(grid["date"].to_numpy())), unit="D")
    grid["action_id"] = (
        grid["offer_id"] + "|" + grid["channel"] + "|" + pd.Series(text, grid.index, dtype="str")
    )
    return grid[["action_id", "offer_id", "channel", "date"]]


def _bound(table: pd.DataFrame, column: str, default: int) -> pd.Series:
    if column not in table:
        return pd.Series(default, index=table.index)
    return table[column].astype("Float64").fillna(default).astype("int64")


def _past(catalogue: Catalogue, history: pd.DataFrame | None) -> tuple[Rows, pd.DataFrame]:
    """Code and sort the rows of the history."""
    if history is None or history.empty:
        none = np.zeros(0, np.int64)
        return Rows({name: none for name in ("customer", "offer", "channel", "action")}, none), pd.DataFrame()
    codes = {
        entity: catalogue.codes_of(entity, history[ID_COLUMN[entity]])
        if ID_COLUMN[entity] in history
        else np.full(len(history), -1, np.int64)
        for entity in ("customer", "offer", "channel", "action")
    }
    day = history["date"].to_numpy(np.int64)
    order = np.lexsort((codes["channel"], codes["offer"], day, codes["customer"]))
    return Rows(codes, day).take(order), history.iloc[order].reset_index(drop=True)


def _counts(history: pd.DataFrame) -> np.ndarray:
    """Mark past contacts and commitments, which are what rules count."""
    counts = np.zeros(len(history), bool)
    if "outcome" in history:
        counts |= history["outcome"].isin(CONTACT_OUTCOMES).to_numpy()
    if "planned" in history:
        counts |= history["planned"].fillna(False).astype(bool).to_numpy()
    return counts
