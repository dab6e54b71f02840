"""Sources in; customers, consents and history of the contract out, and what was done on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from omniopt.errors import Fault, Faults, nearest
from omniopt.identity.clusters import clusters
from omniopt.identity.events import OURS, Directory
from omniopt.identity.keys import normalised, too_common
from omniopt.identity.links import pairs_of, read_links
from omniopt.identity.read import UPDATED, SourceRows, read_source
from omniopt.identity.settle import listed, settle_attributes, settle_consents, settle_history
from omniopt.tables.contract import spec_of
from omniopt.tables.convert import Days
from omniopt.tables.sources import Source

if TYPE_CHECKING:
    from omniopt.project.sources import DataSource, Identity

#: Columns of the linking itself; no attribute of the customers or contacts.
_OWN = ["customer", "source", "source_id", "row", "trust_rank", "source_rank", "updated"]
_LISTED = 20  # unusable values of a key that are listed

SourceTables = Mapping[str, Source]


@dataclass(frozen=True)
class Linked:
    """What many sources became.

    Attributes
    ----------
    frames : dict of str to DataFrame
        ``customers``, and ``consents`` and ``history`` if some source holds them.
    report : dict of str to DataFrame
        ``counts`` (source, kind, rows, linked, set_aside), ``origins`` (customer_id, source, source_id, row),
        ``set_aside`` (source, row, reason), ``conflicts``, ``doubtful`` (clusters taken apart),
        ``placeholders`` (key, value, ids, reason) and ``proposed`` (what became of proposed links).
    inputs : dict of str to dict
        SHA-256, rows and name of each source.
    places : dict of str to DataFrame
        For each frame of consents or history, the source and the row behind each of its rows.
    sources : tuple of SourceRows
        What was read.
    """

    frames: dict[str, pd.DataFrame]
    report: dict[str, pd.DataFrame]
    inputs: dict[str, dict[str, Any]]
    places: dict[str, pd.DataFrame]
    sources: tuple[SourceRows, ...]

    def at_source(self, fault: Fault) -> Fault:
        """Say where a fault in a made table stands in the source it came from."""
        places = self.places.get(fault.table or "")
        if places is None or fault.row is None:
            return fault
        place = places.iloc[fault.row - 1]
        source = next(rows for rows in self.sources if rows.name == place["source"])
        column = None if fault.column is None else source.theirs.get(fault.column, fault.column)
        return replace(fault, file=source.file, table=source.name, row=int(place["row"]), column=column)


def link(
    declared: Mapping[str, DataSource],
    identity: Identity,
    tables: SourceTables,
    proposed: Source | None,
    days: Days,
    faults: Faults,
    *,
    file: str | None = None,
) -> Linked | None:
    """Link the rows of all sources, and settle what they say.

    Parameters
    ----------
    declared : mapping of str to DataSource
        The sources by name.
    identity : Identity
        How to link and settle.
    tables : mapping of str to Source
        Where the rows of each source are.
    proposed : Source or None
        The table of proposed links.
    days : Days
        The horizon that dates are counted from.
    faults : Faults
        Receives everything that is wrong.
    file : str, optional
        Name of the project file, for messages.

    Returns
    -------
    Linked or None
        None where there are faults.
    """
    sources = read_sources(declared, identity, tables, days, faults, file)
    links = None if proposed is None else read_links(proposed, [*declared], faults)
    if faults:
        return None
    people = nodes_of(sources, identity)
    keys, common = _without_common(people, identity)
    pairs, became = pairs_of(links, people, identity.threshold)
    part, doubtful = clusters(keys, people["source_rank"].to_numpy(), pairs, identity.largest)
    firsts, customer = np.unique(part, return_inverse=True)
    # Even without rows the first source is the first: ids do not depend on who is in it today.
    leading = next(at for at, rows in enumerate(sources) if rows.declared.kind == "customers")
    ids = _names(people, firsts, leading)
    twice = np.flatnonzero(ids.duplicated())
    for at in twice:
        hint = "Change one of the ids, or give the source another name"
        faults.add(f"two customers would have the id '{ids[at]}'", file=file, table="sources", hint=hint)
    if faults:
        return None
    doubtful["first"] = _names(people, doubtful.pop("first_node").to_numpy(np.int64), leading)
    directory = Directory(_keys(people, identity), people["source"], people["customer_id"], customer)
    if any(source.declared.ids_of == OURS for source in sources):
        directory.add_names(_names(people, np.arange(len(people)), leading))
    report = {"placeholders": common, "proposed": became, "doubtful": doubtful}
    return _settled(sources, people, customer, ids, directory, identity, report)


def read_sources(
    declared: Mapping[str, DataSource],
    identity: Identity,
    tables: SourceTables,
    days: Days,
    faults: Faults,
    file: str | None,
) -> list[SourceRows]:
    """Read all sources, the most trusted first; equally trusted ones by name."""
    names = sorted(declared, key=lambda name: (-declared[name].trust, name))
    people = [name for name in names if declared[name].kind == "customers"]
    if not people:
        hint = "Say kind: customers where a source lists people"
        faults.add("no source says who the customers are", file=file, table="sources", hint=hint)
    for name in names:
        of = declared[name].ids_of
        if of is not None and of not in [*people, OURS]:
            faults.add(f"sources.{name}.ids_of: '{of}' is no source of customers", file=file,
                       hint=nearest(of, [*people, OURS]))  # fmt: skip
    found = [read_source(name, declared[name], tables[name], days, faults) for name in names]
    sources = [rows for rows in found if rows is not None]
    for rows in sources:
        _check_linked(rows, identity, people, faults)
    if len(sources) == len(names):
        columns = {name for rows in sources for name in rows.frame if rows.declared.kind == "customers"}
        _check_columns(identity, columns, faults, file)
    return sources


def _check_linked(rows: SourceRows, identity: Identity, people: list[str], faults: Faults) -> None:
    """Fault consents and contacts that nothing ties to a customer: all of them would be set aside."""
    if rows.declared.kind == "customers" or rows.declared.ids_of or set(identity.keys) & set(rows.frame):
        return
    what = f"it has neither a key ({', '.join(identity.keys)}) nor ids_of: its rows belong to nobody"
    hint = f"Say whose ids customer_id holds, such as ids_of: {people[0] if people else OURS}, or ids_of: "
    faults.add(what, file=rows.file, table=rows.name, hint=f"{hint}{OURS} for those of plans")


def _check_columns(identity: Identity, columns: set[str], faults: Faults, file: str | None) -> None:
    """Fault columns that the project names and no source of customers has."""
    if not set(identity.keys) & columns:
        what = f"no source of customers has a key ({', '.join(identity.keys)})"
        hint = "Name it in columns, such as email: their column, or name other keys in identity.keys"
        faults.add(what, file=file, table="sources", hint=hint)
    # The keys everybody starts with need not all be there; those that the project names do.
    usual = type(identity).model_fields["keys"].default
    named = {
        "keys": set(identity.keys) - set(usual),
        "household": identity.household,
        "compare": identity.compare,
    }
    for key, names in named.items():
        for name in sorted(set(names) - columns):
            what = f"identity.{key}: no source of customers has the column '{name}'"
            faults.add(what, file=file, hint=nearest(name, sorted(columns - {UPDATED})))


def nodes_of(sources: list[SourceRows], identity: Identity) -> pd.DataFrame:
    """Put the rows of all people together: one row per id of a source, in an order of its own.

    Parameters
    ----------
    sources : list of SourceRows
        The most trusted first.
    identity : Identity
        Its keys are normalised; of an id with several rows the newest that has a key gives it.

    Returns
    -------
    DataFrame
        source, source_rank, customer_id, and the other columns of the sources, keys normalised.
    """
    frame = _together(sources, "customers")
    for key in identity.keys:
        if key in frame:
            frame[key] = normalised(frame[key], key, identity.country_code)
    columns = frame.columns.drop([name for name in frame if name in _OWN or name == "customer_id"])
    contents = pd.util.hash_pandas_object(frame[columns], index=False).to_numpy()
    # Arrow compares texts by their bytes; codes of sorted texts make that cheap for the sort below.
    own_id = pd.factorize(frame["customer_id"], sort=True)[0]
    order = np.lexsort((contents, -frame["updated"].fillna(-np.inf), own_id, frame["source_rank"]))
    ordered = frame.iloc[order].reset_index(drop=True)
    again = ordered.duplicated(["source_rank", "customer_id"])
    if not again.any():
        return ordered
    return ordered.groupby(["source_rank", "customer_id"], sort=False, as_index=False).first()[
        ordered.columns
    ]


def _together(sources: list[SourceRows], kind: str) -> pd.DataFrame:
    """Put the rows of all sources of a kind below each other."""
    trust = sorted({-rows.declared.trust for rows in sources})
    frames = []
    for at, rows in enumerate(sources):
        if rows.declared.kind == kind:
            frame = rows.frame.drop(columns=UPDATED, errors="ignore").assign(
                source=rows.name, source_rank=at, trust_rank=trust.index(-rows.declared.trust),
                row=np.arange(1, len(rows.frame) + 1),
                updated=rows.frame[UPDATED].astype("Float64").to_numpy(np.float64, na_value=np.nan)
                if UPDATED in rows.frame else np.nan,
            )  # fmt: skip
            frames.append(frame.astype({"source": "str"}))
    return pd.concat(frames, ignore_index=True)


def _keys(people: pd.DataFrame, identity: Identity) -> dict[str, pd.Series]:
    return {key: people[key] for key in identity.keys if key in people}


def _without_common(people: pd.DataFrame, identity: Identity) -> tuple[dict[str, pd.Series], pd.DataFrame]:
    """Take the values that too many ids share out of the keys; list them."""
    keys, found = {}, [pd.DataFrame(columns=["key", "value", "ids", "reason"])]
    for key, value in _keys(people, identity).items():
        common = too_common(value, people["source_rank"].to_numpy(), identity.largest)
        keys[key] = value.mask(value.isin(common["value"])) if len(common) else value
        found.append(
            common.assign(key=key, reason="too many ids share it")[["key", "value", "ids", "reason"]]
        )
    return keys, _below(found)


def _unusable(key: str, written: pd.Series) -> pd.DataFrame:
    """List the cells of a key that link nothing, the most frequent ones first."""
    counts = written.value_counts().rename_axis("value").reset_index(name="ids")
    counts = counts.sort_values(["ids", "value"], ascending=[False, True], ignore_index=True).head(_LISTED)
    return counts.assign(key=key, reason="unusable, or stands for nothing")[["key", "value", "ids", "reason"]]


def _below(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Put frames below each other; the first says which columns there are if all are empty."""
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _names(people: pd.DataFrame, nodes: np.ndarray, leading: int) -> pd.Series:
    """Name customers: by the id of the leading source, or by source and id."""
    chosen = people.iloc[nodes]
    first = chosen["source_rank"].to_numpy() == leading
    own = chosen["customer_id"].reset_index(drop=True)
    return own.where(first, chosen["source"].reset_index(drop=True) + ":" + own)


def _settled(
    sources: list[SourceRows],
    people: pd.DataFrame,
    customer: np.ndarray,
    ids: pd.Series,
    directory: Directory,
    identity: Identity,
    report: dict[str, pd.DataFrame],
) -> Linked:
    rows, unusable = _together(sources, "customers"), [report["placeholders"]]
    for key in _keys(people, identity):
        written = rows[key]
        rows[key] = normalised(written, key, identity.country_code)
        unusable.append(_unusable(key, written[written.notna() & rows[key].isna()]))
    report["placeholders"] = _below(unusable)
    index = pd.MultiIndex.from_arrays([people["source_rank"], people["customer_id"]])
    at = index.get_indexer(pd.MultiIndex.from_arrays([rows["source_rank"], rows["customer_id"]]))
    rows["customer"] = customer[at]
    attributes = sorted(rows.columns.difference([*_OWN, "customer_id"]))
    frames, places, aside = {}, {}, [pd.DataFrame(columns=["source", "row", "reason"])]
    origins = [_origins(rows, ids)]
    frames["customers"], lost = settle_attributes(rows, attributes, ids, identity.settle)
    _add_households(frames["customers"], identity.household)
    conflicts = [lost]
    for kind, settle in (("consents", settle_consents), ("history", settle_history)):
        if not any(source.declared.kind == kind for source in sources):
            continue
        found = _found(sources, kind, directory, identity)
        linked = found[found["customer"] >= 0].drop(columns="reason")
        origins.append(_origins(linked, ids))
        aside.append(found.loc[found["customer"] < 0, ["source", "row", "reason"]])
        made, lost = settle(linked, ids, identity.settle)
        made = made.sort_values([*spec_of(kind).key], kind="stable", ignore_index=True)
        places[kind] = made[["source", "row"]]
        frames[kind] = made.drop(columns=_OWN, errors="ignore")
        conflicts.append(lost)
    report["set_aside"] = _below(aside)
    report["conflicts"] = listed([frame for frame in conflicts if len(frame)])
    report["origins"] = pd.concat(origins, ignore_index=True).sort_values(
        ["source", "row"], kind="stable", ignore_index=True
    )
    report["counts"] = _counts(sources, report["set_aside"])
    inputs = {source.name: {"sha256": source.sha256, "rows": len(source.frame)} for source in sources}
    return Linked(frames, report, inputs, places, tuple(sources))


def _found(sources: list[SourceRows], kind: str, directory: Directory, identity: Identity) -> pd.DataFrame:
    """Put the rows of a kind together, with their customer or the reason why there is none."""
    found = []
    for source in sources:
        if source.declared.kind != kind:
            continue
        rows, of = source.frame, source.declared.ids_of
        keys = {
            key: normalised(rows[key], key, identity.country_code)
            for key in identity.keys
            if key in rows and key in directory.by_key
        }
        found.append(directory.find(keys, rows["customer_id"] if of else None, of, len(rows)))
    frame = _together(sources, kind).rename(columns={"customer_id": "source_id"})
    frame = frame.drop(columns=list(identity.keys), errors="ignore")
    for name in spec_of(kind).columns:
        if name in ("outcome", "value", "valid_from", "valid_to") and name not in frame:
            frame[name] = pd.Series(np.nan, index=frame.index, dtype=_EMPTY.get(name, "Int32"))
    matched = pd.concat(found, ignore_index=True)
    return frame.assign(customer=matched["customer"].to_numpy(), reason=matched["reason"].array)


_EMPTY = {"outcome": "str", "value": "float64"}


def _origins(rows: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    own = next((rows[name].array for name in ("customer_id", "source_id") if name in rows), None)
    own = pd.array([None] * len(rows), dtype="str") if own is None else own
    return pd.DataFrame({
        "customer_id": ids.array.take(rows["customer"].to_numpy()),
        "source": rows["source"].array, "source_id": own, "row": rows["row"].array,
    })  # fmt: skip


def _counts(sources: list[SourceRows], aside: pd.DataFrame) -> pd.DataFrame:
    left = aside["source"].value_counts()
    counts = pd.DataFrame({
        "source": [source.name for source in sources],
        "kind": [source.declared.kind for source in sources],
        "rows": [len(source.frame) for source in sources],
        "set_aside": [int(left.get(source.name, 0)) for source in sources],
    })  # fmt: skip
    counts.insert(3, "linked", counts["rows"] - counts["set_aside"])
    return counts


def _add_households(customers: pd.DataFrame, columns: tuple[str, ...]) -> None:
    """Give those who agree in all columns one household_id; whoever has an empty one lives alone."""
    if not columns:
        return
    cells = [
        customers[name].str.strip().str.casefold().str.replace(r"\s+", " ", regex=True) for name in columns
    ]
    whole = cells[0].str.cat(cells[1:], sep="\0") if len(cells) > 1 else cells[0]
    # Named by the address, a household keeps its id when others join or leave.
    known = whole.notna().to_numpy()
    names = pd.Series(customers["customer_id"].array, dtype="str")
    hashes = pd.util.hash_array(whole[known].to_numpy(dtype=object))
    names[known] = pd.Series(hashes, index=np.flatnonzero(known)).map("household:{:016x}".format)
    customers["household_id"] = (
        names if "household_id" not in customers else customers["household_id"].fillna(names)
    )
