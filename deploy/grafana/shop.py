"""The board of who runs the shop: customers, messages, points, and whether what the shop sends arrives."""

from deploy.grafana.panels import Board, graph, largest, middle_and_tail, number, per_minute, share

EVENTS = "regulars_ingest_events_total"
FACTS = "regulars_road_facts_total"
MESSAGES = "regulars_notifier_messages_total"

SHOP = Board(
    "regulars-shop",
    "Regulars: the shop",
    "now-24h",
    (
        (
            "In this time",
            (
                number("Events", "What the shop told us, each counted once.", f'{EVENTS}{{outcome="accepted"}}'),
                number("Refused", "Events that we could not take.", f'{EVENTS}{{outcome="rejected"}}'),
                number("Moved on", "Changes of lifecycle or activity.", f'{FACTS}{{type="lifecycle.changed"}}'),
                number("Journeys begun", "Customers who entered one.", f'{FACTS}{{type="journey.entered"}}'),
                number("Messages", "What was handed to a channel.", f'{MESSAGES}{{outcome="sent"}}'),
                number("Points earned", "How often they were credited.", f'{FACTS}{{type="points.earned"}}'),
            ),
        ),
        (
            "Customers",
            (
                graph(
                    "Customers on the move",
                    "Changes of lifecycle, activity and segments, a minute. A jump without a campaign is worth a look.",
                    per_minute(f'{FACTS}{{service="segmentation"}}', "type"),
                    stacked=True,
                ),
                graph(
                    "Journeys",
                    "Customers who enter and leave them, and what journeys ask for, a minute.",
                    per_minute(f'{FACTS}{{service="journeys"}}', "type"),
                ),
                graph(
                    "Points and tiers",
                    "Credits, reversals and changes of tier, a minute.",
                    per_minute(f'{FACTS}{{service="loyalty"}}', "type"),
                    stacked=True,
                ),
            ),
        ),
        (
            "Messages",
            (
                graph(
                    "Messages by channel and outcome",
                    "A minute. Suppressed is no fault: no consent, no address, or too many already.",
                    per_minute(MESSAGES, "channel", "outcome"),
                    stacked=True,
                ),
                graph(
                    "Share that goes out",
                    "Messages sent, of all that were not suppressed.",
                    share(f'{MESSAGES}{{outcome="sent"}}', f'{MESSAGES}{{outcome!="suppressed"}}', "channel"),
                    "percentunit",
                ),
                graph(
                    "How late reminders are",
                    "From the moment that something was due to its decision.",
                    middle_and_tail("regulars_road_timer_lateness_seconds", "service"),
                    "s",
                ),
            ),
        ),
        (
            "What the shop sends",
            (
                graph(
                    "Events",
                    "A minute. Duplicates are harmless: platforms repeat themselves.",
                    per_minute(EVENTS, "outcome"),
                    stacked=True,
                ),
                graph(
                    "Refused, by door and reason",
                    "A minute. `regulars dead-letters list` says which field of which event; nothing of it is lost.",
                    per_minute("regulars_ingest_rejections_total", "connector", "reason"),
                    stacked=True,
                ),
                graph(
                    "Ignored, by connector and kind",
                    "A minute. Sound messages that no event of ours tells of; docs/platforms says which are read.",
                    per_minute("regulars_ingest_ignored_messages_total", "connector", "kind"),
                    stacked=True,
                ),
                graph(
                    "How far behind we are",
                    "From an event's receipt to its decision; 0 when there is nothing left to read.",
                    largest("regulars_road_lag_seconds", "service"),
                    "s",
                ),
            ),
        ),
        (
            "What platforms send",
            (
                graph(
                    "Events by door",
                    "A minute. Trackers send a whole track again each time: most of it are duplicates.",
                    per_minute(EVENTS, "connector", "outcome"),
                    stacked=True,
                ),
                graph(
                    "Wrong signatures",
                    "A minute. A secret that was changed at one side alone, or somebody who tries.",
                    per_minute("regulars_ingest_hook_signature_failures_total", "connector"),
                    stacked=True,
                ),
                graph(
                    "Sent too long ago",
                    "A minute. Rightly signed, but out of its time: somebody repeats an old call, or a clock is wrong.",
                    per_minute("regulars_ingest_hook_stale_total", "connector"),
                    stacked=True,
                ),
                graph(
                    "Connections of ours",
                    "Made and lost, a minute, to platforms that call nobody. `regulars sources list` says why.",
                    per_minute("regulars_ingest_feed_connections_total", "connector", "outcome"),
                    stacked=True,
                ),
            ),
        ),
        (
            "What webhooks missed",
            (
                graph(
                    "Found by asking",
                    "Events a minute that no webhook had brought. Many of them: look at the webhook at the platform.",
                    per_minute("regulars_ingest_poll_events_total", "connector"),
                    stacked=True,
                ),
                graph(
                    "Polls",
                    "A minute, by how they ended. `regulars sources list` says why one failed.",
                    per_minute("regulars_ingest_polls_total", "connector", "outcome"),
                    stacked=True,
                ),
                graph(
                    "Not asked for so long",
                    "Since the platform furthest behind was last asked in full.",
                    largest("regulars_ingest_poll_lag_seconds", "job"),
                    "s",
                ),
            ),
        ),
        (
            "People",
            (
                graph(
                    "Two who turned out to be one",
                    "A minute. A jump is worth a look: a name that many share joins strangers.",
                    per_minute("regulars_ingest_merges_total"),
                ),
                graph(
                    "Names of two people",
                    "A minute, by the kind of name; who they belong to was left as it was.",
                    per_minute("regulars_ingest_identity_conflicts_total", "kind"),
                    stacked=True,
                ),
            ),
        ),
    ),
)
