"""The catalogue of metrics: names, units and labels follow one rule."""

import re

from prometheus_client import Counter, Gauge, Histogram

from common.telemetry import metrics

CATALOGUE = {name: metric for name, metric in vars(metrics).items() if isinstance(metric, Counter | Gauge | Histogram)}
LABELS = {"connector", "kind", "limit", "route", "method", "status", "outcome", "reason", "service", "topic", "channel"}
LABELS |= {"type", "shop", "segment", "direction"}  # of segments, the 150 first of a shop
WITHOUT_UNIT = {"regulars_road_lag_seconds", "regulars_segmentation_members", "regulars_segmentation_moves_total"}
PARTS = "http|ingest|road|relay|segmentation|notifier"


def test_every_name_tells_part_thing_and_unit() -> None:
    assert len(CATALOGUE) == 36
    for metric in CATALOGUE.values():
        name = next(iter(metric.describe())).name + ("_total" if isinstance(metric, Counter) else "")
        unit = "total" if isinstance(metric, Counter) else "seconds|events|customers"
        assert re.fullmatch(rf"regulars_({PARTS})_[a-z_]+_({unit})", name) or name in WITHOUT_UNIT, name


def test_labels_are_from_bounded_sets() -> None:
    assert {label for metric in CATALOGUE.values() for label in metric._labelnames} == LABELS
