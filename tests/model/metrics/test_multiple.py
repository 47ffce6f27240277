"""False discoveries among several figures."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from model.metrics.multiple import adjusted_p


def test_adjusted_p_values_agree_with_scipy_and_skip_what_is_missing() -> None:
    p = np.random.Generator(np.random.PCG64(3)).random(40) ** 2
    np.testing.assert_allclose(adjusted_p(p), false_discovery_control(p), rtol=1e-12)
    holes = np.insert(p, [0, 7, 40], np.nan)
    np.testing.assert_allclose(adjusted_p(holes)[~np.isnan(holes)], false_discovery_control(p), rtol=1e-12)
    assert np.isnan(adjusted_p(holes)[np.isnan(holes)]).all()


def test_adjusted_p_values_worked_out_by_hand() -> None:
    assert adjusted_p([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.04, 0.04])
    assert adjusted_p([0.9, 0.8]).tolist() == pytest.approx([0.9, 0.9])
    assert adjusted_p([]).tolist() == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjusted_p([1.2])
