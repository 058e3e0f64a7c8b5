"""Alerts and dashboard ask for metrics that the gateway has, with labels and values that it gives them."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from gateway.domain.errors import Reason
from gateway.domain.events import Finish
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.upstreams import UpstreamCollector
from tests.support import manifests, tools

MONITORING = manifests.K8S / "components" / "monitoring"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
ALERTS = (MONITORING / "alerts.yaml").read_text("utf-8")
CASES = Path(__file__).with_name("alert_cases.yaml")
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
OF_THE_CLUSTER = {"container_memory_working_set_bytes", "kube_pod_container_resource_limits"}
OF_THE_SCRAPE = {"instance", "namespace", "pod", "container", "resource", "le"}
OPEN = "open"  # a turn that ended without a receipt's end


def known() -> dict[str, set[str]]:
    """Every series of the real registry, with its labels."""
    metrics = Metrics()
    # What belongs together has an object of its own on the page.
    parts = [metrics, *(part for name, part in vars(metrics).items() if not name.startswith("_"))]
    wrappers = [value for part in parts for value in vars(part).values() if isinstance(value, MetricWrapperBase)]
    series: dict[str, set[str]] = {}
    for wrapper in wrappers:
        (family,) = wrapper.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        for suffix in SUFFIXES[family.type]:
            series[name + suffix] = set(wrapper._labelnames)
    # Those of the upstreams are made for each page anew.
    for made in UpstreamCollector(tuple).collect():
        series[made.name] = set(made._labelnames)
    return series


KNOWN = known()
PANELS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
RULES = re.findall(r"expr: (?:\|\n)?((?: {12}.*\n)+|.*\n)", ALERTS)
QUERIES = [*PANELS, *RULES]


def test_the_page_of_metrics_has_these_series() -> None:
    """What is taken for the registry here is what Prometheus gets to see."""
    metrics = Metrics()
    metrics.upstreams.watch(tuple)
    page = metrics.page().decode()
    assert {name for name in KNOWN if not re.search(rf"^# HELP {name.removesuffix('_bucket')}\b", page, re.M)} <= {
        name for name in KNOWN if name.endswith(("_sum", "_count"))
    }
    assert len(KNOWN) > 15


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_query_asks_for_metrics_that_exist(query: str) -> None:
    """Every name is a series of the gateway's registry, or one of the two of the cluster's."""
    names = set(re.findall(r"\b(?:gateway|container|kube)_[a-z_]+", query))
    assert names
    assert names - set(KNOWN) - OF_THE_CLUSTER == set()


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_query_uses_labels_that_its_metrics_have(query: str) -> None:
    """Selectors and groups name labels of the metrics they are about, or those of the scrape."""
    for name, selector in re.findall(r"\b(gateway_[a-z_]+)\{([^}]*)\}", query):
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector)) <= KNOWN[name] | OF_THE_SCRAPE
    groups = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
    labels = set().union(*(KNOWN[name] for name in re.findall(r"\bgateway_[a-z_]+", query)))
    assert groups <= labels | OF_THE_SCRAPE


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_query_names_values_that_occur(query: str) -> None:
    """Every finish and every reason of a selector is one that the gateway writes."""
    finishes = {finish.name.lower() for finish in Finish} | {OPEN}
    for operator, value in re.findall(r'finish(=~|!=|=)"([^"]*)"', query):
        assert set(value.split("|") if operator == "=~" else [value]) <= finishes
    for _, value in re.findall(r'reason(=~|!=|=)"([^"]*)"', query):
        for pattern in filter(None, re.split(r"\|(?![^(]*\))", value)):
            assert any(re.fullmatch(pattern, reason) for reason in Reason)


def test_every_alert_says_what_to_do() -> None:
    """Whoever is woken reads a sentence and an action, and how urgent it is."""
    names = re.findall(r"- alert: (\w+)", ALERTS)
    assert len(names) == len(set(names)) == ALERTS.count("action: ") == ALERTS.count("summary: ")
    assert len(names) == len(re.findall(r"labels: \{ severity: (?:warning|critical) \}", ALERTS))


def test_every_alert_has_been_seen_to_fire() -> None:
    """There is a case for each, so none is a query that can never be true."""
    fired = CASES.read_text("utf-8").partition("not well")[2]
    assert [name for name in re.findall(r"- alert: (\w+)", ALERTS) if name not in fired] == []


@pytest.mark.full  # the first run compiles a tool of Go for a minute
def test_the_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """promtool evaluates the rules over written series, well and not well."""
    promtool = tools.command("promtool", "prometheus")
    groups = subprocess.run(
        [tools.go_tool("yq"), ".spec", str(MONITORING / "alerts.yaml")], capture_output=True, text=True, check=True
    )
    (tmp_path / "rules.yaml").write_text(groups.stdout, encoding="utf-8")
    (tmp_path / "cases.yaml").write_text(CASES.read_text("utf-8"), encoding="utf-8")
    for words in (["check", "rules", "rules.yaml"], ["test", "rules", "cases.yaml"]):
        done = subprocess.run([promtool, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_can_be_imported() -> None:
    """Panels have ids and places of their own, a unit, a sentence, and the data source that the reader chooses."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert all(panel["description"].endswith(".") for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${source}"}
