"""What is shown while a run goes on: a live bar on a terminal, plain lines elsewhere."""

import pytest

from gogooku_dagster.cli import terminal
from gogooku_dagster.cli.terminal import Terminal
from gogooku_dagster.lib.reconcile import Step

EPOCH: dict[str, float | int | str] = {
    "phase": "gat",
    "epoch": 3,
    "loss_rank_ic": 0.8494,
    "val_rank_ic": 0.0123,
    "lr_last": 0.001,
    "seconds": 2.5,
}


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    with Terminal() as screen:
        screen.step(Step("trained_model", ("wf_2016h1",)), 8, 11)
        screen.progress("trained_model", "wf_2016h1", 3, 15, "gat [3]")
        screen.epoch("trained_model", "wf_2016h1", dict(EPOCH))
    return capsys.readouterr().err


def test_a_live_bar_names_the_partition(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    text = shown(capsys)
    assert "9/11 trained_model [wf_2016h1]" in text


def test_a_log_gets_plain_lines_with_loss_and_rank_ic(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(terminal, "_PLAIN_EVERY_SECONDS", -1.0)
    text = shown(capsys)
    assert "\x1b" not in text
    assert "  trained_model [wf_2016h1]: 3 of 15 gat [3]\n" in text
    assert "phase gat  epoch 3  rank IC loss 0.8494  validation rank IC 0.0123  lr 0.001  s 2.5" in text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.5, "(2.0/s, 4 s left)"), (40.0, "(40 s each, 5 min left)"), (600.0, "(10 min each, 80 min left)")],
)
def test_slow_work_tells_the_time_of_one_unit(
    seconds: float, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(terminal, "_PLAIN_EVERY_SECONDS", -1.0)
    with Terminal() as screen, monkeypatch.context() as patched:
        patched.setattr(terminal.time, "monotonic", lambda: now[0])
        screen.begin("ablation")
        screen.progress("ablation", None, 0, 9, "first")
        now[0] = seconds
        screen.progress("ablation", None, 1, 9, "second")
    assert f"ablation: 1 of 9 second {said}\n" in capsys.readouterr().err


def test_an_interrupted_stage_is_not_shown_as_finished(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), Terminal() as screen:
        screen.step(Step("baseline", ("live",)), 5, 11)
        raise KeyboardInterrupt
    assert capsys.readouterr().err.endswith(" s  not finished\n")


def test_for_scripts_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal(quiet=True) as screen:
        screen.step(Step("baseline", ("live",)), 5, 11)
        screen.epoch("baseline", "live", dict(EPOCH))
    assert capsys.readouterr().err == ""
