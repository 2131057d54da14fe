"""YAML that people write: a key that stands twice is a fault with its line."""

from zoneinfo import ZoneInfo

import pytest
import yaml

from common.contracts.envelope import Rejection
from segmentation.presets.segment_files import parse_segments
from segmentation.presets.written import read_yaml

TWICE = "segment: s\nin:\n  count: visit\n  op: gte\n  value: 1\n  value: 2\n"


def test_a_key_that_stands_twice_is_told_with_its_line() -> None:
    with pytest.raises(yaml.YAMLError, match=r"(?s)'value' is there twice.*line 6,"):
        read_yaml(TWICE)
    with pytest.raises(yaml.YAMLError, match=r"(?s)'value' is there twice.*line 1,"):
        read_yaml('{value: 1, "value": 2}')


def test_what_is_merged_may_be_said_again() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b, y: 3}\nd: [{x: 1}, {x: 2}]\n"
    assert read_yaml(text) == yaml.safe_load(text)


def test_a_preset_s_segments_are_read_so() -> None:
    (fault,) = parse_segments("- segment: s\n  segment: t\n", ZoneInfo("UTC"))
    assert isinstance(fault, Rejection)
    assert "'segment' is there twice" in fault.reason
