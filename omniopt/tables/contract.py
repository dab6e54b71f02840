"""What the tables must hold: keys, columns with a meaning, and what may be left empty."""

from __future__ import annotations

from dataclasses import dataclass, field

#: What may stand in ``history.outcome``.
OUTCOMES = ("sent", "delivered", "bounced", "opened", "clicked", "responded", "rejected", "unsubscribed")

#: What may stand in ``experiments.arm``.
ARMS = ("treated", "control", "explored")

#: Columns whose name has the same meaning in every table, also in those the contract does not know.
COMMON = {
    "customer_id": "id",
    "offer_id": "id",
    "offer": "id",
    "channel": "id",
    "action_id": "id",
    "action": "id",
    "household_id": "id",
    "agent_id": "id",
    "run_id": "id",
    "date": "date",
}


@dataclass(frozen=True)
class Column:
    """A column with a meaning.

    Parameters
    ----------
    kind : str
        How its cells are read: id, text, number, probability, chance (above 0), change (of a probability),
        bool, date, time, days, timezone, outcome or arm.
    required : bool
        The table must have the column.
    filled : bool
        No cell of it may be empty. A required column is filled.
    default : float or bool or int, optional
        What an empty cell stands for; the column is added with it where the table lacks it.
    """

    kind: str
    required: bool = False
    filled: bool = False
    default: float | bool | int | None = None


@dataclass(frozen=True)
class TableSpec:
    """The contract of one table.

    Parameters
    ----------
    key : tuple of str
        Columns that together name a row once.
    columns : dict
        Name to `Column`. Further columns are free attributes.
    links : dict
        Column to the table whose key it must be found in, if that table is given.
    may_be_empty : bool
        The table may have no rows.
    measures : bool
        Every numeric column is a measure, and so has no empty cell.
    """

    key: tuple[str, ...] = ()
    columns: dict[str, Column] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    may_be_empty: bool = False
    measures: bool = False


#: No quantity may be larger: next to such a one, float64 loses what is below a half.
LARGEST = 1e15

_KEY = Column("id", required=True, filled=True)

#: Every table the project knows by name.
CONTRACT: dict[str, TableSpec] = {
    "customers": TableSpec(
        key=("customer_id",),
        columns={
            "customer_id": _KEY,
            "household_id": Column("id"),
            "timezone": Column("timezone"),
            "agent_id": Column("id"),
            # Digits of these are no quantities.
            "email": Column("text"),
            "phone": Column("text"),
            "customer_number": Column("text"),
        },
    ),
    "offers": TableSpec(
        key=("offer_id",),
        columns={
            "offer_id": _KEY,
            "category": Column("text"),
            "business_unit": Column("text"),
            "value": Column("number"),
            "incentive_cost": Column("number"),
            "valid_from": Column("date"),
            "valid_to": Column("date"),
            "template": Column("text"),
        },
    ),
    "channels": TableSpec(
        key=("channel",),
        columns={
            "channel": _KEY,
            "unit_cost": Column("number"),
            "delivery_rate": Column("probability", default=1.0),
            "fallback": Column("id"),
            # An empty cell is not read as "no": whether consent is needed has to be said.
            "requires_consent": Column("bool", filled=True, default=False),
            "send_from": Column("time"),
            "send_to": Column("time"),
            "send_days": Column("days", default=127),
            "response_index": Column("number"),
        },
        links={"fallback": "channels"},
    ),
    "actions": TableSpec(
        key=("action_id",),
        columns={
            "action_id": _KEY,
            "offer_id": _KEY,
            "channel": _KEY,
            "date": Column("date", filled=True),
            "cost": Column("number", filled=True),
        },
        links={"offer_id": "offers", "channel": "channels"},
    ),
    "scores": TableSpec(
        key=("customer_id", "offer_id", "channel"),
        columns={
            "customer_id": _KEY,
            "offer_id": _KEY,
            "channel": _KEY,
            "p_response": Column("probability", required=True, filled=True),
            "value": Column("number"),
            "uplift": Column("change", filled=True),
            "p_unsubscribe": Column("probability", filled=True),
        },
        links={"customer_id": "customers", "offer_id": "offers", "channel": "channels"},
    ),
    "candidates": TableSpec(
        key=("customer_id", "action_id"),
        columns={
            "customer_id": _KEY,
            "action_id": _KEY,
            "value": Column("number", filled=True),
            "cost": Column("number", filled=True),
            "response": Column("number", filled=True),
        },
        links={"customer_id": "customers", "action_id": "actions"},
        measures=True,
    ),
    "consents": TableSpec(
        key=("customer_id", "channel", "purpose"),
        columns={
            "customer_id": _KEY,
            "channel": _KEY,
            "purpose": Column("id", filled=True),
            "granted": Column("bool", required=True, filled=True),
            "valid_from": Column("date"),
            "valid_to": Column("date"),
        },
        links={"customer_id": "customers", "channel": "channels"},
        may_be_empty=True,
    ),
    "history": TableSpec(
        key=("customer_id", "offer_id", "channel", "date"),
        columns={
            "customer_id": _KEY,
            "offer_id": _KEY,
            "channel": _KEY,
            "date": Column("date", required=True, filled=True),
            "outcome": Column("outcome"),
            "value": Column("number"),
            "planned": Column("bool", default=False),
            "action_id": Column("id"),
            "run_id": Column("id"),
        },
        links={"customer_id": "customers", "offer_id": "offers", "channel": "channels"},
        may_be_empty=True,
    ),
    "experiments": TableSpec(
        key=("customer_id", "offer_id", "channel", "date", "run_id"),
        columns={
            "customer_id": _KEY,
            "offer_id": Column("id"),
            "channel": Column("id"),
            "arm": Column("arm", required=True, filled=True),
            "probability": Column("chance", required=True, filled=True),
            "stratum": Column("text"),
            "date": Column("date", required=True, filled=True),
            "run_id": Column("id"),
        },
        links={"customer_id": "customers", "offer_id": "offers", "channel": "channels"},
        may_be_empty=True,
    ),
}

#: The contract of every table that has no name of its own there.
EXTRA = TableSpec(
    # A limit on no day in particular would be a guess.
    columns={name: Column(kind, filled=kind == "date") for name, kind in COMMON.items()},
    may_be_empty=True,
)


def spec_of(name: str) -> TableSpec:
    """Return the contract of the table called `name`; any other name is an extra table."""
    return CONTRACT.get(name, EXTRA)
