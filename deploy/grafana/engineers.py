"""The board of who runs the machines: the road, ingest and relay, requests, processes."""

from deploy.grafana.panels import (
    RATE,
    Board,
    Panel,
    Query,
    graph,
    largest,
    middle_and_tail,
    number,
    per_second,
    quantile,
    share,
)

ASKED = '{route!~"/health/.*|/metrics"}'  # by people and programs; probes and scrapes are not that
FAILED = '{status=~"5..", route!~"/health/.*|/metrics"}'
HERE = '{job=~"$job"}'
COMMIT = "regulars_ingest_flush_events"

ENGINEERS = Board(
    "regulars-engineers",
    "Regulars: the engine",
    "now-1h",
    (
        (
            "In this time",
            (
                Panel("Processes up", "That answer now.", (Query("", f"sum(up{HERE})"),), kind="stat"),
                number("Read", "Events, by all services together.", "regulars_road_events_total"),
                number("Alarms", "Customers woken by a timer.", "regulars_road_timers_total"),
                number("Dead letters", "Not to be decoded or decided.", "regulars_road_dead_letters_total"),
                number("Fenced", "Given up to another consumer.", "regulars_road_fenced_transactions_total"),
                number("Patience used", "Timers let go by the clock.", "regulars_road_patience_used_total"),
            ),
        ),
        (
            "The road",
            (
                graph("Events read", "A second.", per_second("regulars_road_events_total", "service"), "ops"),
                graph(
                    "Lag",
                    "From an event's receipt to its decision; 0 when there is nothing left to read.",
                    largest("regulars_road_lag_seconds", "service"),
                    "s",
                ),
                graph(
                    "Age of the watermark",
                    "Timers wait for it. Ticks keep it at about a second, at rest as well.",
                    largest("regulars_road_watermark_age_seconds", "service"),
                    "s",
                ),
                graph(
                    "Batches",
                    "How long one transaction takes: fence, load, decide, save, commit.",
                    middle_and_tail("regulars_road_batch_seconds", "service"),
                    "s",
                ),
                graph(
                    "Events in a batch",
                    "Large ones mean that there is more to read than one batch holds: a lag is about to begin.",
                    middle_and_tail("regulars_road_batch_events", "service"),
                ),
                graph("Facts", "Stated a second.", per_second("regulars_road_facts_total", "service"), "ops"),
                graph(
                    "Lateness of timers",
                    "From due to decided. What they do is the same, however late.",
                    middle_and_tail("regulars_road_timer_lateness_seconds", "service"),
                    "s",
                ),
                graph(
                    "Alarms", "Customers woken a second.", per_second("regulars_road_timers_total", "service"), "ops"
                ),
                graph(
                    "Dead letters, fences, lost patience",
                    "Since each process started.",
                    (
                        Query("{{service}} {{topic}}", "sum by (service, topic) (regulars_road_dead_letters_total)"),
                        Query("{{service}} fenced", "sum by (service) (regulars_road_fenced_transactions_total)"),
                        Query("{{service}} patience", "sum by (service) (regulars_road_patience_used_total)"),
                    ),
                ),
            ),
        ),
        (
            "Ingest and relay",
            (
                graph(
                    "Group commits",
                    "How long one takes; every sender waits for one.",
                    middle_and_tail("regulars_ingest_flush_seconds"),
                    "s",
                ),
                graph(
                    "Events in a commit",
                    "On average.",
                    Query("events", f"sum(rate({COMMIT}_sum[{RATE}])) / sum(rate({COMMIT}_count[{RATE}]))"),
                ),
                graph(
                    "Rows handed to Kafka",
                    "A second, ticks included.",
                    per_second("regulars_relay_published_rows_total", "service"),
                    "ops",
                ),
                graph(
                    "Oldest row not in Kafka yet",
                    "How long it has been waiting; 0 when none waits, and where PostgreSQL is the bus.",
                    largest("regulars_relay_oldest_unpublished_seconds", "service"),
                    "s",
                ),
            ),
        ),
        (
            "Requests, without probes and scrapes",
            (
                graph(
                    "Requests",
                    "A second.",
                    per_second(f"regulars_http_requests_total{ASKED}", "job", "status"),
                    "reqps",
                ),
                graph(
                    "Time to answer",
                    "What 1 in 100 exceeds.",
                    quantile(f"regulars_http_request_seconds{ASKED}", 99, "method", "route"),
                    "s",
                ),
                graph(
                    "Over a limit",
                    "Answered 429, a second, by limit: of a key, of a source, of an address that is wrong too often.",
                    per_second("regulars_http_limited_requests_total", "limit"),
                    "reqps",
                ),
                graph(
                    "Share that fails",
                    "Answers of 500 and above.",
                    share(f"regulars_http_requests_total{FAILED}", f"regulars_http_requests_total{ASKED}", "job"),
                    "percentunit",
                ),
            ),
        ),
        (
            "Processes",
            (
                graph(
                    "CPU",
                    "Cores in use; one process uses one at most.",
                    Query("{{job}} {{instance}}", f"rate(process_cpu_seconds_total{HERE}[{RATE}])"),
                ),
                graph(
                    "Memory",
                    "Resident.",
                    Query("{{job}} {{instance}}", f"process_resident_memory_bytes{HERE}"),
                    "bytes",
                ),
                graph("Open files", "Connections, mostly.", Query("{{job}} {{instance}}", f"process_open_fds{HERE}")),
            ),
        ),
    ),
)
