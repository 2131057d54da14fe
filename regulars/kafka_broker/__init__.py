"""A real Kafka broker without Docker: Apache Kafka from its Maven artifacts, one node or three."""

from regulars.kafka_broker.cluster import KafkaCluster
from regulars.kafka_broker.failed import KafkaFailed, KafkaUnavailable
from regulars.kafka_broker.node import brokers_at
from regulars.kafka_broker.provide import cache_folder, find_java, missing, provide

__all__ = [
    "KafkaCluster",
    "KafkaFailed",
    "KafkaUnavailable",
    "brokers_at",
    "cache_folder",
    "find_java",
    "missing",
    "provide",
]
