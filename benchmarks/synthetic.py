"""Synthetic projects of any size: ``python benchmarks/synthetic.py DIR --customers N``.

Cases (``--case``):

one
    10 offers × 3 channels for every customer, one contact each.
costs
    The same, but what a contact costs differs from customer to customer.
windows
    10 offers × 3 channels × 4 weeks: at most 2 contacts in any 14 days, each offer once, calls 21
    days apart.
lags
    175 activities of which 26 are open to each customer, at most 3 contacts, and so many days
    between one channel and the next.

``--rows`` asks for about so many limits, ``--round`` rounds the values, so that many are alike.
Candidates are drawn and written lot by lot: ten million customers take no more memory than one lot.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

import omniopt as oo

LOT = 50_000  # customers that are drawn at a time
GROUP = 1_000_000  # rows of a Parquet row group: the ids of one fit into one dictionary
CASES = {"one": 70, "costs": 70, "windows": 117, "lags": 40}  # and how many limits they usually have
HORIZON = {"start": "2026-11-23", "days": 28}
LONG_HORIZON = {"start": "2026-11-23", "days": 117}

OFFERS = [f"o{i}" for i in range(10)]
REGIONS = [f"r{i}" for i in range(10)]
SEGMENTS = [f"s{i}" for i in range(10)]
UNIT_COST = {"call": 4.0, "mail": 1.0, "email": 0.1}
WEEKS = [1, 8, 15, 22]
UNEVEN = np.linspace(0.5, 1.5, 10) / 10  # shares of ten groups in the whole

# of activities with lags
PRODUCTS = [f"p{i}" for i in range(1, 11)]
ACTIVITIES, OPEN = 175, 26
ACTIVITY_COST = {"call": 9.1, "mail": 1.4, "text": 0.035, "email": 0.0}
LAGS = {
    ("call", "call"): 90, ("mail", "mail"): 80, ("text", "text"): 90, ("email", "email"): 90,
    ("call", "mail"): 70, ("mail", "call"): 80, ("email", "text"): 70, ("text", "email"): 70,
}  # fmt: skip

#: What of the whole each value of an attribute may take.
SHARES: dict[str, dict[Any, float]] = {
    "offer": {o: 0.1 for o in OFFERS},
    "channel": {"call": 0.16, "mail": 0.34, "email": 0.5},
    "date": {week: 0.25 for week in WEEKS},
    "customer.region": dict(zip(REGIONS, UNEVEN, strict=True)),
    "customer.segment": {s: 0.1 for s in SEGMENTS},
    "action.product": {p: 0.1 for p in PRODUCTS},
    "action.media": {"call": 0.05, "mail": 0.25, "text": 0.3, "email": 0.4},
    "action.period": {p: 0.25 for p in range(1, 5)},
}


@dataclass(frozen=True)
class Campaign:
    """Everything of a project but its customers and candidates."""

    case: str
    policy: dict[str, Any]
    horizon: dict[str, Any]
    tables: dict[str, pd.DataFrame]

    @property
    def actions(self) -> pd.DataFrame:
        """The actions, sorted by id."""
        return self.tables["actions"]

    @property
    def each(self) -> int:
        """How many candidates each customer has."""
        return OPEN if self.case == "lags" else len(self.actions)

    @property
    def multi_valued(self) -> dict[str, str]:
        """Columns with several values in a cell."""
        return {"action.products": ";"} if self.case == "lags" else {}


def campaign(customers: int, case: str = "one", rows: int | None = None) -> Campaign:
    """State the rules and the small tables of a case; bounds grow with the number of customers."""
    n = float(customers)
    policy: dict[str, Any] = {"objective": "value", "limits": []}
    if case == "lags":
        policy["objective"] = "value - cost"
        policy["contact"] = [{"name": "at most three", "max": 3}]
        policy["conflicts"] = [
            {"name": f"{a} then {b}", "first": {"channel": a}, "then": {"channel": b}, "days": lag}
            for (a, b), lag in LAGS.items()
        ]
        families, actions, horizon = _activity_limits(n), _activities(), LONG_HORIZON
    elif case == "windows":
        policy["contact"] = [
            {"name": "two in two weeks", "max": 2, "days": 14},
            {"name": "each offer once", "max": 1, "per": ["offer"]},
        ]
        policy["conflicts"] = [
            {"name": "calls apart", "first": {"channel": "call"}, "then": {"channel": "call"}, "days": 21}
        ]
        families, actions, horizon = _weekly_limits(n), _actions(WEEKS), HORIZON
    else:
        policy["contact"] = [{"name": "one each", "max": 1}]
        families, actions, horizon = _limits(n), _actions([1]), HORIZON
    tables = {"actions": actions.sort_values("action_id", ignore_index=True)}
    for limit, bounds in _about(families, rows or CASES[case]):
        policy["limits"].append(limit)
        if bounds is not None:
            tables[limit["max"]["table"]] = bounds
    return Campaign(case, policy, horizon, tables)


Family = tuple[dict[str, Any], pd.DataFrame | None]


def _about(families: list[Family], rows: int) -> list[Family]:
    """Return the first families, so many that their limits come nearest to a number."""
    sizes = np.cumsum([1 if bounds is None else len(bounds) for _, bounds in families])
    return families[: int(np.abs(sizes - rows).argmin()) + 1]


def _family(name: str, total: float, per: list[str] | None = None, **rule: Any) -> Family:
    """State a maximum of a total, or one for every combination of ``per`` values of about its share."""
    if not per:
        return {"name": name, **rule, "max": float(np.ceil(total))}, None
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    grid = list(itertools.product(*(SHARES[attribute].items() for attribute in per)))
    bounds = pd.DataFrame({a.split(".")[-1]: [cell[i][0] for cell in grid] for i, a in enumerate(per)})
    share = np.array([np.prod([part for _, part in cell]) for cell in grid])
    bounds["most"] = np.ceil(total * share * rng.uniform(0.8, 1.2, len(grid)))
    table = name.replace(" ", "_")
    return {"name": name, **rule, "per": per, "max": {"table": table, "column": "most"}}, bounds


def _least(name: str, total: float, **rule: Any) -> Family:
    return {"name": name, **rule, "min": total}, None


def _limits(n: float) -> list[Family]:
    """Limits on one contact each, in the order in which they are taken: 51, 71, 171, 201 or 301 in all."""
    return [
        _family("budget", 0.45 * n, measure="cost"),
        _family("offer quota", 0.62 * n, ["offer"]),
        _family("reach", 0.65 * n, ["channel", "customer.region"]),
        _family("regional budget", 0.47 * n, ["customer.region"], measure="cost"),
        _family("call desk", 0.5 * n, ["customer.region"], measure="minutes", where={"channel": "call"}),
        _family("letter shop", 0.35 * n, ["customer.region"], measure="sheets", where={"channel": "mail"}),
        _family("regional quota", 0.65 * n, ["offer", "customer.region"]),
        _family("channel quota", 0.68 * n, ["offer", "channel"]),
        _family("segment quota", 0.65 * n, ["offer", "customer.segment"]),
    ]


def _weekly_limits(n: float) -> list[Family]:
    """Limits on a plan over four weeks, 117 in all, or 217."""
    return [
        _family("budget", 0.9 * n, measure="cost"),
        _family("weekly budget", 0.95 * n, ["date"], measure="cost"),
        _family("call desk", 0.8 * n, ["date", "customer.region"], measure="minutes",
                where={"channel": "call"}),
        _family("reach", 1.3 * n, ["channel", "date"]),
        _family("weekly quota", 1.3 * n, ["offer", "date"]),
        _family("offer quota", 1.25 * n, ["offer"]),
        _family("regional budget", 0.95 * n, ["customer.region"], measure="cost"),
        _family("regional quota", 1.3 * n, ["offer", "customer.region"]),
    ]  # fmt: skip


def _activity_limits(n: float) -> list[Family]:
    """Limits of the kinds that the public instances have: assignments, budgets and sales."""
    return [
        _least("spring mail", 0.04 * n, where={"channel": "mail", "action.period": 1}),
        _least("autumn e-mail", 0.05 * n, where={"channel": "email", "action.period": 4}),
        _least("launch sales", 0.01 * n, measure="response", where={"action.products": "new"}),
        _family("expiring sales", 0.005 * n, measure="response", where={"action.products": "expiring"}),
        _family("call budget", 0.4 * n, measure="cost", where={"channel": "call"}),
        _family("other budget", 0.2 * n, measure="cost", where={"channel": ["mail", "text", "email"]}),
        _family("assignments", 0.9 * n, ["action.media", "action.period"]),
        _family("product quota", 0.8 * n, ["action.product"]),
    ]


def _actions(dates: list[int]) -> pd.DataFrame:
    """Offers × channels × dates; contacts about later offers take longer and more paper."""
    grid = [(f"{o}-{c}-{d:02d}", o, c, d) for o in OFFERS for c in UNIT_COST for d in dates]
    actions = pd.DataFrame(grid, columns=["action_id", "offer_id", "channel", "date"])
    rank = actions["offer_id"].map(OFFERS.index)
    actions["minutes"] = np.where(actions["channel"] == "call", 5.0 + 0.5 * rank, 0.0)
    actions["sheets"] = np.where(actions["channel"] == "mail", 1.0 + rank % 3, 0.0)
    return actions


def _activities() -> pd.DataFrame:
    rng = np.random.default_rng(175)
    media = rng.choice(list(ACTIVITY_COST), ACTIVITIES, p=[0.2, 0.4, 0.2, 0.2])
    product = rng.choice(PRODUCTS, ACTIVITIES)
    day = rng.integers(1, LONG_HORIZON["days"] + 1, ACTIVITIES)
    also = rng.choice(["", ";new", ";expiring"], ACTIVITIES, p=[0.8, 0.1, 0.1])
    return pd.DataFrame(
        {
            "action_id": [f"a{i:03d}" for i in range(ACTIVITIES)],
            "offer_id": product,
            "channel": media,
            "date": day,
            "period": np.minimum((day - 1) // 29 + 1, 4),
            "media": media,
            "product": product,
            "products": [p + more for p, more in zip(product, also, strict=True)],
        }
    )


# ---- customers and candidates


def _ids(lot: int, customers: int) -> pa.Array:
    """Return the ids of one lot of customers, in order."""
    numbers = pa.array(np.arange(lot * LOT, min((lot + 1) * LOT, customers)))
    return pc.binary_join_element_wise("c", pc.utf8_lpad(pc.cast(numbers, pa.string()), 8, "0"), "")


def _customers(customers: int, seed: int) -> Iterator[pa.Table]:
    """Draw every customer's region and segment, lot by lot."""
    for lot in range(-(-customers // LOT)):
        rng = np.random.default_rng([seed, lot, 1])
        ids = _ids(lot, customers)
        region = rng.choice(len(REGIONS), len(ids), p=UNEVEN).astype(np.int32)
        segment = rng.integers(0, len(SEGMENTS), len(ids), dtype=np.int32)
        yield pa.table(
            {
                "customer_id": ids,
                "region": pa.DictionaryArray.from_arrays(pa.array(region), pa.array(REGIONS)),
                "segment": pa.DictionaryArray.from_arrays(pa.array(segment), pa.array(SEGMENTS)),
            }
        )


def draw(shape: Campaign, lot: int, customers: int, round_to: float, seed: int) -> dict[str, np.ndarray]:
    """Draw the candidates of one lot of customers: positions of customer and action, and measures."""
    rng = np.random.default_rng([seed, lot])
    count = min(LOT, customers - lot * LOT)
    size = count * shape.each
    found = {"customer": np.repeat(np.arange(count, dtype=np.int32), shape.each)}
    actions = shape.actions
    if shape.case == "lags":
        # a customer answers alike to all activities for a product: many values are equal within a customer
        open_to = np.argpartition(rng.random((count, ACTIVITIES), np.float32), OPEN, axis=1)[:, :OPEN]
        action = np.sort(open_to, axis=1).astype(np.int32).ravel()
        liking = rng.beta(1.0, 30.0, (count, len(PRODUCTS)))
        product = actions["product"].map(PRODUCTS.index).to_numpy()[action]
        response = liking[found["customer"], product]
        value = response * np.linspace(100.0, 1000.0, len(PRODUCTS))[product]
        cost = actions["channel"].map(ACTIVITY_COST).to_numpy(np.float64)[action]
        found |= {"response": response}
    else:
        action = np.tile(np.arange(shape.each, dtype=np.int32), count)
        response = rng.standard_exponential(size) / 13.0
        value = response * rng.uniform(20.0, 100.0, size)
        cost = actions["channel"].map(UNIT_COST).to_numpy(np.float64)[action]
        if shape.case == "costs":
            cost = cost + 0.5 * response
    if round_to:
        value = np.round(value / round_to) * round_to
    return found | {"action": action, "value": value, "cost": cost}


def _lots(shape: Campaign, customers: int, round_to: float, seed: int) -> Iterator[pa.Table]:
    names = pa.array(shape.actions["action_id"].tolist())
    for lot in range(-(-customers // LOT)):
        found = draw(shape, lot, customers, round_to, seed)
        codes = pa.array(found.pop("customer"))
        yield pa.table(
            {
                "customer_id": pa.DictionaryArray.from_arrays(codes, _ids(lot, customers)),
                "action_id": pa.DictionaryArray.from_arrays(pa.array(found.pop("action")), names),
                **found,
            }
        )


def project(
    customers: int, case: str = "one", rows: int | None = None, round_to: float = 0.0, seed: int = 1
) -> oo.Project:
    """Return a project in memory."""
    shape = campaign(customers, case, rows)
    return oo.Project.from_frames(
        shape.policy,
        horizon=shape.horizon,
        multi_valued=shape.multi_valued,
        **shape.tables,
        candidates=_frame(_lots(shape, customers, round_to, seed)),
        customers=_frame(_customers(customers, seed)),
    )


def _frame(lots: Iterator[pa.Table]) -> pd.DataFrame:
    """Make a frame of all lots, whose ids are text, as a query or a file would give them."""
    frame = pa.concat_tables(lots).unify_dictionaries().to_pandas()
    return frame.astype({name: "str" for name in frame if frame[name].dtype == "category"})


def write(
    folder: Path,
    customers: int,
    case: str = "one",
    rows: int | None = None,
    round_to: float = 0.0,
    seed: int = 1,
) -> Path:
    """Write a project folder, its candidates as a folder of Parquet files; return the folder."""
    shape = campaign(customers, case, rows)
    parts = folder / "candidates"
    if parts.exists():
        shutil.rmtree(parts)
    parts.mkdir(parents=True)
    encoded = ["customer_id", "action_id", *([] if case == "costs" else ["cost"])]
    encoded += ["value"] if round_to else []
    for lot, table in enumerate(_lots(shape, customers, round_to, seed)):
        pq.write_table(table, parts / f"part-{lot:05d}.parquet", row_group_size=GROUP, use_dictionary=encoded)
    people = _customers(customers, seed)
    first = next(people)
    with pq.ParquetWriter(folder / "customers.parquet", first.schema) as writer:
        for table in itertools.chain([first], people):
            writer.write_table(table)
    for name, frame in shape.tables.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    spec = {
        "version": 1,
        "name": f"synthetic {case}",
        "horizon": shape.horizon,
        "tables": {
            "customers": "customers.parquet",
            "candidates": "candidates",
            **{name: f"{name}.csv" for name in shape.tables},
        },
        "policy": "policy.yaml",
    }
    if shape.multi_valued:
        spec["multi_valued"] = shape.multi_valued
    (folder / "omniopt.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    (folder / "policy.yaml").write_text(yaml.safe_dump(shape.policy, sort_keys=False))
    return folder


def main() -> None:
    """Write the project that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--customers", type=int, default=10_000, metavar="N")
    parser.add_argument("--case", choices=list(CASES), default="one")
    parser.add_argument("--rows", type=int, metavar="K", help="about how many limits")
    parser.add_argument(
        "--round", type=float, default=0.0, metavar="R", help="round values to multiples of R"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write(given.folder, given.customers, given.case, given.rows, given.round, given.seed)


if __name__ == "__main__":
    main()
