"""The bus: one port, three backends (memory, PostgreSQL, Kafka), one contract suite."""
