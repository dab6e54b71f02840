"""The inputs, read again: the project, its policy with the plan's changes, and the tables of ids."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from omniopt.audit.arrays import code, expand
from omniopt.audit.given import Given
from omniopt.audit.scope import ROOTS, Rows, Unchecked, World
from omniopt.errors import BadInput, Faults
from omniopt.project import Project
from omniopt.tables import Tables, read_parquet, with_codes

if TYPE_CHECKING:
    from omniopt.audit.arms import Arms

TABLE_OF = {"customer": "customers", "offer": "offers", "channel": "channels", "action": "actions"}
# The policy's sections that are lists of rules.
RULES = ("eligibility", "limits", "contact", "conflicts", "requires")
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
KEY_OF = {"customer": "customer_id", "offer": "offer_id", "channel": "channel", "action": "action_id"}


@dataclass
class Inputs:
    """Everything the plan was to be made from.

    Attributes
    ----------
    tables : Tables
        As read from the files.
    policy : dict
        The policy with the certificate's changes applied.
    world : World
        Ids and attributes by position.
    vetoes, locks : list of tuple
        Pairs of customer and action.
    customers : ndarray of int or None
        Those whose rows are here, sorted; None for all.
    scores : DataFrame or None
        The project's, or those its models made.
    given : Given or None
        The project's own candidates.
    annoyance : tuple or None
        What it costs when a customer unsubscribes (an amount or a customers' column), and how many days
        make the pressure.
    chances : ndarray or None
        The chances to unsubscribe, where they are estimated: see `omniopt.audit.annoyance`.
    arms : Arms or None
        Control groups and who explores: see `omniopt.audit.arms`.
    memo : dict
        What was worked out once for these customers.
    """

    tables: Tables
    policy: dict[str, Any]
    world: World
    vetoes: list[tuple[str, str]]
    locks: list[tuple[str, str]]
    customers: np.ndarray | None = None
    scores: pd.DataFrame | None = None
    given: Given | None = None
    annoyance: tuple[float | str, int] | None = None
    chances: np.ndarray | None = None
    arms: Arms | None = None
    memo: dict[Any, np.ndarray] = field(default_factory=dict, repr=False)
    _positions: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.given is None:
            table = with_codes(self.tables).coded
            self.given = None if table is None else Given.of_table(self.world, table)

    def key(self, rows: Rows) -> np.ndarray:
        """One number for customer and action, in the order of both."""
        return rows.customer * (len(self.world.ids["action"]) + 1) + rows.action

    def customer_of(self, name: str) -> np.ndarray:
        """The customer of each row of a table, by position."""
        if name not in self._positions:
            frame = self.scores if name == "scores" else getattr(self.tables, name)
            ids = [] if frame is None else frame["customer_id"]
            self._positions[name] = code(self.world.ids["customer"], ids)
        return self._positions[name]

    def of(self, customers: np.ndarray) -> Inputs:
        """The same for some customers (sorted): only their consents, history and scores."""
        self.known()
        frames: dict[str, pd.DataFrame | None] = {}
        positions = {k: at for k, at in self._positions.items() if k in ("customers", "known")}
        for name in ("consents", "history", "scores"):
            frame = self.scores if name == "scores" else getattr(self.tables, name)
            if frame is None:
                frames[name] = None
                continue
            position = self.customer_of(name)
            if name not in self.memo:
                self.memo[name] = np.argsort(position, kind="stable")
            order = self.memo[name]
            first, stop = (np.searchsorted(position, customers, side, sorter=order) for side in _SIDES)
            at = np.sort(order[expand(first, stop)[0]])
            frames[name], positions[name] = frame.iloc[at], position[at]
        tables = replace(self.tables, consents=frames["consents"], history=frames["history"])
        return replace(
            self, tables=tables, customers=customers, scores=frames["scores"], _positions=positions, memo={}
        )

    def known(self) -> np.ndarray:
        """The customers of the project whose rows are here, sorted; ids that only history names are none."""
        if "known" not in self._positions:
            known = np.zeros(len(self.world.ids["customer"]), dtype=bool)
            if self.tables.customers is not None:
                known[self.customer_of("customers")] = True
            elif self.given is not None:
                known |= np.diff(self.given.start) > 0
            self._positions["known"] = known
        known = self._positions["known"]
        return np.flatnonzero(known) if self.customers is None else self.customers[known[self.customers]]


def read(
    directory: Path, certificate: Mapping[str, Any], project: Project | None, faults: Faults
) -> Inputs | None:
    """Read the project a certificate names, or the one given, and apply the certificate's changes.

    Parameters
    ----------
    directory : Path
        The plan's folder; the certificate's path to the project starts there.
    certificate : mapping
        Its ``project`` and ``changes`` are used.
    project : Project or None
        The project itself, where it was never a file.
    faults : Faults
        Receives what is wrong.

    Returns
    -------
    Inputs or None
        None if the inputs cannot be read; the faults say why.
    """
    changes = certificate.get("changes") or {}
    if project is None:
        name = certificate.get("project")
        if not isinstance(name, str):
            faults.add(
                "the certificate names no project file, so the inputs cannot be read again",
                file="certificate.json",
                hint="Call verify with the project the plan was made from",
            )
            return None
        try:
            project = Project.load(directory / name)
        except BadInput as error:
            faults.extend(error.faults)
            return None
    elif project.changes and _plain(project.changes) != _plain(changes):
        faults.add("the certificate's changes are not those of the project given", file="certificate.json")
    try:
        tables = project.read(coded=not _is_bound(project.policy, changes))
    except BadInput as error:
        faults.extend(error.faults)
        return None
    unread = [section for section in RULES if not isinstance(project.policy.get(section) or [], list)]
    for section in unread:
        faults.add(f"the policy's {section} could not be checked: it is no list of rules")
    if unread:
        return None
    policy = changed(project.policy, changes, faults)
    horizon = project.spec.horizon
    world = build_world(
        tables,
        dict(project.spec.multi_valued),
        horizon.start if horizon else None,
        horizon.days if horizon else None,
    )
    vetoes, locks = (_pairs(changes.get(key), key, faults) for key in ("vetoes", "locks"))
    said = project.spec.annoyance
    annoyance = None if said is None else (said.loss, said.days)
    return Inputs(tables, policy, world, vetoes, locks, annoyance=annoyance)


def read_scores(inputs: Inputs, directory: Path) -> pd.DataFrame | None:
    """The project's scores, or those that its models made and left beside the plan."""
    if inputs.given is not None or inputs.tables.scores is not None:
        return inputs.tables.scores
    path = directory / "scores.parquet"
    if not path.is_file():
        raise Unchecked("the project gives no scores, and there is no scores.parquet beside the plan")
    try:
        scores = read_parquet(path)
        usable = {"customer_id", "offer_id", "channel", "p_response"} <= set(scores)
        usable = usable and bool(scores["p_response"].between(0, 1).all())
    except Exception as error:  # a damaged file fails in many ways, and every one of them is a finding
        raise Unchecked(f"scores.parquet cannot be read: {error}") from None
    if not usable:
        raise Unchecked("scores.parquet does not hold probabilities by customer_id, offer_id and channel")
    return scores


def _is_bound(policy: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Whether a limit takes a number from the table of candidates, which has to be a frame for that."""
    rules, changed = policy.get("limits"), changes.get("limits")
    listed = [
        *(rules if isinstance(rules, list) else ()),
        *(changed.values() if isinstance(changed, Mapping) else ()),
    ]
    values = [value for rule in listed if isinstance(rule, Mapping) for value in rule.values()]
    return any(isinstance(value, Mapping) and value.get("table") == "candidates" for value in values)


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes without their empty parts, pairs as lists of text."""
    plain: dict[str, Any] = {}
    for key, value in changes.items():
        if value:
            plain[key] = (
                sorted([str(v) for v in row[:2]] for row in value) if isinstance(value, list) else dict(value)
            )
    return plain


def _pairs(rows: Any, key: str, faults: Faults) -> list[tuple[str, str]]:
    try:
        return [(str(row[0]), str(row[1])) for row in rows or []]
    except (TypeError, IndexError, KeyError):
        faults.add(f"'{key}' is not a list of customer and action", file="certificate.json", column="changes")
        return []


def changed(policy: Mapping[str, Any], changes: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    """The policy with changed limits and contact rules; a key set to nothing is taken away."""
    result = copy.deepcopy(dict(policy))
    for section, named in changes.items():
        if section in ("vetoes", "locks"):
            continue
        rules = {rule.get("name"): rule for rule in result.get(section) or [] if isinstance(rule, dict)}
        if section not in ("limits", "contact") or not isinstance(named, Mapping):
            faults.add(
                f"changes of '{section}' could not be checked", file="certificate.json", column="changes"
            )
            continue
        for name, keys in named.items():
            if name not in rules or not isinstance(keys, Mapping):
                faults.add("the certificate changes a rule the policy does not have", rule=str(name))
                continue
            rules[name].update(keys)
            for key in [key for key, value in rules[name].items() if value is None]:
                del rules[name][key]
    return result


def build_world(tables: Tables, multi_valued: dict[str, str], start: Any, days: int | None) -> World:
    """Collect every id that occurs anywhere, and put the attributes in the order of the ids."""
    actions = tables.actions if tables.actions is not None else _catalogue(tables, start, days)
    own = {
        "customer": tables.customers,
        "offer": tables.offers,
        "channel": tables.channels,
        "action": actions,
    }
    elsewhere = (tables.candidates, actions, tables.scores, tables.consents, tables.history)
    coded: dict[str, Any] = {}
    if tables.coded is not None:
        coded = {"customer": tables.coded.customer_ids, "action": tables.coded.action_ids}
    ids, frames = {}, {}
    for root in ROOTS:
        key, table = KEY_OF[root], own[root]
        parts = [frame[key] for frame in (table, *elsewhere) if frame is not None and key in frame.columns]
        if root == "channel" and table is not None and "fallback" in table.columns:
            parts.append(table["fallback"])
        ids[root] = _every_id(parts, coded.get(root))
        frames[root] = pd.DataFrame(index=ids[root]) if table is None else _in_order(table, key, ids[root])
    return World(ids, frames, multi_valued, start, days)


def _every_id(parts: list[pd.Series], coded: pa.Array | None) -> pd.Index:
    """Every id once, sorted by code points."""
    texts = [pa.array(part.astype("str").array) for part in parts] + ([] if coded is None else [coded])
    chunks = [c for text in texts for c in (text.chunks if isinstance(text, pa.ChunkedArray) else [text])]
    words = pa.chunked_array([c.cast(pa.large_string()) for c in chunks], pa.large_string())
    words = words.unique().drop_null()
    # The order of UTF-8's bytes is that of its characters.
    return pd.Index(pd.array(words.take(pc.sort_indices(words)), dtype="str"))


def _in_order(table: pd.DataFrame, key: str, ids: pd.Index) -> pd.DataFrame:
    """A table's other columns in the order of all ids; empty where the table lacks one."""
    frame, at = table.drop(columns=key).reset_index(drop=True), code(pd.Index(table[key]), ids)
    if not np.array_equal(at, np.arange(len(frame))):
        frame = frame.take(at) if (at >= 0).all() else frame.reindex(at)
    return frame.set_axis(ids)


def _catalogue(tables: Tables, start: datetime.date | None, days: int | None) -> pd.DataFrame:
    """Offers × channels × the dates on which the offer is valid, for want of a table of actions."""
    if tables.offers is None or tables.channels is None:
        return pd.DataFrame({"action_id": pd.Series([], dtype="str")})
    offers, channels = tables.offers["offer_id"], tables.channels["channel"]
    frame = pd.MultiIndex.from_product(
        [offers, channels, range(1, (days or 1) + 1)], names=["offer_id", "channel", "date"]
    ).to_frame(index=False)
    valid = tables.offers.set_index("offer_id").reindex(frame["offer_id"])
    keep = np.ones(len(frame), dtype=bool)
    for name, sign in (("valid_from", 1), ("valid_to", -1)):
        if name in valid:
            edge = valid[name].to_numpy(dtype=float, na_value=-sign * np.inf)
            keep &= sign * frame["date"].to_numpy() >= sign * edge
    frame = frame[keep].reset_index(drop=True)
    # Such an action is called after what it is: loan|email|2026-11-23.
    when = [str(start + datetime.timedelta(days=day - 1) if start else day) for day in frame["date"]]
    frame["action_id"] = frame["offer_id"].astype(object) + "|" + frame["channel"].astype(object) + "|" + when
    return frame


def table_of(inputs: Inputs, name: str) -> pd.DataFrame | None:
    """A table by its name in the project file."""
    if name in inputs.tables.extra:
        return inputs.tables.extra[name]
    frame = (
        getattr(inputs.tables, name, None) if name in (*TABLE_OF.values(), "scores", "candidates") else None
    )
    return frame
