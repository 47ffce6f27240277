"""The order of values is the stable one, however it is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.metrics.order import row_order


@given(seed=st.integers(0, 10_000), kinds=st.integers(2, 60), missing=st.floats(0, 1))
def test_it_is_the_stable_order_with_missing_values_last(seed: int, kinds: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=kinds)[rng.integers(0, kinds, (4, 30))]
    values[rng.random((4, 30)) < missing] = np.nan
    assert row_order(values).tolist() == np.argsort(values, axis=1, kind="stable").tolist()


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e299, 1e305])
def test_values_of_any_size_are_ordered(size: float) -> None:
    values = size * np.array([[3.0, -1.0, np.nan, 2.0, -1.0]])
    assert row_order(values).tolist() == np.argsort(values, axis=1, kind="stable").tolist()
