"""The connectors there are, by kind."""

from collections.abc import Mapping
from typing import Any

from ingest.connectors import aftership, kdniao, kuaidi100, shopify, woocommerce
from ingest.connectors.port import Connector

CONNECTORS: Mapping[str, Connector[Any]] = {
    module.CONNECTOR.kind: module.CONNECTOR for module in (aftership, kdniao, kuaidi100, shopify, woocommerce)
}
