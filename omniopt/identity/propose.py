"""Likely links that exact keys do not show, by the model of Fellegi and Sunter: the extra ``identity``.

Source: Fellegi and Sunter, A Theory for Record Linkage, JASA 64 (1969); estimated by splink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from omniopt.errors import BadInput, Fault
from omniopt.identity.links import COLUMNS

if TYPE_CHECKING:
    from omniopt.project.sources import Identity

#: Links less likely than this are not worth anybody's time.
LEAST = 0.01
_RECALL = 0.7  # share of the true pairs that agree in two compared columns: only a start for the estimate


def propose(people: pd.DataFrame, identity: Identity, seed: int) -> pd.DataFrame:
    """Propose links between ids, with their probability.

    Parameters
    ----------
    people : DataFrame
        One row per id of a source: `omniopt.identity.nodes_of`.
    identity : Identity
        ``compare`` names the columns and how they are compared.
    seed : int
        Seed of the sample that says how often people agree by chance.

    Returns
    -------
    DataFrame
        source_a, id_a, source_b, id_b and probability, the likeliest first.

    Raises
    ------
    BadInput
        When fewer than two columns are compared, there are fewer than two ids, or splink is not installed.
    """
    if len(identity.compare) < 2:
        hint = "Name what tells people apart, such as {surname: name, date_of_birth: text, postcode: exact}"
        raise BadInput(Fault("identity.compare names fewer than two columns", hint=hint))
    if len(people) < 2:
        raise BadInput("there are no two ids to compare")
    try:
        from splink import DuckDBAPI, Linker, SettingsCreator, block_on
        from splink.internals.exceptions import EMTrainingException
    except ImportError as error:
        hint = "Install it with: pip install 'omniopt[identity]'"
        raise BadInput(Fault("proposing links needs splink", hint=hint)) from error
    columns = list(identity.compare)
    blocks = [block_on(*pair) for pair in _pairs(columns)]
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="node",
        comparisons=[_comparison(name, how) for name, how in identity.compare.items()],
        blocking_rules_to_generate_predictions=blocks,
        retain_matching_columns=False,
    )
    linker = Linker(_registered(DuckDBAPI(), people, columns), settings, log_level="ERROR")
    train = linker.training
    try:
        train.estimate_probability_two_random_records_match(blocks, recall=_RECALL)
        train.estimate_u_using_random_sampling(max_pairs=1e6, seed=seed)
        # A column cannot be judged among pairs that were chosen for agreeing in it: each is left out once.
        for name in columns[:2] if len(columns) < 4 else columns[:4]:
            train.estimate_parameters_using_expectation_maximisation(block_on(name))
    # A ValueError is the logarithm of a probability that is 0 or 1.
    except (ValueError, EMTrainingException) as error:
        hint = "Compare columns that are filled and that tell people apart, or link by exact keys alone"
        message = "there are too few people, or too few who agree, to estimate how likely links are"
        raise BadInput(Fault(message, rule="identity.compare", hint=hint)) from error
    found = linker.inference.predict(threshold_match_probability=LEAST).as_pandas_dataframe()
    return _as_links(found, people)


def _registered(api: Any, people: pd.DataFrame, columns: list[str]) -> Any:
    texts = {name: people[name].str.strip().str.casefold().replace("", pd.NA) for name in columns}
    cells = {name: text.astype(object).where(text.notna(), None) for name, text in texts.items()}
    return api.register(pd.DataFrame({"node": np.arange(len(people)), **cells}))


def _pairs(columns: list[str]) -> list[tuple[str, str]]:
    return [(one, other) for at, one in enumerate(columns) for other in columns[at + 1 :]]


def _comparison(name: str, how: str) -> Any:
    import splink.comparison_library as library

    match how:
        case "name":
            return library.JaroWinklerAtThresholds(name, [0.92, 0.8])
        case "text":
            return library.DamerauLevenshteinAtThresholds(name, [1, 2])
    return library.ExactMatch(name)


def _as_links(found: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    one, other = (found[f"node_{side}"].to_numpy(np.int64) for side in "lr")
    low, high = np.minimum(one, other), np.maximum(one, other)
    source, own = people["source"].array, people["customer_id"].array
    links = pd.DataFrame({
        "source_a": source.take(low), "id_a": own.take(low),
        "source_b": source.take(high), "id_b": own.take(high),
        "probability": found["match_probability"].round(6).to_numpy(float),
    }, columns=list(COLUMNS))  # fmt: skip
    return links.sort_values(["probability", *COLUMNS[:4]], ascending=[False, *[True] * 4], ignore_index=True)
