"""The dialects there are, by the kind of source."""

from collections.abc import Mapping

from ingest.reconcile import shopify, woocommerce
from ingest.reconcile.dialect import Dialect

DIALECTS: Mapping[str, Dialect] = {"shopify": shopify.DIALECT, "woocommerce": woocommerce.DIALECT}
