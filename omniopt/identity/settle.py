"""Where sources differ: one value for each attribute, one consent, one contact, and what lost against it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from omniopt.tables.contract import OUTCOMES

#: How conflicts are listed.
CONFLICT = ("customer_id", "table", "what", "kept", "kept_source", "other", "other_source", "other_row")


def rank(rows: pd.DataFrame, group: list[str], settle: str, first: list[np.ndarray]) -> np.ndarray:
    """Order rows so that the one that wins comes first in its group.

    Parameters
    ----------
    rows : DataFrame
        Columns ``trust_rank`` (0 for the most trusted sources), ``source_rank`` (no two sources have the
        same), ``updated`` (day, NaN if not known) and the group's.
    group : list of str
        Columns of codes.
    settle : str
        ``newest`` or ``most_trusted``.
    first : list of ndarray
        What decides before trust and time, smallest first.

    Returns
    -------
    ndarray of int
    """
    newest = -rows["updated"].fillna(-np.inf).to_numpy(float)
    trust = rows["trust_rank"].to_numpy()
    declared = [newest, trust] if settle == "newest" else [trust, newest]
    # The rows' own contents come last, so that their order in the file decides nothing.
    contents = pd.util.hash_pandas_object(rows.drop(columns="row"), index=False).to_numpy()
    ranks = [*(rows[name] for name in group), *first, *declared, rows["source_rank"], contents]
    return np.lexsort(ranks[::-1])


def settle_attributes(
    rows: pd.DataFrame, attributes: list[str], customer_ids: pd.Series, settle: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each customer one value of each attribute: the first that is known by the declared rule.

    Parameters
    ----------
    rows : DataFrame
        Rows of sources of customers: the attributes as text, customer (code), source, row, and what
        `rank` needs.
    attributes : list of str
    customer_ids : Series of str
        By code.
    settle : str
        ``newest`` or ``most_trusted``.

    Returns
    -------
    customers : DataFrame
        customer_id and the attributes, in the order of the codes.
    conflicts : DataFrame
        Every value that lost.
    """
    ordered = rows.iloc[rank(rows, ["customer"], settle, [])]
    code = ordered["customer"].to_numpy()
    made, lost = {"customer_id": customer_ids}, []
    for name in attributes:
        there = np.flatnonzero(ordered[name].notna().to_numpy())
        known, firsts = np.unique(code[there], return_index=True)
        chosen = np.full(len(customer_ids), -1, np.int64)
        chosen[known] = there[firsts]
        values = ordered[name].array
        made[name] = pd.Series(values.take(chosen, allow_fill=True))
        kept = chosen[code[there]]
        other = there[np.asarray(values[there] != values[kept], dtype=bool)]
        if len(other):
            winners = ordered.iloc[chosen[code[other]]]
            losers = ordered.iloc[other]
            lost.append(_conflicts("customers", name, customer_ids, winners, losers, name))
    return pd.DataFrame(made), listed(lost)


def settle_consents(
    rows: pd.DataFrame, customer_ids: pd.Series, settle: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep one consent per customer, channel and purpose; a refusal wins where nothing else decides.

    Parameters
    ----------
    rows : DataFrame
        Consents with customer (code), source, row, and what `rank` needs.
    customer_ids : Series of str
        By code.
    settle : str
        ``newest`` or ``most_trusted``.

    Returns
    -------
    consents, conflicts : DataFrame
    """
    coded, group = _coded(rows, "channel", "purpose")
    granted = coded["granted"].to_numpy(bool)
    order = rank(coded, group, settle, [])
    ordered = coded.iloc[order]
    # Rows that trust and time do not tell apart lie side by side: of those, refusals come first.
    tie = ordered.groupby([*group, "trust_rank", "updated"], dropna=False, sort=False).ngroup().to_numpy()
    ordered = ordered.iloc[np.lexsort((granted[order], tie))]
    return _one_of_each(ordered, group, "consents", "granted", customer_ids)


def settle_history(
    rows: pd.DataFrame, customer_ids: pd.Series, settle: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make one contact of all rows of a customer, offer, channel and day: it ends with the last outcome.

    Its value is the sum within a source, and the highest of the sources: two purchases add up, one that two
    sources report does not.

    Parameters
    ----------
    rows : DataFrame
        History with customer (code), source, row, and what `rank` needs.
    customer_ids : Series of str
        By code.
    settle : str
        ``newest`` or ``most_trusted``.

    Returns
    -------
    history, conflicts : DataFrame
    """
    coded, group = _coded(rows, "offer_id", "channel")
    group.append("date")
    stage = {word: -at for at, word in enumerate(OUTCOMES)}
    reached = coded["outcome"].map(stage).fillna(1).to_numpy(float)  # a contact still planned comes last
    ordered = coded.iloc[rank(coded, group, settle, [reached])]
    history, conflicts = _one_of_each(ordered, group, "history", "outcome", customer_ids)
    if "value" in rows and len(history) < len(rows):
        within = ordered.groupby([*group, "source"], sort=False)["value"].sum(min_count=1)
        history["value"] = within.groupby(level=group, sort=False).max().to_numpy()
    return history, conflicts


def _coded(rows: pd.DataFrame, *names: str) -> tuple[pd.DataFrame, list[str]]:
    """Add codes of text columns, in the texts' order; also name the customer's code and these."""
    codes = {f"{name}_code": pd.factorize(rows[name], sort=True)[0] for name in names}
    return rows.assign(**codes), ["customer", *codes]


def _one_of_each(
    ordered: pd.DataFrame, group: list[str], table: str, column: str, customer_ids: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the first row of each group; list the others."""
    number = ordered.groupby(group, sort=False).ngroup().to_numpy()
    again = pd.Series(number).duplicated().to_numpy()
    kept, losers = ordered[~again].reset_index(drop=True), ordered[again]
    what = losers["channel"].str.cat(losers["offer_id" if table == "history" else "purpose"], sep=" ")
    lost = _conflicts(table, what, customer_ids, kept.iloc[number[again]], losers, column)
    kept.insert(0, "customer_id", customer_ids.array.take(kept["customer"].to_numpy()))
    return kept.drop(columns=[name for name in kept if name.endswith("_code")]), lost


def _conflicts(
    table: str,
    what: str | pd.Series,
    ids: pd.Series,
    winners: pd.DataFrame,
    losers: pd.DataFrame,
    column: str,
) -> pd.DataFrame:
    names = what if isinstance(what, str) else what.array
    return pd.DataFrame({
        "customer_id": ids.array.take(losers["customer"].to_numpy()),
        "table": table,
        "what": names,
        "kept": winners[column].astype("str").array,
        "kept_source": winners["source"].array,
        "other": losers[column].astype("str").array,
        "other_source": losers["source"].array,
        "other_row": losers["row"].array,
    }, columns=CONFLICT)  # fmt: skip


def listed(lost: list[pd.DataFrame]) -> pd.DataFrame:
    """Put lists of conflicts together, in an order that the rows' order does not change."""
    if not lost:
        return pd.DataFrame(columns=CONFLICT)
    return pd.concat(lost, ignore_index=True).sort_values(
        ["customer_id", "table", "what", "other_source", "other"], kind="stable", ignore_index=True
    )
