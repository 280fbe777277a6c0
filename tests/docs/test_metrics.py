from prometheus_client.metrics import MetricWrapperBase

from core.metrics import Metrics
from tests.docs.pages import bare, page, rows


def test_every_metric_is_documented_with_kind_and_labels() -> None:
    declared = {
        _exposed(metric): (metric._type, metric._labelnames)
        for metric in vars(Metrics()).values()
        if isinstance(metric, MetricWrapperBase)
    }
    documented = {
        bare(row[0]): (
            row[1],
            tuple(bare(label) for label in row[2].split(", ") if label),
        )
        for row in rows(page("docs/metrics.md"))
    }
    assert documented == declared


def _exposed(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else metric._name
