"""The board of who works with segments: how many are in each, who comes and goes, whether it is on time, the cost."""

from deploy.grafana.panels import RATE, Board, Query, graph, largest, middle_and_tail, number, per_minute, per_second

MOVES = "regulars_segmentation_moves_total"
FACTS = "regulars_road_facts_total"
LATENESS = 'regulars_road_timer_lateness_seconds{service="segmentation"}'
DECISION = "regulars_segmentation_decision_seconds"

SEGMENTS = Board(
    "regulars-segments",
    "Regulars: segments",
    "now-24h",
    (
        (
            "In this time",
            (
                number("Came", "How often somebody entered a segment.", f'{MOVES}{{direction="entered"}}'),
                number("Went", "How often somebody left one.", f'{MOVES}{{direction="left"}}'),
                number("Moved on", "Changes of lifecycle or activity.", f'{FACTS}{{type="lifecycle.changed"}}'),
            ),
        ),
        (
            "Who is where",
            (
                graph(
                    "Members",
                    "Customers in each segment. Of a shop's many segments the rest is shown as one, (others).",
                    largest("regulars_segmentation_members", "shop", "segment"),
                ),
                graph(
                    "Coming",
                    "Entries a minute, by segment. After an edit everybody it concerns comes at once.",
                    per_minute(f'{MOVES}{{direction="entered"}}', "shop", "segment"),
                    stacked=True,
                ),
                graph(
                    "Going",
                    "A minute, by segment.",
                    per_minute(f'{MOVES}{{direction="left"}}', "shop", "segment"),
                    stacked=True,
                ),
                graph(
                    "What was told",
                    "Changes of lifecycle and RFM, warnings of churn, and moves between segments, a minute.",
                    per_minute(f'{FACTS}{{service="segmentation"}}', "type"),
                ),
            ),
        ),
        (
            "On time",
            (
                graph(
                    "How late changes are",
                    "From the second in which a change was due by itself to its commit.",
                    middle_and_tail(LATENESS),
                    "s",
                ),
                graph(
                    "Changes by time alone",
                    "Customers a second whose moment came.",
                    per_second('regulars_road_timers_total{service="segmentation"}'),
                    "ops",
                ),
                graph(
                    "Behind the edge",
                    "From an event's receipt to its decision; 0 when there is nothing left to read.",
                    largest('regulars_road_lag_seconds{service="segmentation"}', "service"),
                    "s",
                ),
            ),
        ),
        (
            "What it costs",
            (
                graph(
                    "A decision",
                    "One event or timer of one customer: the profile moved on, the models and rules asked it touches.",
                    middle_and_tail(DECISION),
                    "s",
                ),
                graph("Decisions", "A second.", per_second(f"{DECISION}_count"), "ops"),
                graph(
                    "Cores that decide",
                    "One process uses one at most.",
                    Query("{{instance}}", f"sum by (instance) (rate({DECISION}_sum[{RATE}]))"),
                ),
                graph(
                    "Left to back-fill",
                    "Customers whom edits of segments, lists and scales have yet to look at; live traffic goes first.",
                    (
                        Query("customers", "max(regulars_segmentation_backfill_left_customers)"),
                        Query("given up", "sum(regulars_segmentation_backfill_behind_customers_total)"),
                    ),
                ),
                graph(
                    "Back-fill",
                    "Customers a second who are told to look again.",
                    per_second("regulars_segmentation_backfill_told_customers_total"),
                    "ops",
                ),
            ),
        ),
    ),
)
