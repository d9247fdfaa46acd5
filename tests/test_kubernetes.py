"""deploy/kubernetes holds: to the schemas, to each other, and to what the demo runs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from sqlalchemy import text

from demo.stack import COMMANDS
from service.config.settings import Settings
from service.database import db, is_postgresql
from service.inbox import stream
from service.sending import deliver
from service.task_queue.queue import ROUTES
from tests.messages import Post
from tests.test_deployment import DOCKERFILE, after, unplaced

ROOT = Path(__file__).parents[1]
BASE = ROOT / "deploy" / "kubernetes" / "base"
OVERLAY = ROOT / "deploy" / "kubernetes" / "production"
PROCESSES = tuple(COMMANDS)
# The versions that are maintained when this is written, by the schemas that we have.
VERSIONS = ("1.30.0", kubernetes_validate.latest_version())

Manifest = dict[str, Any]


def manifests(directory: Path) -> Iterator[Manifest]:
    """Every resource that a kustomization lists, in its own directory."""
    listed = kustomization(directory)["resources"]
    for file in (one for one in listed if one.endswith(".yaml")):
        yield from yaml.safe_load_all((directory / file).read_text())


def kustomization(directory: Path) -> Manifest:
    found: Manifest = yaml.safe_load((directory / "kustomization.yaml").read_text())
    return found


RESOURCES = [*manifests(BASE), *manifests(OVERLAY)]
BUILT_IN = [one for one in RESOURCES if not one["apiVersion"].startswith("keda.sh")]


def named(one: Manifest) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def of(kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in RESOURCES if one["kind"] == kind}


def pods() -> dict[str, Manifest]:
    """The pod of each process, and of the migration, by the name of what makes it."""
    makers = {**of("Deployment"), **of("Job")}
    return {name: maker["spec"]["template"] for name, maker in makers.items()}


def containers() -> list[Manifest]:
    specs = [pod["spec"] for pod in pods().values()]
    return [*chain(*(one["containers"] + one.get("initContainers", []) for one in specs))]


def container(process: str) -> Manifest:
    [found] = of("Deployment")[f"waybill-{process}"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


every_process = pytest.mark.parametrize("process", PROCESSES)


# Schemas


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", BUILT_IN, ids=named)
def test_a_resource_fits_the_schema_of_kubernetes(one: Manifest, version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_a_resource_that_does_not_fit_is_noticed() -> None:
    [web] = [one for one in BUILT_IN if named(one) == "Deployment waybill-web"]
    wrong = {**web, "spec": {**web["spec"], "replicaz": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("directory", [BASE, OVERLAY], ids=lambda path: path.name)
def test_every_file_is_listed_and_every_listed_file_exists(directory: Path) -> None:
    given = kustomization(directory)
    listed = {*given["resources"], *(one["path"] for one in given.get("patches", []))}
    files = {path.name for path in directory.glob("*.yaml")} - {"kustomization.yaml"}
    assert {one for one in listed if one.endswith(".yaml")} == files
    assert all((directory / one).exists() for one in listed)


def test_kustomize_builds_it_and_the_result_fits_the_schemas() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here, whose kustomize would build it")
    built = subprocess.run(
        ["kubectl", "kustomize", str(OVERLAY)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    resources = list(yaml.safe_load_all(built.stdout))
    assert {one["kind"] for one in resources} >= {"ConfigMap", "Deployment", "Job", "ScaledObject"}
    for one in resources:
        if not one["apiVersion"].startswith("keda.sh"):
            kubernetes_validate.validate(one, VERSIONS[-1], strict=True)
        if one["kind"] != "Namespace":
            assert one["metadata"]["namespace"] == "waybill"
    images = set(re.findall(r"image: (\S+)", built.stdout))
    assert images == {"registry.example.com/waybill:0.1.0"}


# What runs


def test_every_process_is_deployed_and_no_other() -> None:
    assert set(of("Deployment")) == {f"waybill-{name}" for name in PROCESSES}


@every_process
def test_a_pod_runs_the_command_that_the_demo_runs(process: str) -> None:
    assert unplaced(container(process)["command"]) == unplaced(COMMANDS[process])


def test_the_migration_runs_once_and_is_the_one_of_the_readme() -> None:
    [job] = of("Job").values()
    [migrate] = job["spec"]["template"]["spec"]["containers"]
    assert migrate["command"] == ["flask", "--app", "service.app", "db", "upgrade"]
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_every_queue_is_read_by_a_worker_under_a_name_of_its_own() -> None:
    commands = [container(name)["command"] for name in ("worker-send", "worker-status")]
    assert {q for command in commands for q in after("-Q", command).split(",")} == {
        *ROUTES.values()
    }
    assert all("%h" in after("-n", command) for command in commands)


@every_process
def test_a_deployment_selects_its_own_pods(process: str) -> None:
    spec = of("Deployment")[f"waybill-{process}"]["spec"]
    labels = {"app.kubernetes.io/component": process}
    assert spec["selector"]["matchLabels"] == labels
    assert spec["template"]["metadata"]["labels"] == labels


def test_a_process_that_is_stopped_may_finish_the_longest_send() -> None:
    fields = Settings.model_fields
    longest = fields["twilio_connect_timeout"].default + fields["twilio_read_timeout"].default
    for name in ("web", "worker-send", "worker-status"):
        pod = pods()[f"waybill-{name}"]["spec"]
        assert pod["terminationGracePeriodSeconds"] >= 2 * longest, name


def test_every_setting_that_is_given_exists_and_no_secret_is_among_them() -> None:
    literals = [
        literal.partition("=")[0].lower()
        for directory in (BASE, OVERLAY)
        for literal in kustomization(directory)["configMapGenerator"][0]["literals"]
    ]
    assert set(literals) <= set(Settings.model_fields)
    assert not {"twilio_auth_token", "database_url", "redis_url", "metrics_token"} & set(literals)


@every_process
def test_a_process_has_all_settings(process: str) -> None:
    given = [next(iter(one.values()))["name"] for one in container(process)["envFrom"]]
    assert given == ["waybill", "waybill"]


# Security


@pytest.mark.parametrize("name", pods())
def test_a_pod_runs_as_the_user_of_the_image_who_has_no_rights(name: str) -> None:
    spec = pods()[name]["spec"]
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert f"--uid {security['runAsUser']} " in DOCKERFILE
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["serviceAccountName"] in of("ServiceAccount")
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)


@pytest.mark.parametrize("one", containers(), ids=lambda one: one["name"])
def test_a_container_can_change_nothing_and_become_nobody_else(one: Manifest) -> None:
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
    metrics = {"metrics": "/run/metrics"} if one["name"] == "web" else {}
    assert mounts == {"tmp": "/tmp", **metrics}
    assert set(one["resources"]["requests"]) == set(one["resources"]["limits"]) == {"cpu", "memory"}


def test_the_place_that_can_be_written_to_is_in_memory_and_small() -> None:
    for name, pod in pods().items():
        for volume in pod["spec"]["volumes"]:
            assert volume["emptyDir"]["medium"] == "Memory", name
            assert volume["emptyDir"]["sizeLimit"] == "64Mi", name


def test_web_processes_count_into_a_directory_that_exists() -> None:
    web = container("web")
    [variable] = [one for one in web["env"] if one["name"] == "PROMETHEUS_MULTIPROC_DIR"]
    assert variable["value"] in [mount["mountPath"] for mount in web["volumeMounts"]]


def test_nobody_may_talk_unless_a_policy_says_so() -> None:
    nobody = of("NetworkPolicy")["waybill-nobody"]["spec"]
    assert nobody == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_policy_is_about_pods_that_are_there_and_ports_that_are_open() -> None:
    components = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods().values()
    }
    for policy in of("NetworkPolicy").values():
        selector = policy["spec"]["podSelector"]
        chosen = set(selector.get("matchLabels", {}).values())
        chosen |= {one for each in selector.get("matchExpressions", []) for one in each["values"]}
        assert chosen <= components
        ports = [
            port["port"] for rule in policy["spec"].get("ingress", []) for port in rule["ports"]
        ]
        for component in chosen if ports else ():
            open_ports = {port["name"] for port in container(component)["ports"]}
            assert set(ports) <= open_ports, component


def test_the_world_may_not_read_the_metrics() -> None:
    [ingress] = of("Ingress").values()
    [rule] = ingress["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/v1", "/callbacks"]
    for path in rule["http"]["paths"]:
        service = path["backend"]["service"]
        ports = of("Service")[service["name"]]["spec"]["ports"]
        assert service["port"]["name"] in {port["name"] for port in ports}


def test_the_service_leads_to_the_web() -> None:
    [service] = of("Service").values()
    assert service["spec"]["selector"] == {"app.kubernetes.io/component": "web"}
    [port] = service["spec"]["ports"]
    assert port["targetPort"] in {one["name"] for one in container("web")["ports"]}


# Probes, disruptions, scale


@every_process
def test_every_process_is_asked_whether_it_is_alive_at_a_port_that_it_opens(process: str) -> None:
    one = container(process)
    ports = {port["name"]: port["containerPort"] for port in one["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert one[probe]["httpGet"]["port"] in ports
    assert one["livenessProbe"]["httpGet"]["path"] == "/healthz"
    given = dict(
        literal.split("=", 1)
        for literal in kustomization(BASE)["configMapGenerator"][0]["literals"]
    )
    expected = after("--port", one["command"]) if process == "web" else given["METRICS_PORT"]
    assert [str(port) for port in ports.values()] == [expected]
    scraped = pods()[f"waybill-{process}"]["metadata"]["annotations"]["prometheus.io/port"]
    assert scraped == expected


def test_the_web_is_ready_when_it_can_store_callbacks() -> None:
    assert container("web")["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_workers_wait_for_the_migration_and_the_web_for_no_store() -> None:
    waiting = {name for name, pod in pods().items() if "initContainers" in pod["spec"]}
    assert waiting == {"waybill-worker-send", "waybill-worker-status"}


def test_a_budget_leaves_some_of_each_and_never_blocks_a_node() -> None:
    replicas = least_replicas()
    for name, budget in of("PodDisruptionBudget").items():
        spec = budget["spec"]
        assert spec["selector"]["matchLabels"] == {
            "app.kubernetes.io/component": name.removeprefix("waybill-")
        }
        assert 1 <= spec["maxUnavailable"] < replicas[name], name
    assert set(of("PodDisruptionBudget")) == {name for name, least in replicas.items() if least > 1}


def least_replicas() -> dict[str, int]:
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"]["minReplicaCount"]
        for one in of("ScaledObject").values()
    }
    fixed = {
        name: one["spec"]["replicas"]
        for name, one in of("Deployment").items()
        if "replicas" in one["spec"]
    }
    assert not scaled.keys() & fixed.keys(), "each apply would undo what KEDA decided"
    assert scaled.keys() | fixed.keys() == set(of("Deployment"))
    return {**scaled, **fixed}


# What each of KEDA's triggers needs to know, and of that what must be a number.
# https://keda.sh/docs/latest/scalers/redis-streams/ and .../redis-lists/
NEEDED = {
    "redis": {"listName", "listLength"},
    "redis-streams": {"stream", "streamLength"},
    "postgresql": {"connectionFromEnv", "query", "targetQueryValue"},
}
NUMBERS = {"listLength", "streamLength", "targetQueryValue"}


@pytest.mark.parametrize("one", of("ScaledObject").values(), ids=named)
def test_a_scaled_object_is_as_keda_wants_it(one: Manifest) -> None:
    assert one["apiVersion"] == "keda.sh/v1alpha1"
    spec = one["spec"]
    assert set(spec) <= {
        *("scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval"),
        *("cooldownPeriod", "advanced", "triggers"),
    }
    assert 0 < spec["minReplicaCount"] < spec["maxReplicaCount"]
    for trigger in spec["triggers"]:
        assert set(trigger) <= {"type", "metadata", "authenticationRef"}
        assert set(trigger["metadata"]) == NEEDED[trigger["type"]]
        assert all(
            trigger["metadata"][key].isdecimal() for key in NUMBERS & set(trigger["metadata"])
        )
        if trigger["type"] == "postgresql":  # by the environment of the container that is scaled
            assert trigger["metadata"]["connectionFromEnv"].lower() in Settings.model_fields
        else:
            assert trigger["authenticationRef"]["name"] in of("TriggerAuthentication")


def triggers(process: str) -> list[Manifest]:
    scaled = of("ScaledObject")[f"waybill-{process}"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == f"waybill-{process}"
    return [trigger["metadata"] for trigger in scaled["triggers"]]


def test_status_workers_scale_by_inbox_and_queues() -> None:
    found = triggers("worker-status")
    queues = {metadata["listName"] for metadata in found if "listName" in metadata}
    assert queues == set(after("-Q", container("worker-status")["command"]).split(","))
    streams = [metadata["stream"] for metadata in found if "stream" in metadata]
    assert streams == [stream._STREAM]


def test_send_workers_scale_by_messages_due(client_id: int, post: Post) -> None:
    """The broker carries wake-ups only: its list is short, however many messages wait."""
    [trigger] = triggers("worker-send")
    if not is_postgresql():
        pytest.skip("KEDA asks PostgreSQL")
    waiting = [post() for _ in range(3)]
    post(send_at=datetime.now(UTC) + timedelta(hours=1))
    assert db.session.scalar(text(trigger["query"])) == len(waiting)
    deliver.deliver()
    assert db.session.scalar(text(trigger["query"])) == 0


def test_what_workers_wait_for_is_what_the_migration_brings(tmp_path: Path) -> None:
    [waiting] = pods()["waybill-worker-send"]["spec"]["initContainers"]
    shell, option, line = waiting["command"]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATABASE_URL": f"sqlite:///{tmp_path}/waiting.db",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PUBLIC_BASE_URL": "https://sms.example.com",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "unused",
    }
    waits = subprocess.Popen([shell, option, line], env=environment, cwd=ROOT)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            waits.wait(4)
        upgrade = ["flask", "--app", "service.app", "db", "upgrade"]
        subprocess.run(upgrade, env=environment, cwd=ROOT, check=True, capture_output=True)

        assert waits.wait(30) == 0
    finally:
        waits.kill()


# The documents


def test_the_secrets_that_the_manifests_want_are_those_that_the_document_makes() -> None:
    document = (ROOT / "docs" / "kubernetes.md").read_text()
    made = dict(
        re.findall(r"create secret generic ([\w-]+) (.+?)(?=\n\n|\n```|\nkubectl)", document, re.S)
    )
    keys = {name: set(re.findall(r"--from-literal=(\w+)=", rest)) for name, rest in made.items()}
    assert {key.lower() for key in keys["waybill"]} <= set(Settings.model_fields)
    [authentication] = of("TriggerAuthentication").values()
    wanted = {one["key"] for one in authentication["spec"]["secretTargetRef"]}
    assert keys["waybill-redis"] == wanted


def test_the_images_of_the_document_are_the_ones_that_are_deployed() -> None:
    [image] = kustomization(OVERLAY)["images"]
    assert f"{image['newName']}:{image['newTag']}" in (ROOT / "docs" / "kubernetes.md").read_text()
