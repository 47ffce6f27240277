"""The temporal encoder and its last-query attention."""

import pytest
import torch

from model.trained_model.network.temporal import InterpretableAttention, TemporalEncoder


def test_last_query_attention_equals_full_attention_with_shared_values() -> None:
    torch.manual_seed(0)
    attention = InterpretableAttention(12, 3).double().eval()
    steps = torch.randn(5, 7, 12, dtype=torch.float64)
    query, key, value = attention.query(steps), attention.key(steps), attention.value(steps)
    heads = []
    mask = torch.full((7, 7), float("-inf"), dtype=torch.float64).triu(1)
    for h in range(3):
        columns = slice(4 * h, 4 * h + 4)
        scores = query[..., columns] @ key[..., columns].transpose(1, 2) / 2.0 + mask
        heads.append(torch.softmax(scores, dim=-1) @ value)
    expected = attention.output(torch.stack(heads).mean(0))[:, -1]
    out, weights = attention(steps)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(weights.sum(-1), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("recurrence", ["lstm", "min_gru"])
def test_every_day_of_the_window_reaches_the_state_of_the_newest_day(recurrence: str) -> None:
    torch.manual_seed(1)
    for layers in (1, 2):
        encoder = TemporalEncoder(8, recurrence=recurrence, layers=layers, heads=2, dropout=0.2, layer_scale=0.1).eval()
        steps = torch.randn(2, 9, 8, requires_grad=True)
        out = encoder(steps)
        assert out.shape == (2, 8)
        (gradient,) = torch.autograd.grad((out * torch.randn(2, 8)).sum(), steps)
        assert (gradient.abs().sum(-1) > 0).all()


def test_forget_gates_start_open() -> None:
    encoder = TemporalEncoder(8, layers=2)
    for layer in range(2):
        bias = getattr(encoder.lstm, f"bias_ih_l{layer}") + getattr(encoder.lstm, f"bias_hh_l{layer}")
        assert bias[8:16].mean() > 0.5 > bias[:8].abs().mean()


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="divisible"):
        InterpretableAttention(10, 4)


def test_an_unknown_recurrence_is_refused() -> None:
    with pytest.raises(ValueError, match="min_gru"):
        TemporalEncoder(8, recurrence="gru")
