"""A good tiny project, and the ways in which the tests of bad input break it."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GOOD: dict[str, str | bytes] = {
    "omniopt.yaml": """\
version: 1
name: tiny
seed: 1
horizon: {start: 2026-11-23, days: 7}
tables:
  customers: customers.csv
  offers: offers.csv
  channels: channels.csv
  actions: actions.csv
  candidates: candidates.csv
  scores: scores.csv
  consents: consents.csv
  history: history.csv
  capacity: capacity.csv
multi_valued: {action.products: ";"}
policy: policy.yaml
""",
    "policy.yaml": """\
objective: value - cost
eligibility:
  - {name: adults, drop: {customer.age: {lt: 18}}}
limits:
  - {name: total budget, measure: cost, max: 50}
  - name: call desk
    where: {channel: call}
    per: [date, customer.region]
    measure: minutes
    max: {table: capacity, column: minutes}
contact:
  - {name: pressure, max: 2, days: 7}
conflicts:
  - {name: calls apart, first: {channel: call}, then: {channel: call}, days: 90}
""",
    "customers.csv": """\
customer_id,age,region,timezone,household_id
C1,30,north,Europe/Berlin,H1
C2,41,south,Europe/Paris,H1
C3,55,north,Europe/Berlin,H2
""",
    "offers.csv": """\
offer_id,category,value,incentive_cost,valid_from,valid_to
loan,credit,100,5,2026-11-01,2026-12-31
card,payment,40,2,,
""",
    "channels.csv": """\
channel,unit_cost,delivery_rate,fallback,requires_consent,send_from,send_to,send_days,minutes
email,0.1,0.95,sms,true,08:00,20:00,mon-sun,0
sms,0.5,,,false,,,,0
call,6,1,,false,09:00,17:30,mon-fri,12
""",
    "actions.csv": """\
action_id,offer_id,channel,date,products
loan by email,loan,email,2026-11-23,a;b
card by sms,card,sms,2,a
loan by call,loan,call,2026-11-25,
""",
    "candidates.csv": """\
customer_id,action_id,value,cost,response
C1,loan by email,5,0.1,0.05
C1,card by sms,2,0.5,0.05
C2,loan by call,30,6,0.3
C3,card by sms,4,0.5,0.1
""",
    "scores.csv": """\
customer_id,offer_id,channel,p_response
C1,loan,email,0.05
C2,loan,call,0.3
C3,card,sms,0.1
""",
    "consents.csv": """\
customer_id,channel,purpose,granted,valid_from,valid_to
C1,email,marketing,true,2026-01-01,
C2,email,marketing,false,,
""",
    "history.csv": """\
customer_id,offer_id,channel,date,outcome,planned
C1,card,email,2026-11-01,delivered,
C2,loan,call,2026-11-30,,true
""",
    "capacity.csv": """\
date,region,minutes
2026-11-25,north,60
2026-11-25,south,60
""",
}


@dataclass(frozen=True)
class Break:
    """Replace `old` by `new` in a file, or the whole file if `old` is None; None as `new` removes it.

    All of `words` are to be told. `also` says more replacements of the same kind.
    """

    file: str
    old: str | None
    new: str | bytes | None
    words: tuple[str, ...]
    faults: int = 1
    also: tuple[tuple[str, str | None, str | bytes], ...] = ()


def table(file: str, old: str | None, new: str | bytes | None, *words: str, **more: object) -> Break:
    return Break(file, old, new, (file, *words), **more)  # type: ignore[arg-type]


TABLES: dict[str, Break] = {
    # the project file
    "misspelt key": table("omniopt.yaml", "seed: 1", "sead: 1", "'sead'", "'seed'"),
    "misspelt key in the horizon": table("omniopt.yaml", "days: 7", "day: 7", "horizon", "'days'", faults=2),
    "duplicate key in YAML": table(
        "omniopt.yaml", "seed: 1", "seed: 1\nseed: 2", "line 4", "'seed'", "twice"
    ),
    "no version": table("omniopt.yaml", "version: 1\n", "", "'version'", "missing"),
    "other version": table("omniopt.yaml", "version: 1", "version: 2", "version", "'2'"),
    "seed is text": table("omniopt.yaml", "seed: 1", "seed: seven", "seed", "'seven'"),
    "no days": table("omniopt.yaml", "days: 7", "days: 0", "horizon.days", "'0'"),
    "too many days": table("omniopt.yaml", "days: 7", "days: 1" + 30 * "0", "horizon.days"),
    "seed is too large": table("omniopt.yaml", "seed: 1", "seed: 4294967296", "seed", "'4294967296'"),
    "start beyond the calendar": table("omniopt.yaml", "2026-11-23", "9999-12-31", "horizon.start"),
    "start is a number": table("omniopt.yaml", "2026-11-23", "20261123", "horizon.start", "2026-11-23"),
    "start is no date": table("omniopt.yaml", "2026-11-23", "2026-02-30", "omniopt.yaml"),
    "table called as a file of the project": table(
        "omniopt.yaml", "  capacity: capacity.csv", "  policy: capacity.csv", "'policy'", "otherwise"
    ),
    "table is a list": table("omniopt.yaml", "offers.csv", "[offers.csv]", "tables.offers", "a list"),
    "table without sql": table(
        "omniopt.yaml", "customers.csv", "{url: 'sqlite:///a.db'}", "tables.customers", "'sql'", "missing"
    ),
    "misspelt table": table("omniopt.yaml", "history:", "histroy:", "'histroy'", "'history'"),
    "project is a list": table("omniopt.yaml", None, "- 1\n- 2\n", "a list"),
    "project is empty": table("omniopt.yaml", None, "", "empty"),
    "project is no YAML": table("omniopt.yaml", None, "version: [1\n", "omniopt.yaml, line"),
    "project is binary": table("omniopt.yaml", None, b"\x89PNG\r\n\x1a\n\x00\xff", "not UTF-8"),
    "YAML with aliases": table("omniopt.yaml", "seed: 1", "seed: &s 1\nx: *s", "alias"),
    "YAML with a Python object": table(
        "omniopt.yaml", "name: tiny", "name: !!python/object/apply:os.getcwd []", "line 2"
    ),
    "no project file": table("omniopt.yaml", None, None, "no such file"),
    "policy is missing": table("policy.yaml", None, None, "no such file"),
    "policy is a list": table("policy.yaml", None, "- {name: a}\n", "a list"),
    "policy is a list inline": table(
        "omniopt.yaml", "policy.yaml", "[objective, limits]", "policy", "a list"
    ),
    "multi-valued column is unknown": table(
        "omniopt.yaml", "action.products", "action.product", "action.product", "'action.products'"
    ),
    "multi-valued without a prefix": table("omniopt.yaml", "action.products", "products", "'products'"),
    # files
    "missing file": table("offers.csv", None, None, "no such file"),
    "binary file named .csv": table("customers.csv", None, b"PK\x03\x04\x00\x00\x08\x00\xff", "not text"),
    "Latin-1 text": table(
        "customers.csv",
        None,
        "customer_id,age\nC1,1\nC2,2\nC3,3 caf\xe9\n".encode("latin-1"),
        "line 4",
        "UTF-8",
    ),
    "empty file": table("customers.csv", None, "", "empty"),
    "semicolons": table("capacity.csv", None, "date;region;minutes\n1;north;2\n", "commas"),
    "row too short": table("customers.csv", "C2,41,south,Europe/Paris,H1", "C2,41", "row 2", "2 cells"),
    "broken gzip": table(
        "customers.csv.gz",
        None,
        b"no gzip",
        "gzip",
        also=(("omniopt.yaml", "customers.csv", "customers.csv.gz"),),
    ),
    "half a gzip": table(
        "customers.csv.gz",
        None,
        gzip.compress(b"customer_id\nC1\nC2\nC3\n")[:-12],
        "gzip",
        also=(("omniopt.yaml", "customers.csv", "customers.csv.gz"),),
    ),
    "broken parquet": table(
        "scores.parquet",
        None,
        b"PAR1 no",
        "Parquet",
        also=(("omniopt.yaml", "scores.csv", "scores.parquet"),),
    ),
    "broken workbook": table(
        "offers.xlsx", None, b"PK no", "workbook", also=(("omniopt.yaml", "offers.csv", "offers.xlsx"),)
    ),
    "unknown kind of file": table(
        "offers.txt",
        None,
        "offer_id\n",
        "'.txt'",
        ".csv",
        also=(("omniopt.yaml", "offers.csv", "offers.txt"),),
    ),
    "no such database": Break(
        "omniopt.yaml",
        "customers: customers.csv",
        "customers: {url: 'sqlite:///no.db', sql: select 1}",
        ("customers (SQL)", "no.db"),
    ),
    # columns
    "missing column": table("scores.csv", "p_response", "p_respond", "column p_response", "'p_respond'"),
    "missing key column": table(
        "customers.csv", "customer_id", "customer", "column customer_id", "'customer'"
    ),
    "column twice": table("customers.csv", "age,region", "age,age", "column age", "twice"),
    "column without a name": table("customers.csv", "age,", ",", "column number 2", "no name"),
    "column with a space": table("customers.csv", "age,", "age ,", "'age '", "space"),
    "empty table": table("scores.csv", None, "customer_id,offer_id,channel,p_response\n", "no rows"),
    # keys and ids
    "duplicate key": table(
        "customers.csv", "C3,55", "C1,55", "row 3", "column customer_id", "'C1'", "row 1", faults=3
    ),
    "duplicate key of two columns": table(
        "candidates.csv", "C1,card by sms", "C1,loan by email", "row 2", "'C1, loan by email'", "row 1"
    ),
    "empty key": table("candidates.csv", "C2,loan", ",loan", "row 3", "column customer_id", "empty"),
    "candidate of an unknown customer": table(
        "candidates.csv", "C3,", "C33,", "row 4", "column customer_id", "'C33'", "customers.csv", "'C3'"
    ),
    "candidate of an unknown action": table(
        "candidates.csv", "loan by call", "loan by cal", "row 3", "column action_id", "'loan by call'"
    ),
    "unknown channel in actions": table(
        "actions.csv", "card,sms", "card,smss", "row 2", "column channel", "'smss'", "'sms'"
    ),
    "unknown offer in actions": table(
        "actions.csv", "sms,card", "sms,gold", "row 2", "column offer_id", "'gold'"
    ),
    "unknown fallback": table("channels.csv", "0.95,sms", "0.95,post", "row 1", "column fallback", "'post'"),
    "fallback to itself": table(
        "channels.csv", "0.95,sms", "0.95,email", "row 1", "column fallback", "itself"
    ),
    "consent of an unknown customer": table(
        "consents.csv", "C2,", "c2,", "row 2", "column customer_id", "'C2'"
    ),
    "history of an unknown offer": table(
        "history.csv", "C1,card", "C1,cart", "row 1", "column offer_id", "'card'"
    ),
    # numbers
    "NaN score": table("scores.csv", "0.3", "NaN", "row 2", "column p_response", "NaN"),
    "empty score": table("scores.csv", "0.3", "", "row 2", "column p_response", "empty"),
    "probability of 1.2": table(
        "scores.csv", "0.3", "1.2", "row 2", "column p_response", "1.2", "from 0 to 1"
    ),
    "negative delivery rate": table("channels.csv", "0.95", "-0.1", "row 1", "column delivery_rate", "-0.1"),
    "infinite cost": table("candidates.csv", "30,6,", "30,inf,", "row 3", "column cost", "inf"),
    "missing value": table("candidates.csv", "30,6,", ",6,", "row 3", "column value", "empty"),
    "value is a word": table(
        "offers.csv", "loan,credit,100", "loan,credit,much", "row 1", "column value", "'much'"
    ),
    "decimal comma": table(
        "channels.csv", "call,6,", 'call,"6,5",', "row 3", "column unit_cost", "'6,5'", "point"
    ),
    # dates and times
    "date before the horizon": table(
        "actions.csv", "2026-11-25", "2026-11-22", "row 3", "column date", "2026-11-23 to 2026-11-29"
    ),
    "date after the horizon": table("actions.csv", "sms,2,", "sms,8,", "row 2", "column date", "outside"),
    "no such date": table("actions.csv", "2026-11-25", "2026-11-31", "row 3", "column date", "2026-11-31"),
    "date in another order": table(
        "actions.csv", "2026-11-25", "25.11.2026", "row 3", "'25.11.2026'", "2026-11-23"
    ),
    "dates without a horizon": Break(
        "omniopt.yaml",
        "horizon: {start: 2026-11-23, days: 7}\n",
        "",
        ("actions.csv, column date", "no horizon"),
        faults=6,
    ),
    "validity ends before it begins": table(
        "offers.csv", "2026-11-01,2026-12-31", "2026-12-31,2026-11-01", "row 1", "column valid_to"
    ),
    "history after the planning date": table(
        "history.csv", "2026-11-01", "2026-11-23", "row 1", "column date", "planned"
    ),
    "history without an outcome": table("history.csv", "delivered", "", "row 1", "column outcome", "missing"),
    "unknown outcome": table("history.csv", "delivered", "deliverd", "row 1", "'deliverd'", "'delivered'"),
    "bad time": table("channels.csv", "08:00", "8 am", "row 1", "column send_from", "'8 am'", "08:30"),
    "sending ends before it begins": table("channels.csv", "17:30", "07:30", "row 3", "column send_to"),
    "bad day of the week": table(
        "channels.csv", "mon-fri", "mon-fry", "row 3", "column send_days", "'mon-fry'"
    ),
    "bad time zone": table(
        "customers.csv", "Europe/Paris", "Europe/Pariss", "row 2", "column timezone", "'Europe/Paris'"
    ),
    "boolean that is neither": table("consents.csv", "false", "maybe", "row 2", "column granted", "'maybe'"),
    "bound of no day": table("capacity.csv", "2026-11-25,south", ",south", "row 2", "column date", "empty"),
    "consent is not said": table("consents.csv", "false", "", "row 2", "column granted", "empty"),
}

POLICY: dict[str, Break] = {
    "misspelt key in a limit": table(
        "policy.yaml", "measure: cost", "mesure: cost", "total budget", "measure"
    ),
    "misspelt key in a contact rule": table("policy.yaml", "max: 2, days", "max: 2, day", "pressure", "days"),
    "unknown section": table("policy.yaml", "limits:", "limit:", "'limit'", "limits"),
    "no objective": table("policy.yaml", "objective: value - cost\n", "", "objective"),
    "unknown measure in the objective": table("policy.yaml", "value - cost", "value - csot", "csot", "cost"),
    "objective is code": table("policy.yaml", "value - cost", "__import__('os').getcwd()", "objective"),
    "unknown measure in a limit": table(
        "policy.yaml", "measure: cost", "measure: csot", "total budget", "cost"
    ),
    "unknown channel in a rule": table(
        "policy.yaml", "where: {channel: call}", "where: {channel: cal}", "call desk"
    ),
    "unknown attribute": table("policy.yaml", "customer.age", "customer.agee", "adults", "customer.age"),
    "unknown attribute in per": table(
        "policy.yaml", "customer.region", "customer.regoin", "call desk", "region"
    ),
    "unknown comparison": table("policy.yaml", "{lt: 18}", "{below: 18}", "adults", "below"),
    "limit reads an unknown table": table(
        "policy.yaml", "table: capacity", "table: capacty", "call desk", "capacity"
    ),
    "limit reads an unknown column": table(
        "policy.yaml", "column: minutes", "column: minuts", "call desk", "minutes"
    ),
    "table lacks a region": Break(
        "capacity.csv", "2026-11-25,south,60\n", "", ("call desk", "2026-11-25", "south")
    ),
    "bound is empty": Break(
        "capacity.csv", "south,60", "south,", ("call desk", "capacity", "row 2", "minutes")
    ),
    "limit without a bound": table("policy.yaml", ", max: 50}", "}", "total budget"),
    "min above max": table("policy.yaml", "max: 50", "min: 60, max: 50", "total budget"),
    "bound is text": table("policy.yaml", "max: 50", "max: fifty", "total budget", "fifty"),
    "negative max": table("policy.yaml", "max: 2, days", "max: -1, days", "pressure", "-1"),
    "days of nought": table("policy.yaml", "max: 2, days: 7", "max: 2, days: 0", "pressure", "0"),
    "duplicate rule name": table("policy.yaml", "name: pressure", "name: adults", "adults"),
    "rule without a name": table("policy.yaml", "name: pressure, ", "", "contact", "name"),
    "rule is text": table("policy.yaml", "- {name: pressure, max: 2, days: 7}", "- pressure", "contact"),
    "section is a number": table("policy.yaml", None, "objective: value\nlimits: 3\n", "limits"),
    "duplicate key in a rule": table("policy.yaml", "max: 2, days: 7", "max: 2, max: 3", "'max'", "twice"),
    "policy is no YAML": table("policy.yaml", None, "objective: [value\n", "policy.yaml, line"),
}


def lay(folder: Path, change: Break | None = None, good: Mapping[str, str | bytes] = GOOD) -> Path:
    """Write the good project, with the one change."""
    files = dict(good)
    if change:
        for file, old, new in ((change.file, change.old, change.new), *change.also):
            if new is None:
                del files[file]
            elif old is None:
                files[file] = new
            else:
                text = files[file]
                assert isinstance(text, str) and isinstance(new, str) and old in text
                files[file] = text.replace(old, new, 1)
    folder.mkdir(exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
