"""The deployment promises: one door, no secrets in files, nobody is root, every service can say that it is well."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "docker"
REQUIRED = ("POSTGRES_PASSWORD", "GOGOOKU_OPERATOR", "GOGOOKU_OPERATOR_HASH", "GOGOOKU_VIEWER", "GOGOOKU_VIEWER_HASH")
TARGETS = ("code", "webserver", "daemon", "mlflow")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / "docker-compose.yaml").read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def stages() -> dict[str, str]:
    """What each stage of the Dockerfile inherits and adds, by name."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    parts = re.split(r"^FROM (\S+) AS (\S+)$", text, flags=re.MULTILINE)
    whole: dict[str, str] = {}
    for base, name, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        whole[name] = whole.get(base, f"FROM {base}\n") + body
    return whole


def test_only_the_proxy_publishes_a_port_and_only_on_the_loopback_address(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert list(published) == ["proxy"]
    assert published["proxy"] == ["${GOGOOKU_BIND:-127.0.0.1}:${GOGOOKU_PORT:-8080}:8080"]


def test_everything_else_sits_on_a_network_without_a_way_out(compose: dict[str, Any]) -> None:
    assert compose["networks"]["backend"]["internal"] is True
    for name, service in compose["services"].items():
        assert service["networks"] == (["edge", "backend"] if name == "proxy" else ["backend"]), name


def test_every_service_gives_up_privileges_and_comes_back_after_a_crash(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["restart"] == "unless-stopped", name
        assert not service.get("privileged"), name


def test_the_proxy_may_have_the_one_capability_without_which_its_program_does_not_start(
    compose: dict[str, Any],
) -> None:
    """The image marks its binary with ``cap_net_bind_service=+ep``: without it in the bounding set, exec is EPERM."""
    added = {name: service["cap_add"] for name, service in compose["services"].items() if "cap_add" in service}
    assert added == {"proxy": ["NET_BIND_SERVICE"]}


def test_mlflow_answers_to_the_public_name_at_whatever_port_the_proxy_has(compose: dict[str, Any]) -> None:
    allowed = compose["services"]["mlflow"]["environment"]["MLFLOW_ALLOWED_HOSTS"].split(",")
    public = "${GOGOOKU_PUBLIC_HOST:-localhost}"
    assert {"mlflow:5000", public, f"{public}:*"} <= set(allowed)


def test_a_source_on_the_internet_gets_its_key_and_a_way_out_and_nothing_else_does(compose: dict[str, Any]) -> None:
    keys = {name for name, each in compose["services"].items() if "JQUANTS_API_KEY" in each.get("environment", {})}
    assert keys == {"code"}
    more = yaml.safe_load((FOLDER / "docker-compose.internet.yaml").read_text(encoding="utf-8"))
    assert more == {"services": {"code": {"networks": ["outside"]}}, "networks": {"outside": {}}}


def test_no_container_runs_as_root(compose: dict[str, Any], stages: dict[str, str]) -> None:
    for target in TARGETS:
        users = re.findall(r"^USER (\S+)$", stages[target], flags=re.MULTILINE)
        assert users and users[-1] == "10001:10001", target
    for name in ("postgres", "proxy"):
        assert compose["services"][name]["user"] not in ("", "root", "0", "0:0")


def test_every_service_has_a_health_probe(compose: dict[str, Any], stages: dict[str, str]) -> None:
    for name, service in compose["services"].items():
        built = service.get("build", {}).get("target")
        assert "HEALTHCHECK" in stages[built] if built else service["healthcheck"]["test"], name


def test_images_are_pinned_and_ours_install_with_the_constraints(
    compose: dict[str, Any], stages: dict[str, str]
) -> None:
    bases = set(re.findall(r"^FROM (\S+)$", "\n".join(stages.values()), flags=re.MULTILINE))
    images = {service["image"] for service in compose["services"].values()} | bases
    for image in images:
        _, _, tag = image.partition(":")
        assert re.search(r"\d+\.\d+", tag), f"{image} is not pinned"
    installs = re.findall(r"pip install ([^\n&]*)", "\n".join(stages.values()))
    assert installs and all("-c " in line and "constraints.txt" in line for line in installs)


def test_secrets_come_from_the_environment_and_their_absence_is_an_error() -> None:
    text = (FOLDER / "docker-compose.yaml").read_text(encoding="utf-8")
    for name in REQUIRED:
        uses = re.findall(rf"\$\{{{name}\b([^}}]*)\}}", text)
        assert uses and all(use.startswith(":?") for use in uses), name
    example = (FOLDER / ".env.example").read_text(encoding="utf-8")
    filled = re.findall(r"^([A-Z_]+)=(?!(?:''|\"\")?$)(.+)$", example, flags=re.MULTILINE)
    assert filled == []
    ignored = (FOLDER.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert ".env" in ignored


def test_the_images_hold_no_secret_and_no_data() -> None:
    allowed = (FOLDER.parent / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in allowed
    assert not {"!.env", "!.git", "!.gogooku"} & set(allowed)
    assert "docker/.env" in allowed


def test_the_proxy_asks_for_a_password_on_every_route_but_its_own_probe() -> None:
    text = (FOLDER / "Caddyfile").read_text(encoding="utf-8")
    routes = re.findall(r"^\thandle(?:_path)?(?: (\S+))? \{\n(.*?)^\t\}", text, flags=re.MULTILINE | re.DOTALL)
    assert len(routes) == text.count("\thandle")
    open_routes = [path for path, body in routes if "basic_auth" not in body]
    assert open_routes == ["/healthz"]
    viewers = {path for path, body in routes if "GOGOOKU_VIEWER" in body}
    assert viewers == {"/view*", "/report/*"}


def test_viewers_get_a_web_server_that_cannot_change_anything(compose: dict[str, Any]) -> None:
    assert "--read-only" in compose["services"]["viewer"]["command"]


def test_the_preset_of_the_containers_reaches_mlflow_where_compose_puts_it() -> None:
    preset = yaml.safe_load((FOLDER / "gogooku.yaml").read_text(encoding="utf-8"))
    assert preset["tracking"]["uri"] == "http://mlflow:5000/mlflow"
    assert "--static-prefix /mlflow" in (FOLDER / "Dockerfile").read_text(encoding="utf-8")


def test_docker_compose_accepts_the_file() -> None:
    if shutil.which("docker") is None:
        pytest.skip("the docker client is not installed")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("the docker client has no compose plugin")
    filled = {**os.environ, **dict.fromkeys(REQUIRED, "x")}
    command = ["docker", "compose", "-f", str(FOLDER / "docker-compose.yaml"), "config", "-q"]
    checked = subprocess.run(command, env=filled, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    empty = {key: value for key, value in os.environ.items() if key not in REQUIRED}
    refused = subprocess.run(
        [*command[:2], "--env-file", "/dev/null", *command[2:]], env=empty, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "POSTGRES_PASSWORD" in refused.stderr
