"""Reads what people write as YAML: as the language has it, and every key of a mapping once."""

from typing import Any

import yaml


def read_yaml(text: str) -> Any:
    """The plain values that the text says. Raises yaml.YAMLError, with the line, for one key twice too: PyYAML would
    take the last, and the other would be lost without a word."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe one


class _Loader(yaml.SafeLoader):
    """Looks where a mapping is composed: later `<<` has put into it what may be said again."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.composer.ComposerError(None, None, f"{key.value!r} is there twice", key.start_mark)
                seen.add((key.tag, key.value))
        return node
