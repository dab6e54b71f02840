"""Likely links by the model of Fellegi and Sunter, on people whose true duplicates are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from test_linkage import DAYS

from omniopt.errors import BadInput, Faults
from omniopt.identity import link
from omniopt.identity.propose import propose
from omniopt.project.sources import DataSource, Identity

COMPARE = {
    "soc_sec_id": "text",
    "date_of_birth": "text",
    "surname": "name",
    "given_name": "name",
    "postcode": "text",
    "address_1": "name",
    "suburb": "name",
}


def _person(ids: pd.Series) -> pd.Series:
    return ids.str.extract(r"rec-(\d+)-", expand=False)


def _precision_and_recall(frames: dict[str, pd.DataFrame], folder: Path) -> tuple[float, float]:
    """Link exactly and by what the model proposes; judge the pairs of rows that became one customer."""
    pytest.importorskip("splink", reason="the extra identity is not installed")
    identity = Identity(keys=("soc_sec_id",), compare=COMPARE, links="links.csv")
    people = pd.concat([frame.assign(source=name) for name, frame in frames.items()], ignore_index=True)
    propose(people, identity, seed=7).to_csv(folder / "links.csv", index=False)
    declared = {name: DataSource(kind="customers", table="-") for name in frames}
    faults = Faults()
    linked = link(declared, identity, frames, folder / "links.csv", DAYS, faults)
    faults.raise_if_any()
    assert linked is not None
    origins = linked.report["origins"].assign(person=lambda rows: _person(rows["source_id"]))

    def pairs(*columns: str) -> int:
        sizes = origins.groupby(list(columns)).size()
        return int((sizes * (sizes - 1) // 2).sum())

    both = pairs("person", "customer_id")
    return both / pairs("customer_id"), both / pairs("person")


@pytest.fixture
def febrl(shared_data: Path) -> Callable[[str], pd.DataFrame]:
    folder = shared_data / "data" / "linkage_febrl"
    if not folder.is_dir():
        pytest.skip("no Febrl data among the reference data")

    def read(name: str) -> pd.DataFrame:
        frame = pd.read_csv(folder / f"{name}.csv.gz", skipinitialspace=True, dtype="str")
        return frame.rename(columns={"rec_id": "customer_id"})

    return read


@pytest.mark.slow
def test_duplicates_within_a_source(febrl: Callable[[str], pd.DataFrame], tmp_path: Path) -> None:
    precision, recall = _precision_and_recall({"one": febrl("dataset1")}, tmp_path)
    assert precision >= 0.99 and recall >= 0.97


@pytest.mark.slow
def test_links_between_two_sources(febrl: Callable[[str], pd.DataFrame], tmp_path: Path) -> None:
    frames = {"a": febrl("dataset4a"), "b": febrl("dataset4b")}
    precision, recall = _precision_and_recall(frames, tmp_path)
    assert precision >= 0.99 and recall >= 0.97


@pytest.mark.slow
def test_the_same_people_in_another_order_are_linked_alike(febrl: Callable[[str], pd.DataFrame]) -> None:
    pytest.importorskip("splink", reason="the extra identity is not installed")
    people = febrl("dataset1").assign(source="one", source_rank=0)
    identity = Identity(compare=COMPARE)
    links = propose(people, identity, seed=7)
    pd.testing.assert_frame_equal(links, propose(people, identity, seed=7))


def test_what_is_missing_is_said() -> None:
    people = pd.DataFrame({"source": ["a", "a"], "customer_id": ["1", "2"], "name": ["x", "y"]})
    with pytest.raises(BadInput, match=r"identity\.compare names fewer than two columns"):
        propose(people, Identity(compare={"name": "name"}), 0)
