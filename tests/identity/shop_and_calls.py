"""A project of four sources that a person can check: a CRM, a web shop's accounts, its visits, and calls."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "omniopt.yaml": """\
version: 1
name: sources
seed: 1
horizon: {start: 2026-11-23, days: 7}
tables: {offers: offers.csv, channels: channels.csv, actions: actions.csv, scores: scores.csv}
sources:
  crm:
    kind: customers
    table: crm.csv
    columns: {customer_id: id, email: mail, phone: tel, customer_number: id}
    trust: 3
    updated: changed
  shop:
    kind: customers
    table: accounts.csv
    columns: {customer_id: account, email: login}
    updated: seen
  visits:
    kind: history
    table: visits.csv
    columns: {customer_id: account, date: day}
    values: {channel: shop, offer_id: card, outcome: responded}
    ids_of: shop
  calls:
    kind: history
    table: calls.csv
    columns: {phone: caller, date: day}
    values: {channel: call}
  newsletter:
    kind: consents
    table: newsletter.csv
    columns: {email: address, granted: yes_no}
    values: {channel: email, purpose: marketing}
identity: {country_code: 49, household: [street, city]}
policy:
  objective: value - cost
  eligibility: [{name: no planned visits, drop: {channel: shop}}]
""",
    "crm.csv": """\
id,mail,tel,city,street,changed
1,Ann@Mail.org ,+49 (0)171 1234567,Ulm,Gasse 1,2026-10-01
2,bo@mail.org,0171/7654321,Ulm,gasse  1,2026-10-01
3,na@na,0000,,,2026-10-01
""",
    "accounts.csv": """\
account,login,city,seen
a1,ann@mail.org,Bonn,2026-11-01
a2,cy@mail.org,Kiel,2026-11-01
a3,na@na,,2026-11-01
""",
    "visits.csv": "account,day,value\na1,2026-11-02,5\na1,2026-11-02,7\na2,2026-11-03,9\n",
    "calls.csv": """\
caller,offer_id,day,outcome
00491711234567,loan,2026-11-04,rejected
01717654321,loan,2026-11-04,responded
0999 99,loan,2026-11-04,responded
0152 000111,loan,2026-11-05,responded
""",
    "newsletter.csv": "address,yes_no\nANN@mail.org,true\nann@mail.org,false\ncy@mail.org,yes\n",
    "offers.csv": "offer_id,category,value\nloan,credit,100\ncard,payment,40\n",
    "channels.csv": "channel,unit_cost,requires_consent\nemail,0.1,true\ncall,6,false\nshop,0,false\n",
    "actions.csv": "action_id,offer_id,channel,date\nx,loan,email,2026-11-24\ny,card,call,2026-11-25\n",
    "scores.csv": """\
customer_id,offer_id,channel,p_response
1,loan,email,0.2
1,card,call,0.3
2,loan,email,0.1
2,card,call,0.4
3,loan,email,0.1
3,card,call,0.1
shop:a2,loan,email,0.3
shop:a2,card,call,0.3
shop:a3,loan,email,0.1
shop:a3,card,call,0.1
""",
}


def write(folder: Path, **changed: str) -> Path:
    """Write the project; a file whose name (without its ending) is given gets that text instead."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(changed.get(name.split(".")[0], text), encoding="utf-8")
    return folder
