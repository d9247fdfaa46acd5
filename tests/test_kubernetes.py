"""The manifests in deploy/kubernetes match the schemas, each other, and what the demo runs."""

import copy
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
from service.database import db
from service.inbox import stream_names
from service.queries.dialect import is_postgresql
from service.sending import deliver
from service.task_queue.queue import ROUTES
from tests.messages import Post
from tests.service.webhooks.owed import add_endpoints, owe_tests
from tests.test_deployment import DOCKERFILE, after, command, unplaced

ROOT = Path(__file__).parents[1]
BASE = ROOT / "deploy" / "kubernetes" / "base"
RABBITMQ = ROOT / "deploy" / "kubernetes" / "rabbitmq"
OVERLAY = ROOT / "deploy" / "kubernetes" / "production"
PROCESSES = tuple(COMMANDS)
WORKERS = [name for name in PROCESSES if name.startswith("worker-")]
# The oldest supported version of Kubernetes, and the newest whose schemas are installed.
VERSIONS = ("1.30.0", kubernetes_validate.latest_version())

Manifest = dict[str, Any]


def manifests(directory: Path) -> Iterator[Manifest]:
    """Yield every resource in the files that a kustomization lists."""
    names = kustomization(directory)["resources"]
    for file in (name for name in names if name.endswith(".yaml")):
        yield from yaml.safe_load_all((directory / file).read_text())


def kustomization(directory: Path) -> Manifest:
    content: Manifest = yaml.safe_load((directory / "kustomization.yaml").read_text())
    return content


RESOURCES = [*manifests(BASE), *manifests(OVERLAY)]
BUILT_IN = [item for item in RESOURCES if not item["apiVersion"].startswith("keda.sh")]


def title(resource: Manifest) -> str:
    return f"{resource['kind']} {resource['metadata']['name']}"


def of(kind: str) -> dict[str, Manifest]:
    return {item["metadata"]["name"]: item for item in RESOURCES if item["kind"] == kind}


def pods() -> dict[str, Manifest]:
    """Return the pod template of each deployment and job, by its name."""
    owners = {**of("Deployment"), **of("Job")}
    return {name: owner["spec"]["template"] for name, owner in owners.items()}


def containers() -> list[Manifest]:
    specs = [pod["spec"] for pod in pods().values()]
    return [*chain(*(spec["containers"] + spec.get("initContainers", []) for spec in specs))]


def container(process: str) -> Manifest:
    [only] = of("Deployment")[f"waybill-{process}"]["spec"]["template"]["spec"]["containers"]
    return dict(only)


every_process = pytest.mark.parametrize("process", PROCESSES)


# Schemas


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", BUILT_IN, ids=title)
def test_resource_matches_the_kubernetes_schema(resource: Manifest, version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_validation_notices_a_wrong_resource() -> None:
    web = of("Deployment")["waybill-web"]
    wrong = {**web, "spec": {**web["spec"], "replicaz": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("directory", [BASE, OVERLAY], ids=lambda path: path.name)
def test_kustomization_lists_every_file(directory: Path) -> None:
    content = kustomization(directory)
    names = {*content["resources"], *(patch["path"] for patch in content.get("patches", []))}
    files = {path.name for path in directory.glob("*.yaml")} - {"kustomization.yaml"}
    assert {name for name in names if name.endswith(".yaml")} == files
    assert all((directory / name).exists() for name in names)


def test_kustomize_output_matches_the_schemas() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    built = subprocess.run(
        ["kubectl", "kustomize", str(OVERLAY)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    resources = list(yaml.safe_load_all(built.stdout))
    kinds = {resource["kind"] for resource in resources}
    assert kinds >= {"ConfigMap", "Deployment", "Job", "ScaledObject"}
    for resource in resources:
        if not resource["apiVersion"].startswith("keda.sh"):
            kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)
        if resource["kind"] != "Namespace":
            assert resource["metadata"]["namespace"] == "waybill"
    assert set(re.findall(r"image: (\S+)", built.stdout)) == {deployed_image()}


def deployed_image() -> str:
    [image] = kustomization(OVERLAY)["images"]
    return f"{image['newName']}:{image['newTag']}"


# Processes


def test_every_process_has_a_deployment() -> None:
    assert set(of("Deployment")) == {f"waybill-{name}" for name in PROCESSES}


@every_process
def test_pod_runs_the_command_of_the_demo(process: str) -> None:
    assert unplaced(container(process)["command"]) == unplaced(COMMANDS[process])


def test_job_migrates_once_with_the_command_of_compose() -> None:
    [job] = of("Job").values()
    [migrate] = job["spec"]["template"]["spec"]["containers"]
    assert migrate["command"] == command("migrate")
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_workers_read_every_queue_under_unique_names() -> None:
    commands = [container(name)["command"] for name in WORKERS]
    queues = {queue for words in commands for queue in after("-Q", words).split(",")}
    assert queues == set(ROUTES.values())
    assert all("%h" in after("-n", words) for words in commands)


@every_process
def test_deployment_selects_its_own_pods(process: str) -> None:
    spec = of("Deployment")[f"waybill-{process}"]["spec"]
    labels = {"app.kubernetes.io/component": process}
    assert spec["selector"]["matchLabels"] == labels
    assert spec["template"]["metadata"]["labels"] == labels


def test_stopped_pod_can_finish_the_longest_send() -> None:
    fields = Settings.model_fields
    longest = fields["twilio_connect_timeout"].default + fields["twilio_read_timeout"].default
    for name in ("web", *WORKERS):
        pod = pods()[f"waybill-{name}"]["spec"]
        assert pod["terminationGracePeriodSeconds"] >= 2 * longest, name


def test_config_map_settings_exist_and_hold_no_secret() -> None:
    literals = [
        literal.partition("=")[0].lower()
        for directory in (BASE, OVERLAY)
        for literal in kustomization(directory)["configMapGenerator"][0]["literals"]
    ]
    assert set(literals) <= set(Settings.model_fields)
    secrets = {name for name, field in Settings.model_fields.items() if is_secret(field.annotation)}
    assert {"twilio_auth_token", "database_url", "redis_url", "metrics_token"} <= secrets
    assert not secrets & set(literals)


def is_secret(annotation: Any) -> bool:
    return "SecretStr" in str(annotation)


@every_process
def test_process_gets_config_map_and_secret(process: str) -> None:
    assert container(process)["envFrom"] == [
        {"configMapRef": {"name": "waybill"}},
        {"secretRef": {"name": "waybill"}},
    ]


# Security


@pytest.mark.parametrize("name", pods())
def test_pod_runs_as_the_unprivileged_user_of_the_image(name: str) -> None:
    spec = pods()[name]["spec"]
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert f"--uid {security['runAsUser']} " in DOCKERFILE
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["serviceAccountName"] in of("ServiceAccount")
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)


@pytest.mark.parametrize("spec", containers(), ids=lambda spec: spec["name"])
def test_container_is_read_only_and_has_limits(spec: Manifest) -> None:
    assert spec["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for kind in ("requests", "limits"):
        assert set(spec["resources"][kind]) == {"cpu", "memory"}


@pytest.mark.parametrize("name", pods())
def test_writable_volumes_are_in_memory_and_limited(name: str) -> None:
    volumes = {volume["name"]: volume["emptyDir"] for volume in pods()[name]["spec"]["volumes"]}
    assert all(volume["medium"] == "Memory" and volume["sizeLimit"] for volume in volumes.values())
    for spec in pods()[name]["spec"]["containers"]:
        mounts = {mount["mountPath"]: mount["name"] for mount in spec["volumeMounts"]}
        assert "/tmp" in mounts
        assert set(mounts.values()) == set(volumes)


def test_network_is_denied_by_default() -> None:
    specs = [policy["spec"] for policy in of("NetworkPolicy").values()]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in specs


def test_policies_select_existing_pods_and_open_ports() -> None:
    components = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods().values()
    }
    for policy in of("NetworkPolicy").values():
        selector = policy["spec"]["podSelector"]
        selected = set(selector.get("matchLabels", {}).values())
        for expression in selector.get("matchExpressions", []):
            selected |= set(expression["values"])
        assert selected <= components
        ports = [
            port["port"] for rule in policy["spec"].get("ingress", []) for port in rule["ports"]
        ]
        for component in selected if ports else ():
            open_ports = {port["name"] for port in container(component)["ports"]}
            assert set(ports) <= open_ports, component


def test_webhooks_reach_every_network_but_that_of_metadata() -> None:
    spec = of("NetworkPolicy")["waybill-webhooks"]["spec"]
    assert spec["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": "worker-webhooks"}
    [rule] = spec["egress"]
    assert "ports" not in rule
    blocks = {
        to["ipBlock"]["cidr"]: to["ipBlock"]["except"] for to in rule["to"] if "ipBlock" in to
    }
    assert "169.254.0.0/16" in blocks["0.0.0.0/0"]


def test_ingress_exposes_clients_and_providers_only() -> None:
    [ingress] = of("Ingress").values()
    [rule] = ingress["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/v1", "/callbacks", "/inbound"]
    for path in rule["http"]["paths"]:
        service = path["backend"]["service"]
        ports = of("Service")[service["name"]]["spec"]["ports"]
        assert service["port"]["name"] in {port["name"] for port in ports}


def test_service_selects_the_web_pods() -> None:
    [service] = of("Service").values()
    assert service["spec"]["selector"] == {"app.kubernetes.io/component": "web"}
    [port] = service["spec"]["ports"]
    assert port["targetPort"] in {entry["name"] for entry in container("web")["ports"]}


# Probes, disruptions, scale


@every_process
def test_probes_use_a_port_that_the_process_opens(process: str) -> None:
    spec = container(process)
    ports = {port["name"]: port["containerPort"] for port in spec["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert spec[probe]["httpGet"]["port"] in ports
    assert spec["livenessProbe"]["httpGet"]["path"] == "/healthz"
    settings = dict(
        literal.split("=", 1)
        for literal in kustomization(BASE)["configMapGenerator"][0]["literals"]
    )
    expected = after("--port", spec["command"]) if process == "web" else settings["METRICS_PORT"]
    assert [str(port) for port in ports.values()] == [expected]
    scraped = pods()[f"waybill-{process}"]["metadata"]["annotations"]["prometheus.io/port"]
    assert scraped == expected


def test_web_readiness_is_readyz() -> None:
    assert container("web")["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_only_workers_wait_for_the_migration() -> None:
    waiting = {name for name, pod in pods().items() if "initContainers" in pod["spec"]}
    assert waiting == {f"waybill-{name}" for name in WORKERS}


def test_disruption_budgets_leave_replicas_and_allow_drains() -> None:
    replicas = min_replicas()
    for name, budget in of("PodDisruptionBudget").items():
        spec = budget["spec"]
        assert spec["selector"]["matchLabels"] == {
            "app.kubernetes.io/component": name.removeprefix("waybill-")
        }
        assert 1 <= spec["maxUnavailable"] < replicas[name], name
    assert set(of("PodDisruptionBudget")) == {name for name, count in replicas.items() if count > 1}


def min_replicas() -> dict[str, int]:
    scaled = {
        item["spec"]["scaleTargetRef"]["name"]: item["spec"]["minReplicaCount"]
        for item in of("ScaledObject").values()
    }
    fixed = {
        name: item["spec"]["replicas"]
        for name, item in of("Deployment").items()
        if "replicas" in item["spec"]
    }
    assert not scaled.keys() & fixed.keys(), "each apply would reset the number that KEDA set"
    assert scaled.keys() | fixed.keys() == set(of("Deployment"))
    return {**scaled, **fixed}


# The metadata that each KEDA trigger requires, and which of it must be a number.
# https://keda.sh/docs/latest/scalers/redis-streams/ and .../redis-lists/
REQUIRED = {
    "redis": {"listName", "listLength"},
    "redis-streams": {"stream", "streamLength"},
    "postgresql": {"connectionFromEnv", "query", "targetQueryValue"},
}
NUMBERS = {"listLength", "streamLength", "targetQueryValue"}


@pytest.mark.parametrize("resource", of("ScaledObject").values(), ids=title)
def test_scaled_object_has_the_fields_of_keda(resource: Manifest) -> None:
    assert resource["apiVersion"] == "keda.sh/v1alpha1"
    spec = resource["spec"]
    assert set(spec) <= {
        *("scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval"),
        *("cooldownPeriod", "advanced", "triggers"),
    }
    assert 0 < spec["minReplicaCount"] < spec["maxReplicaCount"]
    for trigger in spec["triggers"]:
        assert set(trigger) <= {"type", "metadata", "authenticationRef"}
        assert set(trigger["metadata"]) == REQUIRED[trigger["type"]]
        assert all(
            trigger["metadata"][key].isdecimal() for key in NUMBERS & set(trigger["metadata"])
        )
        if trigger["type"] == "postgresql":  # read from the environment of the scaled container
            assert trigger["metadata"]["connectionFromEnv"].lower() in Settings.model_fields
        else:
            assert trigger["authenticationRef"]["name"] in of("TriggerAuthentication")


def triggers(process: str) -> list[Manifest]:
    scaled = of("ScaledObject")[f"waybill-{process}"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == f"waybill-{process}"
    return [trigger["metadata"] for trigger in scaled["triggers"]]


def test_status_workers_scale_by_inbox_and_queues() -> None:
    metadata = triggers("worker-status")
    queues = {entry["listName"] for entry in metadata if "listName" in entry}
    assert queues == set(after("-Q", container("worker-status")["command"]).split(","))
    streams = [entry["stream"] for entry in metadata if "stream" in entry]
    assert streams == [stream_names.FIRST]


def patched(resource: Manifest, file: str) -> Manifest:
    """Return a resource with the patch of a file; only what kustomize would do with ours."""
    changed: Manifest = copy.deepcopy(resource)
    for change in yaml.safe_load((RABBITMQ / file).read_text()):
        *path, last = change["path"].strip("/").split("/")
        place: Any = changed
        for key in path:
            place = place[int(key) if isinstance(place, list) else key]
        if change["op"] == "add":
            assert last == "-"
            place.append(change["value"])
            continue
        key = int(last) if isinstance(place, list) else last
        if change["op"] == "test":
            assert place[key] == change["value"]
        else:
            place[key] = change["value"]
    return changed


def test_with_rabbitmq_status_workers_scale_by_its_queues() -> None:
    scaled = patched(of("ScaledObject")["waybill-worker-status"], "scaling.yaml")
    types = {trigger["type"] for trigger in scaled["spec"]["triggers"]}
    found = [each["metadata"] for each in scaled["spec"]["triggers"] if each["type"] == "rabbitmq"]
    queues = {metadata["queueName"] for metadata in found}

    assert types == {"redis-streams", "rabbitmq"}
    assert queues == set(after("-Q", container("worker-status")["command"]).split(","))
    for metadata in found:  # https://keda.sh/docs/latest/scalers/rabbitmq-queue/
        assert set(metadata) == {"protocol", "hostFromEnv", "queueName", "mode", "value"}
        assert metadata["hostFromEnv"].lower() in Settings.model_fields


def test_with_rabbitmq_its_port_is_open() -> None:
    policy = patched(of("NetworkPolicy")["waybill-stores"], "network.yaml")
    kubernetes_validate.validate(policy, VERSIONS[-1], strict=True)
    assert {"protocol": "TCP", "port": 5672} in policy["spec"]["egress"][1]["ports"]


def test_rabbitmq_component_patches_existing_resources() -> None:
    content = kustomization(RABBITMQ)
    assert content["kind"] == "Component"
    for patch in content["patches"]:
        assert patch["target"]["name"] in of(patch["target"]["kind"])
        assert (RABBITMQ / patch["path"]).exists()


def test_send_workers_scale_by_messages_due(client_id: int, post: Post) -> None:
    """The Celery queue carries wake-ups only, so its length does not show the backlog."""
    [trigger] = triggers("worker-send")
    if not is_postgresql():
        pytest.skip("KEDA queries PostgreSQL")
    due = [post() for _ in range(3)]
    post(send_at=datetime.now(UTC) + timedelta(hours=1))
    assert db.session.scalar(text(trigger["query"])) == len(due)
    deliver.deliver()
    assert db.session.scalar(text(trigger["query"])) == 0


def test_webhooks_workers_scale_by_due_deliveries(client_id: int) -> None:
    [trigger] = triggers("worker-webhooks")
    if not is_postgresql():
        pytest.skip("KEDA queries PostgreSQL")
    now = datetime.now(UTC)
    url = "https://hooks.example.com"
    [working] = add_endpoints(client_id, [url])
    [disabled] = add_endpoints(client_id, [url], disabled_at=now)
    [failing] = add_endpoints(client_id, [url], failing_since=now)
    for endpoint_id in (working, working, disabled, failing):
        owe_tests(client_id, endpoint_id)
    assert db.session.scalar(text(trigger["query"])) == 2


@pytest.mark.slow
def test_init_container_ends_after_the_migration(tmp_path: Path) -> None:
    [init] = pods()["waybill-worker-send"]["spec"]["initContainers"]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATABASE_URL": f"sqlite:///{tmp_path}/waiting.db",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PUBLIC_BASE_URL": "https://sms.example.com",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "unused",
    }
    process = subprocess.Popen(init["command"], env=environment, cwd=ROOT)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(4)
        subprocess.run(
            command("migrate"), env=environment, cwd=ROOT, check=True, capture_output=True
        )

        assert process.wait(30) == 0
    finally:
        process.kill()


# docs/kubernetes.md


def test_document_creates_the_secrets_that_manifests_use() -> None:
    document = (ROOT / "docs" / "kubernetes.md").read_text()
    commands = re.findall(
        r"create secret generic ([\w-]+) (.+?)(?=\n\n|\n```|\nkubectl)", document, re.DOTALL
    )
    keys = {name: set(re.findall(r"--from-literal=(\w+)=", rest)) for name, rest in commands}
    assert {key.lower() for key in keys["waybill"]} <= set(Settings.model_fields)
    [authentication] = of("TriggerAuthentication").values()
    used = {entry["key"] for entry in authentication["spec"]["secretTargetRef"]}
    assert keys["waybill-redis"] == used


def test_document_builds_the_deployed_image() -> None:
    assert deployed_image() in (ROOT / "docs" / "kubernetes.md").read_text()
