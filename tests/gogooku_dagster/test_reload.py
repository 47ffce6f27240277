"""A code location follows the configuration that commands record in its home."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._grpc.client import DagsterGrpcClient

from gogooku_dagster.lib.home import installation
from model.errors import SettingsError
from tests.gogooku_dagster.support import Place, kept_environment

SERVER = GrpcServerCodeLocationOrigin(host="localhost", port=4000, location_name="gogooku")


class Sensor:
    """The sensor on one home, its cursor, and what it asked the code server for."""

    def __init__(self, place: Place) -> None:
        self.place, self.cursor, self.asked = place, "", list[float]()
        place.definitions, place.instance  # noqa: B018 - load the code location, and record the preset of this home

    def look(self, origin: GrpcServerCodeLocationOrigin | None = SERVER) -> str:
        """What one evaluation says."""
        from gogooku_dagster.defs.automation.reload import configuration_changed

        context = dg.SensorEvaluationContext(
            instance_ref=None,
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=self.cursor,
            log_key=None,
            repository_name=None,
            instance=self.place.instance,
            code_location_origin=origin,
        )
        said = configuration_changed(context)
        assert isinstance(said, dg.SkipReason)
        self.cursor = context.cursor or ""
        return said.skip_message or ""

    def record(self, *overrides: str) -> None:
        """What a command does with other settings."""
        installation(str(self.place.preset), overrides).prepare()


@pytest.fixture
def sensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sensor]:
    with kept_environment():
        place = Place(tmp_path / "home")
        place.home.mkdir()
        place.configure()
        sensor = Sensor(place)

        def reload_code(client: DagsterGrpcClient, timeout: float) -> None:
            sensor.asked.append(timeout)
            raise DagsterUserCodeUnreachableError("The server has not loaded the code within the time.")

        monkeypatch.setattr(DagsterGrpcClient, "reload_code", reload_code)
        yield sensor
        place.close()


def test_another_recorded_configuration_reloads_the_code_location_once(sensor: Sensor) -> None:
    assert "was loaded with" in sensor.look()
    sensor.record("seed=8")
    assert "is being loaded again" in sensor.look()
    assert "was asked for" in sensor.look()
    assert len(sensor.asked) == 1 and sensor.asked[0] < 10, "it ends the process that asks: nobody can wait for it"
    sensor.record("seed=9")
    sensor.look()
    assert len(sensor.asked) == 2


def test_a_configuration_that_is_taken_back_can_be_recorded_again(sensor: Sensor) -> None:
    sensor.record("seed=8")
    sensor.look()
    sensor.record()
    assert "was loaded with" in sensor.look()
    sensor.record("seed=8")
    sensor.look()
    assert len(sensor.asked) == 2


def test_a_record_of_equal_settings_reloads_nothing(sensor: Sensor) -> None:
    sensor.record("seed=7")  # as the preset has it
    assert "was loaded with" in sensor.look() and not sensor.asked


def test_where_no_server_can_be_asked_the_page_says_what_to_do(sensor: Sensor) -> None:
    sensor.record("seed=8")
    assert sensor.look(origin=None) == "Another configuration is recorded: reload the code location."
    assert not sensor.asked


def test_a_record_that_cannot_be_used_fails_the_evaluation_with_its_own_message(sensor: Sensor) -> None:
    sensor.record("seed=8")
    installation().record.write_text("extends: nowhere\n")
    with pytest.raises(SettingsError, match="There is no preset 'nowhere'"):
        sensor.look()
