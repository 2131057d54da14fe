"""The connectors there are, by kind."""

from collections.abc import Mapping
from typing import Any

from ingest.connectors import aftership, douyin, kdniao, kuaidi100, pinduoduo, shopify, taobao, woocommerce, youzan
from ingest.connectors.port import Connector

CONNECTORS: Mapping[str, Connector[Any]] = {
    module.CONNECTOR.kind: module.CONNECTOR
    for module in (aftership, douyin, kdniao, kuaidi100, pinduoduo, shopify, taobao, woocommerce, youzan)
}
