"""The inputs, read again: the project, its policy with the plan's changes, and the tables of ids."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.scope import ROOTS, World
from omniopt.errors import BadInput, Faults
from omniopt.project import Project
from omniopt.tables import Tables

TABLE_OF = {"customer": "customers", "offer": "offers", "channel": "channels", "action": "actions"}
# The policy's sections that are lists of rules.
RULES = ("eligibility", "limits", "contact", "conflicts", "requires")
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
    """

    tables: Tables
    policy: dict[str, Any]
    world: World
    vetoes: list[tuple[str, str]]
    locks: list[tuple[str, str]]


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
        tables = project.read()
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
    return Inputs(tables, policy, world, vetoes, locks)


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
    ids, frames = {}, {}
    for root in ROOTS:
        key, table = KEY_OF[root], own[root]
        parts = [frame[key] for frame in (table, *elsewhere) if frame is not None and key in frame.columns]
        if root == "channel" and table is not None and "fallback" in table.columns:
            parts.append(table["fallback"])
        text = pd.concat(parts) if parts else pd.Series([], dtype="str")
        ids[root] = pd.Index(np.sort(text.dropna().astype("str").unique().astype(object)), dtype="str")
        frames[root] = (
            pd.DataFrame(index=ids[root]) if table is None else table.set_index(key).reindex(ids[root])
        )
    return World(ids, frames, multi_valued, start, days)


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


def code(index: pd.Index, values: Iterable[Any]) -> np.ndarray:
    """Positions of ids; -1 where there is none."""
    return index.get_indexer(pd.Index(values, dtype="str")).astype(np.int64)
