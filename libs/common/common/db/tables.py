"""The tables that every service has in its own schema, as DDL for its first migration.

A published version of these statements is never edited: what comes later is `road_v2`, in a new migration.
"""

from common.contracts.topics import Topic

READERS = "regulars_readers"  # the group role of all services: may read each other's topics, nothing else


def view_of(topic: str) -> str:
    """Where a topic is read on the PostgreSQL bus: `ingest.events.v1` is the view `ingest.events_v1`."""
    schema, _, name = topic.partition(".")
    return f"{schema}.{name.replace('.', '_')}"


def road_v1(owned: tuple[Topic, ...]) -> tuple[str, ...]:
    """States, marks, outbox, readers, dead letters; and a view per owned topic, granted to its readers."""
    views: list[str] = []
    for topic in owned:
        view = view_of(topic.name)
        views.append(f"CREATE VIEW {view} AS SELECT part, xid, id, key, body FROM outbox WHERE topic = '{topic.name}'")
        if not topic.work:
            views.append(f"GRANT SELECT ON {view} TO {READERS}")
    return (
        # body: the JSON of decision.Stored. wake_at: when its earliest timer is due (the alarm clock).
        """CREATE TABLE states (
            shop_id text, customer_id text, part smallint NOT NULL, body json NOT NULL, wake_at timestamptz,
            PRIMARY KEY (shop_id, customer_id)) WITH (fillfactor = 80)""",
        "CREATE INDEX states_wake ON states (part, wake_at) WHERE wake_at IS NOT NULL",
        # The last sequence applied of each partition read; moved in the transaction that applied it.
        """CREATE TABLE marks (
            topic text, part smallint, xid xid8 NOT NULL, id bigint NOT NULL,
            PRIMARY KEY (topic, part)) WITH (fillfactor = 50)""",
        """CREATE TABLE outbox (
            topic text, part smallint, xid xid8 DEFAULT pg_current_xact_id(), id bigint GENERATED ALWAYS AS IDENTITY,
            key text NOT NULL, body bytea NOT NULL, PRIMARY KEY (topic, part, xid, id))""",
        # How far the relay to Kafka has published the outbox.
        """CREATE TABLE readers (
            reader text, topic text, part smallint, xid xid8 NOT NULL, id bigint NOT NULL,
            PRIMARY KEY (reader, topic, part)) WITH (fillfactor = 50)""",
        """CREATE TABLE dead_letters (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shop_id text, topic text NOT NULL, key text NOT NULL,
            body bytea NOT NULL, path text NOT NULL, reason text NOT NULL, at timestamptz NOT NULL,
            replayed_at timestamptz)""",
        *views,
    )
