"""Every metric of the house, its meaning above it and its unit in its name. Label values are from bounded sets."""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call] # else every series has a second one nobody reads

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_MICRO = (0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_LATE = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 3_600, 21_600, 86_400)

# Web. `route` is the template ("/v1/accounts/{id}"), never the path that was asked for.
# Requests answered; status 499 when the client left before its answer.
HTTP_REQUESTS = Counter("regulars_http_requests_total", "Requests answered.", ("route", "method", "status"))
# From a request's head to the end of its answer.
HTTP_SECONDS = Histogram("regulars_http_request_seconds", "Per request.", ("route", "method"), buckets=_SECONDS)

# Requests refused with 429, by the limit that refused them: key, source, address.
HTTP_LIMITED = Counter("regulars_http_limited_requests_total", "Requests over a limit.", ("limit",))

# Ingest.
# Events by the door they came by (api, cloudevents, segment, or a platform's connector) and by what became of them:
# accepted, duplicate, rejected.
INGEST_EVENTS = Counter("regulars_ingest_events_total", "Events received.", ("connector", "outcome"))
# Rejected events by door and class of reason: malformed, unknown_type, unknown_shop, bad_time, bad_customer,
# no_customer, invalid_field.
INGEST_REJECTIONS = Counter("regulars_ingest_rejections_total", "Events rejected.", ("connector", "reason"))
# Sound messages that no event of ours tells of, by the connector that read them and their kind: track, group, alias.
INGEST_IGNORED = Counter("regulars_ingest_ignored_messages_total", "Messages ignored.", ("connector", "kind"))
# How many events share one group commit, and how long it takes.
INGEST_FLUSH_EVENTS = Histogram("regulars_ingest_flush_events", "Per group commit.", buckets=_EVENTS)
INGEST_FLUSH_SECONDS = Histogram("regulars_ingest_flush_seconds", "Per group commit.", buckets=_SECONDS)
# Platforms' calls that are taken for nothing: without a signature of the source's, and sent too long ago.
HOOK_SIGNATURE_FAILURES = Counter("regulars_ingest_hook_signature_failures_total", "Calls.", ("connector",))
HOOK_STALE = Counter("regulars_ingest_hook_stale_total", "Calls out of their time.", ("connector",))
# Of asking platforms for what webhooks missed: polls by how they ended (complete, failed), events that no webhook had
# brought by then, and since when the source furthest behind has not been asked in full.
POLLS = Counter("regulars_ingest_polls_total", "Polls.", ("connector", "outcome"))
POLL_EVENTS = Counter("regulars_ingest_poll_events_total", "Events found by polling.", ("connector",))
POLL_LAG_SECONDS = Gauge("regulars_ingest_poll_lag_seconds", "Since the last complete poll.")
# Connections of ours to platforms that call nobody: opened, lost after that, failed before.
FEED_CONNECTIONS = Counter("regulars_ingest_feed_connections_total", "Made and lost.", ("connector", "outcome"))
# People who turned out to be one; and names that led to two people who were not made one, by the kind of the name.
INGEST_MERGES = Counter("regulars_ingest_merges_total", "Merges of two people.")
INGEST_IDENTITY_CONFLICTS = Counter("regulars_ingest_identity_conflicts_total", "Names of two people.", ("kind",))
for _kind in ("buyer", "card", "open_id", "anonymous", "phone", "email", "order"):  # at 0 from the start
    INGEST_IDENTITY_CONFLICTS.labels(_kind)

# The road. `service` is one of the five.
# Events read, those that the service does not heed among them; facts they led to (`type` is the fact's, such as
# points.earned); and alarms that went off.
ROAD_EVENTS = Counter("regulars_road_events_total", "Events read.", ("service",))
ROAD_FACTS = Counter("regulars_road_facts_total", "Facts stated.", ("service", "type"))
ROAD_TIMERS = Counter("regulars_road_timers_total", "Alarms.", ("service",))
# How many events share one transaction, and how long it takes.
ROAD_BATCH_EVENTS = Histogram("regulars_road_batch_events", "Per batch.", ("service",), buckets=_EVENTS)
ROAD_BATCH_SECONDS = Histogram("regulars_road_batch_seconds", "Per batch.", ("service",), buckets=_SECONDS)
# From an event's receipt at the edge to its decision, for the last live event of the last batch.
ROAD_LAG_SECONDS = Gauge("regulars_road_lag_seconds", "Behind the edge.", ("service",))
# Messages and timers that could not be decoded or decided; `topic` is where they came from.
ROAD_DEAD_LETTERS = Counter("regulars_road_dead_letters_total", "Dead letters.", ("service", "topic"))
# Transactions given up because the partition is another consumer's by now.
ROAD_FENCED = Counter("regulars_road_fenced_transactions_total", "Transactions fenced off.", ("service",))
# From a timer's due time to its decision; no result depends on it.
ROAD_TIMER_SECONDS = Histogram("regulars_road_timer_lateness_seconds", "Per timer.", ("service",), buckets=_LATE)
# Age of the watermark up to which alarms may go off, for the partition furthest behind.
ROAD_WATERMARK_SECONDS = Gauge("regulars_road_watermark_age_seconds", "Behind now.", ("service",))
# Times alarms went off although a source had been silent for longer than the patience.
ROAD_PATIENCE_USED = Counter("regulars_road_patience_used_total", "Waits given up.", ("service",))

# Outbox relay.
# Rows handed to Kafka.
RELAY_ROWS = Counter("regulars_relay_published_rows_total", "Rows published.", ("service",))
# For how long the oldest row that is not in Kafka yet has been waiting, as far back as this process saw it; 0 when none
# waits, and on PostgreSQL, where rows are published by their commit.
RELAY_OLDEST = Gauge("regulars_relay_oldest_unpublished_seconds", "Waiting.", ("service",))

# Segmentation. `segment` is one of at most 150 names in a shop, or (others).
# How many are in a segment, and how often somebody came (direction: entered) and went (left).
SEGMENT_MEMBERS = Gauge("regulars_segmentation_members", "Customers.", ("shop", "segment"))
SEGMENT_MOVES = Counter("regulars_segmentation_moves_total", "Moves.", ("shop", "segment", "direction"))
# What deciding one event or timer of a customer costs: the profile moved on, models and rules asked that it touches.
SEGMENT_DECISION = Histogram("regulars_segmentation_decision_seconds", "Per decision.", buckets=_MICRO)

# Services.
# Of edited segments: customers that back-fills have yet to look at, and those that were told to look again.
BACKFILL_LEFT = Gauge("regulars_segmentation_backfill_left_customers", "To be looked at.")
BACKFILL_TOLD = Counter("regulars_segmentation_backfill_told_customers_total", "Told to look again.")
BACKFILL_BEHIND = Counter("regulars_segmentation_backfill_behind_customers_total", "Still not asked when it ended.")
# Messages to people; `outcome` is sent, failed, in_doubt or suppressed.
NOTIFIER_MESSAGES = Counter("regulars_notifier_messages_total", "Messages.", ("channel", "outcome"))
