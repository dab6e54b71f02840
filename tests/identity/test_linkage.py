"""Many sources become one customer: a case by hand, nothing lost, any order of rows, and bad input."""

from __future__ import annotations

import datetime
from pathlib import Path

import pandas as pd
import pytest
import shop_and_calls
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import omniopt as oo
from omniopt.audit.verify import verify
from omniopt.errors import BadInput, Faults
from omniopt.identity import link
from omniopt.project.sources import DataSource, Identity
from omniopt.tables.convert import Days

PROJECT = shop_and_calls.FILES["omniopt.yaml"]
DAYS = Days(datetime.date(2026, 11, 23), 7)


def test_four_sources_are_five_customers(tmp_path: Path) -> None:
    tables = oo.Project.load(shop_and_calls.write(tmp_path)).read()
    customers, history = tables.customers.set_index("customer_id"), tables.history
    assert customers.index.tolist() == ["1", "2", "3", "shop:a2", "shop:a3"]
    assert customers.loc["1", ["email", "city"]].tolist() == ["ann@mail.org", "Ulm"]  # crm is trusted more
    assert customers.loc["1", "household_id"] == customers.loc["2", "household_id"]
    assert customers.loc["3", "household_id"] == "3"  # no address: lives alone
    # two visits on a day are one contact, and their purchases add up
    contacts = history[["customer_id", "channel", "outcome", "value"]].fillna(0).values.tolist()
    assert contacts == [
        ["1", "shop", "responded", 12.0],
        ["1", "call", "rejected", 0],
        ["2", "call", "responded", 0],
        ["shop:a2", "shop", "responded", 9.0],
    ]
    assert tables.consents.set_index("customer_id")["granted"].to_dict() == {"1": False, "shop:a2": True}
    report = tables.linkage
    assert report["set_aside"].values.tolist() == [
        ["calls", 3, "it has no usable key"],
        ["calls", 4, "no customer has its key"],
    ]
    city = report["conflicts"].query("what == 'city'").iloc[0]
    assert (city["kept"], city["kept_source"], city["other"], city["other_source"]) == (
        "Ulm",
        "crm",
        "Bonn",
        "shop",
    )
    assert report["placeholders"]["value"].tolist() == ["na@na", "0000"]
    assert set(tables.inputs) >= {"sources.crm", "sources.calls"}


def test_sources_may_be_frames(tmp_path: Path) -> None:
    from_files = oo.Project.load(shop_and_calls.write(tmp_path))
    said = yaml.safe_load(PROJECT)

    def frame(name: str) -> pd.DataFrame:
        return pd.read_csv(tmp_path / name, dtype=str, keep_default_na=False)

    sources = {name: source | {"table": frame(source["table"])} for name, source in said["sources"].items()}
    given = {name: frame(file) for name, file in said["tables"].items()}
    made = oo.Project.from_frames(
        said["policy"], horizon=said["horizon"], seed=1, sources=sources, identity=said["identity"], **given
    )
    tables, expected = made.read(), from_files.read()
    for name in ("customers", "consents", "history"):
        pd.testing.assert_frame_equal(getattr(tables, name), getattr(expected, name))
    assert tables.inputs["sources.crm"]["source"] == "in memory"
    pd.testing.assert_frame_equal(made.people(), from_files.people())
    plan = oo.optimize(made)
    assert plan.objective == oo.optimize(from_files).objective
    plan.save(tmp_path / "plan")
    assert verify(tmp_path / "plan", made).findings == []


def test_what_is_wrong_with_sources_in_memory_is_told_at_once() -> None:
    sources = {"crm": {"kind": "customer", "table": pd.DataFrame({"customer_id": ["1"]})}, "shop": "a.csv"}
    with pytest.raises(BadInput) as told:
        oo.Project.from_frames({"objective": "value"}, sources=sources, actions=pd.DataFrame())
    assert ["sources.crm.kind" in str(f) or "sources.shop" in str(f) for f in told.value.faults] == [True] * 2


def test_the_newest_source_may_win(tmp_path: Path) -> None:
    text = shop_and_calls.FILES["omniopt.yaml"].replace(
        "country_code: 49", "country_code: 49, settle: newest"
    )
    tables = oo.Project.load(shop_and_calls.write(tmp_path, omniopt=text)).read()
    assert tables.customers.set_index("customer_id").loc["1", "city"] == "Bonn"


def test_reviewed_links_are_made_from_the_threshold_on(tmp_path: Path) -> None:
    text = shop_and_calls.FILES["omniopt.yaml"].replace(
        "country_code: 49", "country_code: 49, links: links.csv"
    )
    shop_and_calls.write(
        tmp_path, omniopt=text, scores="customer_id,offer_id,channel,p_response\n2,loan,email,0.1\n"
    )
    lines = [
        "source_a,id_a,source_b,id_b,probability",
        "crm,2,shop,a2,0.96",
        "crm,3,shop,a3,0.94",
        "crm,9,shop,a3,1",
    ]
    (tmp_path / "links.csv").write_text("\n".join(lines) + "\n")
    tables = oo.Project.load(tmp_path).read()
    assert tables.customers["customer_id"].tolist() == ["1", "2", "3", "shop:a3"]
    became = ["linked", "below the threshold", "an id is not there any more"]
    assert tables.linkage["proposed"]["became"].tolist() == became
    assert tables.inputs["identity.links"]["rows"] == 3


def test_the_plan_of_linked_sources_is_proven_and_verified(tmp_path: Path) -> None:
    from omniopt.audit.verify import verify

    plan = oo.optimize(oo.Project.load(shop_and_calls.write(tmp_path / "project")))
    assert set(plan.contacts["channel"]) <= {"email", "call"} and len(plan.contacts)
    plan.save(tmp_path / "plan")
    assert verify(tmp_path / "plan").ok


def test_what_is_wrong_is_said_at_once_where_it_stands(tmp_path: Path) -> None:
    crm = "id,mail,tel,city,street,changed\n,a@mail.org,,,,yesterday\n"
    calls = "caller,offer_id,day,outcome\n00491711234567,loan,2026-11-04,shouted\n"
    text = (
        shop_and_calls.FILES["omniopt.yaml"]
        .replace("columns: {account: account", "")
        .replace("day}", "dya}", 1)
    )
    shop_and_calls.write(tmp_path, crm=crm, calls=calls, omniopt=text.replace("ids_of: shop", "ids_of: shpo"))
    with pytest.raises(BadInput) as caught:
        oo.Project.load(tmp_path).read()
    said = str(caught.value)
    for part in (
        "crm.csv, row 1, column id: the cell is empty",
        "column changed: 'yesterday' is neither a date",
        "calls.csv, row 1, column outcome: 'shouted' is no outcome",
        "column dya: there is no such column",
        "'shpo' is no source of customers. Did you mean 'shop'?",
    ):
        assert part in said, said
    assert "without candidates" not in said


OURS = """\
  runs:
    kind: history
    table: runs.csv
    ids_of: customers
"""


def test_what_plans_did_is_read_by_the_ids_that_plans_use(tmp_path: Path) -> None:
    """Also those of a customer who has been linked to another since: shop:a1 is 1 now."""
    text = PROJECT.replace("  newsletter:\n", f"{OURS}  newsletter:\n")
    shop_and_calls.write(tmp_path, omniopt=text)
    (tmp_path / "runs.csv").write_text(
        "customer_id,offer_id,channel,date,outcome,planned,action_id,run_id\n"
        "shop:a2,loan,email,2026-11-10,delivered,false,x,r1\n"
        "2,card,call,2026-11-10,responded,false,y,r1\n"
        "shop:a1,card,call,2026-11-10,delivered,false,y,r1\n"
        "crm:1,card,call,2026-11-10,delivered,false,y,r1\n"
    )
    tables = oo.Project.load(tmp_path).read()
    found = tables.history.query("run_id == 'r1'")
    assert found["customer_id"].tolist() == ["1", "2", "shop:a2"]
    assert tables.linkage["set_aside"].query("source == 'runs'").values.tolist() == [
        ["runs", 4, "no customer has its key"]
    ]


def test_a_source_that_calls_itself_customers_keeps_its_ids(tmp_path: Path) -> None:
    text = PROJECT.replace("  shop:\n", "  customers:\n").replace("ids_of: shop", "ids_of: customers")
    scores = shop_and_calls.FILES["scores.csv"].replace("shop:", "customers:")
    shop_and_calls.write(tmp_path, omniopt=text, scores=scores)
    visits = oo.Project.load(tmp_path).read().history.query("channel == 'shop'")
    assert visits["customer_id"].tolist() == ["1", "customers:a2"]


def test_rows_that_nothing_ties_to_a_customer_are_a_fault(tmp_path: Path) -> None:
    shop_and_calls.write(tmp_path, omniopt=PROJECT.replace("    ids_of: shop\n", ""))
    with pytest.raises(BadInput) as caught:
        oo.Project.load(tmp_path).read()
    said = str(caught.value)
    assert "visits.csv: it has neither a key (" in said
    assert "ids_of: crm, or ids_of: customers for those of plans" in said


def test_a_fault_between_tables_is_told_at_the_source(tmp_path: Path) -> None:
    calls = shop_and_calls.FILES["calls.csv"].replace(
        "loan,2026-11-04,responded", "lawn,2026-11-04,responded", 1
    )
    shop_and_calls.write(tmp_path, calls=calls)
    with pytest.raises(BadInput) as caught:
        oo.Project.load(tmp_path).read()
    assert "calls.csv, row 2, column offer_id: 'lawn' is not in offers.csv" in str(caught.value)


def test_ids_do_not_depend_on_who_else_is_there(tmp_path: Path) -> None:
    scores = "customer_id,offer_id,channel,p_response\nshop:a2,loan,email,0.3\n"
    header = shop_and_calls.FILES["crm.csv"].splitlines()[0] + "\n"
    tables = oo.Project.load(shop_and_calls.write(tmp_path, crm=header, scores=scores)).read()
    assert tables.customers["customer_id"].tolist() == ["shop:a1", "shop:a2", "shop:a3"]


def test_keys_of_the_project_file_are_explained(tmp_path: Path) -> None:
    text = PROJECT.replace("trust: 3", "trsut: 3").replace("country_code: 49", "country_code: x, kyes: [a]")
    with pytest.raises(BadInput) as caught:
        oo.Project.load(shop_and_calls.write(tmp_path, omniopt=text))
    said = str(caught.value)
    assert "sources.crm: the key 'trsut' is unknown. Did you mean 'trust'?" in said
    assert "identity: the key 'kyes' is unknown. Did you mean 'keys'?" in said
    assert "write the digits of a country's code" in said.lower()


def test_links_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    text = PROJECT.replace("country_code: 49", "country_code: 49, links: links.csv")
    shop_and_calls.write(tmp_path, omniopt=text)
    (tmp_path / "links.csv").write_text("source_a,id_a,source_b,id_b,probability\ncrm,1,shpo,a1,2\n")
    with pytest.raises(BadInput) as caught:
        oo.Project.load(tmp_path).read()
    said = str(caught.value)
    assert "links.csv, row 1, column probability: '2.0' is no probability" in said
    assert "column source_b: 'shpo' is no source. Did you mean 'shop'?" in said


def test_a_table_is_given_once(tmp_path: Path) -> None:
    text = PROJECT.replace("tables: {", "tables: {customers: crm.csv, ")
    with pytest.raises(BadInput, match="customers are given under tables and made of sources as well"):
        oo.Project.load(shop_and_calls.write(tmp_path, omniopt=text)).read()


_KEY = st.sampled_from(["", "a@m.org", "b@m.org", "c@m.org", "na@na"])
_PEOPLE = st.lists(st.tuples(st.sampled_from("1234"), _KEY, st.sampled_from(["", "N1", "N2"])), max_size=6)
_EVENTS = st.lists(st.tuples(_KEY, st.sampled_from(["", "N1", "N2", "N3"]), st.integers(-3, 0)), max_size=6)


def _link(people: list[pd.DataFrame], events: pd.DataFrame):  # type: ignore[no-untyped-def]
    declared = {
        "crm": DataSource(kind="customers", table="-", trust=2),
        "web": DataSource(kind="customers", table="-"),
        "calls": DataSource(
            kind="history", table="-", values={"offer_id": "o", "channel": "call", "outcome": "delivered"}
        ),
    }
    faults = Faults()
    tables = {"crm": people[0], "web": people[1], "calls": events}
    linked = link(declared, Identity(largest=2), tables, None, DAYS, faults)
    faults.raise_if_any()
    return linked


_ROWS = given(_PEOPLE, _PEOPLE, _EVENTS, st.randoms(use_true_random=False))


@settings(max_examples=25)
@_ROWS
def test_no_row_is_lost_and_their_order_changes_nothing(crm, web, events, random) -> None:  # type: ignore[no-untyped-def]
    _assert_kept(crm, web, events, random)


@pytest.mark.slow
@settings(max_examples=100)
@_ROWS
def test_of_hundreds_of_sources_no_row_is_lost(crm, web, events, random) -> None:  # type: ignore[no-untyped-def]
    _assert_kept(crm, web, events, random)


def _assert_kept(crm, web, events, random) -> None:  # type: ignore[no-untyped-def]
    def frames(rows: list[tuple], names: list[str]) -> pd.DataFrame:  # type: ignore[type-arg]
        frame = pd.DataFrame(rows, columns=names)
        texts = [name for name in names if name != "date"]
        return frame.astype(dict.fromkeys(texts, "str")).astype(
            {name: int for name in names if name == "date"}
        )

    people_names = ["customer_id", "email", "customer_number"]
    event_names = ["email", "customer_number", "date"]
    linked = _link([frames(crm, people_names), frames(web, people_names)], frames(events, event_names))
    counts = linked.report["counts"].set_index("source")
    assert (counts["rows"] == counts["linked"] + counts["set_aside"]).all()
    assert counts["rows"].to_dict() == {"crm": len(crm), "web": len(web), "calls": len(events)}
    rows = pd.concat([linked.report["origins"], linked.report["set_aside"]])
    assert not rows.duplicated(["source", "row"]).any() and len(rows) == len(crm) + len(web) + len(events)
    history = linked.frames["history"]
    assert not history.duplicated(["customer_id", "offer_id", "channel", "date"]).any()
    for row in (crm, web, events):
        random.shuffle(row)
    again = _link([frames(crm, people_names), frames(web, people_names)], frames(events, event_names))
    for name, frame in linked.frames.items():
        pd.testing.assert_frame_equal(frame, again.frames[name])
    pd.testing.assert_frame_equal(linked.report["doubtful"], again.report["doubtful"])
