"""A bank's campaign with a known optimum: 27 customers, 3 products, 3 channels, a budget and shares."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import omniopt as oo


@pytest.fixture(scope="module")
def tables(shared_data: Path) -> dict[str, pd.DataFrame]:
    folder = shared_data / "data" / "docplex_marketing"
    if not folder.is_dir():
        pytest.skip(f"no docplex_marketing among the reference data in {shared_data}")
    offers, products, channels = (
        pd.read_csv(folder / f"{n}.csv") for n in ("offers", "products", "channels")
    )
    wanted = pd.concat(
        offers[["customerid", f"product{k}", f"confidence{k}"]].set_axis(
            ["customer_id", "offer_id", "confidence"], axis=1
        )
        for k in (1, 2)
    )
    pairs = wanted.merge(channels, how="cross").merge(products, left_on="offer_id", right_on="product")
    candidates = pd.DataFrame({
        "customer_id": pairs["customer_id"], "action_id": pairs["offer_id"] + " by " + pairs["channel"],
        "value": pairs["factor"] * pairs["value"] * pairs["confidence"], "cost": pairs["cost"],
    })  # fmt: skip
    actions = products[["product"]].merge(channels[["channel"]], how="cross")
    actions = actions.assign(action_id=actions["product"] + " by " + actions["channel"]).rename(
        columns={"product": "offer_id"}
    )
    shares = products.set_index("product")["max_share_of_offers"]
    return {
        "actions": actions,
        "candidates": candidates,
        "shares": shares.rename_axis("offer_id").reset_index(),
    }


def policy(tables: dict[str, pd.DataFrame], shares: bool) -> dict:
    limits: list[dict] = [{"name": "budget", "measure": "cost", "max": 500}]
    for product, share in tables["shares"].itertuples(index=False) if shares else ():
        limits.append(
            {
                "name": f"share of {product}",
                "where": {"offer": product},
                "over": {"measure": "contacts"},
                "max": share,
            }
        )
    return {"objective": "value", "limits": limits, "contact": [{"name": "one offer each", "max": 1}]}


def solve(tables: dict[str, pd.DataFrame], shares: bool) -> oo.decisions.Plan:
    frames = {name: tables[name] for name in ("actions", "candidates")}
    return oo.optimize(oo.Project.from_frames(policy(tables, shares), **frames), gap=0.0)


def test_optimum(tables: dict[str, pd.DataFrame]) -> None:
    plan = solve(tables, shares=True)
    assert plan.objective == pytest.approx(844.423, abs=5e-4)
    assert plan.contacts["cost"].sum() == 460
    assert len(plan.contacts) == 20
    assert plan.status == "optimal"
    assert plan.certificate["bound_from_prices"] <= 862.3006 + 1e-3  # the LP's bound, or better
    counts = plan.contacts["offer_id"].value_counts() / 20
    assert all(
        counts.get(product, 0) <= share + 1e-9 for product, share in tables["shares"].itertuples(index=False)
    )


def test_optimum_without_shares(tables: dict[str, pd.DataFrame]) -> None:
    plan = solve(tables, shares=False)
    assert plan.objective == pytest.approx(934.061, abs=5e-4)
    assert plan.contacts["cost"].sum() <= 500
    assert plan.contacts["customer_id"].is_unique
