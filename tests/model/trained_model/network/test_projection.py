"""The plain input layer."""

import pytest
import torch

from model.trained_model.network.projection import InputProjection


def test_a_step_is_a_linear_map_of_its_features_and_says_of_which() -> None:
    torch.manual_seed(0)
    part = InputProjection(3, 8)
    x = torch.randn(4, 6, 3)
    source = part(x)
    torch.testing.assert_close(source.steps().transpose(0, 1), x @ part.linear.weight.T + part.linear.bias)
    torch.testing.assert_close(source.inputs @ source.weight.T + source.bias, source.steps())
    assert source.inputs.is_contiguous()  # in memory time first, as a recurrence reads it


def test_both_channels_are_read_and_start_as_their_sum() -> None:
    torch.manual_seed(0)
    part = InputProjection(3, 8, channels=2)
    assert part.extra is not None
    x, main = torch.randn(2, 4, 6, 3)
    whole = part(x + main).steps()
    torch.testing.assert_close(part(x + main, main).steps(), whole)
    with torch.no_grad():
        part.extra.weight.normal_()
    torch.testing.assert_close(part(x + main, main).steps(), whole + (main @ part.extra.weight.T).transpose(0, 1))


def test_a_second_channel_needs_a_projection_built_for_it() -> None:
    with pytest.raises(ValueError, match="second channel"):
        InputProjection(3, 8)(torch.zeros(1, 4, 3), torch.zeros(1, 4, 3))


def test_a_map_is_compact_where_its_inputs_are_fewer_than_its_outputs() -> None:
    assert InputProjection(7, 8)(torch.zeros(1, 4, 7)).compact
    assert not InputProjection(8, 8)(torch.zeros(1, 4, 8)).compact
