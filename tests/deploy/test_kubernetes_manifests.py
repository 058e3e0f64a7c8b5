"""deploy/k8s renders, keeps to the schemas of Kubernetes, and agrees with the gateway that it runs."""

import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from gateway import settings
from tests.support import kubernetes_schemas, manifests, tools
from tests.support.manifests import K8S, Object, containers, named

COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
OVERLAYS = ("dev", "prod")
CLIENT_VARIABLES = {"GATEWAY_GRPC_TARGET", "GATEWAY_INSECURE"}
SETTLE_S = 15

# kube-score's findings that are choices here.
CHOSEN = (
    "container-resources",  # no CPU limit: throttling shows in every token; the rest is checked below
    "container-image-pull-policy",  # images are pinned by version
)


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> list[Object]:
    """The objects of an overlay."""
    return manifests.objects(manifests.text(K8S / "overlays" / request.param))


@pytest.fixture(scope="module")
def base() -> list[Object]:
    """The objects of the base."""
    return manifests.objects(manifests.text(K8S / "base"))


def conforms(yaml: str) -> None:
    """kubeconform finds nothing to complain about, and no kind without a schema."""
    command = [tools.go_tool("kubeconform"), "-summary", "-schema-location", kubernetes_schemas.location(), "-"]
    done = subprocess.run(command, input=yaml, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


@pytest.mark.full  # builds kubeconform
@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_keeps_to_the_schemas(name: str) -> None:
    """Every object is one that the API server would take, unknown fields refused."""
    conforms(manifests.text(K8S / "overlays" / name))


@pytest.mark.full  # builds kubeconform
@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_works_on_the_base_alone(name: str, tmp_path: Path) -> None:
    """Each is optional, so each renders and conforms without the others."""
    conforms(manifests.text(manifests.with_components(tmp_path, [name])))


@pytest.mark.full  # builds kubeconform
def test_the_schemas_refuse_what_is_wrong() -> None:
    """A field of a wrong name and a word for a number are found, so the checks above can fail."""
    yaml = manifests.text(K8S / "base")
    for wrong in (
        yaml.replace("minReplicas:", "minReplica:"),
        yaml.replace("maxReplicas: 10", "maxReplicas: ten"),
    ):
        with pytest.raises(AssertionError):
            conforms(wrong)


@pytest.mark.full  # the first run compiles a tool of Go for a minute
@pytest.mark.parametrize("name", OVERLAYS)
def test_the_policies_of_kube_score_are_kept(name: str) -> None:
    """Nothing critical, but for what was chosen otherwise, with the reason."""
    ignored = [word for test in CHOSEN for word in ("--ignore-test", test)]
    command = [tools.go_tool("kube-score"), "score", "--output-format", "ci", *ignored, "-"]
    done = subprocess.run(
        command, input=manifests.text(K8S / "overlays" / name), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if "CRITICAL" in line)


def test_the_grace_of_the_pod_outlasts_the_drain(base: list[Object]) -> None:
    """Kubernetes kills only after the gateway has waited, drained and settled."""
    loaded = settings.load(str(K8S / "base" / "gateway.toml"), {})
    grace = named(base, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace == loaded.grpc.drain_wait_s + loaded.grpc.drain_grace_s + SETTLE_S


def test_the_gateway_listens_where_the_manifests_say(base: list[Object]) -> None:
    """The ports of the container are those of the configuration file."""
    loaded = settings.load(str(K8S / "base" / "gateway.toml"), {})
    listening = {
        name: int(address.rpartition(":")[2])
        for name, address in (
            ("grpc", loaded.grpc.address),
            ("http", loaded.http.address),
            ("metrics", loaded.metrics.address),
        )
    }
    (container,) = (container for _, container in containers(base))
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == listening


def test_a_drain_is_never_cut_short_by_a_probe(base: list[Object]) -> None:
    """Liveness asks whether the process lives, which it does while it drains; readiness says no at once."""
    (container,) = (container for _, container in containers(base))
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["startupProbe"]["grpc"]["port"] == 50051


def test_containers_run_with_the_least(overlay: list[Object]) -> None:
    """No root, no capability, nothing to write but their volumes, no token of the API server."""
    for pod, container in containers(overlay):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"] and "cpu" in container["resources"]["requests"]


def test_replicas_follow_the_load(base: list[Object]) -> None:
    """2 to 10 by 70 % of CPU, and down no faster than the longest turn."""
    spec = named(base, "HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 10)
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 900
    assert "replicas" not in named(base, "Deployment")["spec"]


def selects(selector: Object, labels: Object) -> bool:
    """Whether a selector means pods with these labels."""
    return selector.items() <= labels.items()


def test_every_selector_means_the_gateways(base: list[Object]) -> None:
    """Services, budget, policy and spread select the pods of the Deployment."""
    template = named(base, "Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"]
    found = [
        named(base, "Service")["spec"]["selector"],
        named(base, "Service", "gateway-headless")["spec"]["selector"],
    ]
    found += [named(base, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
    found += [named(base, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    found += [rule["labelSelector"]["matchLabels"] for rule in template["spec"]["topologySpreadConstraints"]]
    assert all(selects(selector, labels) for selector in found)
    assert named(base, "Service", "gateway-headless")["spec"]["clusterIP"] == "None"


def test_nothing_inside_is_reached_from_a_gateway(base: list[Object]) -> None:
    """Out go DNS and HTTPS to public addresses; private networks and the metadata address are left out."""
    dns, web = named(base, "NetworkPolicy")["spec"]["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert [port["port"] for port in web["ports"]] == [443]
    excepted = web["to"][0]["ipBlock"]["except"]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"} <= set(excepted)


def known_variables() -> set[str]:
    """Every variable that the gateway reads."""
    names = set(CLIENT_VARIABLES)
    for section, shape in settings.SECTIONS.items():
        names |= {f.metadata.get("env") or f"GATEWAY_{section}_{f.name}".upper() for f in fields(shape)}
    return names


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_variable_is_one_that_the_gateway_reads(name: str, tmp_path: Path) -> None:
    """A misspelt one would be passed over in silence; one that is no setting is part of another's value."""
    found = manifests.objects(manifests.text(manifests.with_components(tmp_path, [name])))
    own = [container for _, container in containers(found) if container["image"].startswith("inference-gateway")]
    variables = [variable for container in own for variable in container.get("env", [])]
    parts = set(re.findall(r"\$\((\w+)\)", " ".join(variable.get("value", "") for variable in variables)))
    assert {variable["name"] for variable in variables} - parts - known_variables() == set()


@pytest.mark.parametrize("name", ["redis", "postgresql"])
def test_a_password_stands_before_the_address_it_is_part_of(name: str, tmp_path: Path) -> None:
    """Kubernetes fills `$(NAME)` in only from variables that are named earlier."""
    found = manifests.objects(manifests.text(manifests.with_components(tmp_path, [name])))
    for _, container in containers(found):
        seen: set[str] = set()
        for variable in container.get("env", []):
            assert set(re.findall(r"\$\((\w+)\)", variable.get("value", ""))) <= seen
            seen.add(variable["name"])


@pytest.mark.parametrize("name", ["redis", "postgresql"])
def test_a_server_beside_the_gateways_is_theirs_alone(name: str, tmp_path: Path) -> None:
    """Its Service, its policy and the gateways' way out mean its pods, and only gateways come in."""
    found = manifests.objects(manifests.text(manifests.with_components(tmp_path, [name])))
    labels = named(found, "StatefulSet", f"gateway-{name}")["spec"]["template"]["metadata"]["labels"]
    policy = named(found, "NetworkPolicy", f"gateway-{name}")["spec"]
    way_out = named(found, "NetworkPolicy")["spec"]["egress"][-1]
    assert selects(named(found, "Service", f"gateway-{name}")["spec"]["selector"], labels)
    assert selects(policy["podSelector"]["matchLabels"], labels)
    assert selects(way_out["to"][0]["podSelector"]["matchLabels"], labels)
    (only,) = policy["ingress"]
    callers = named(found, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert selects(only["from"][0]["podSelector"]["matchLabels"], callers)
    assert "egress" not in policy and policy["policyTypes"] == ["Ingress", "Egress"]


def test_no_image_floats() -> None:
    """Every image has a version."""
    for name in OVERLAYS:
        images = re.findall(r"^\s+image: (.+)$", manifests.text(K8S / "overlays" / name), re.MULTILINE)
        assert images and all(re.fullmatch(r"[a-z-]+:\d+\.\d+(\.\d+)?", image) for image in images)
