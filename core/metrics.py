"""Every metric. No tenant, member or invoice is ever a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 15, 60, 300)


class Metrics:
    """The metrics of one process, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages_in = Counter(
            "settled_messages_in",
            "Messages in: accepted, repeated, rejected at the door, refused by a rule",
            ["outcome"],
            registry=self.registry,
        )
        self.messages_out = Counter(
            "settled_messages_out",
            "Messages put on the stream, by type",
            ["type"],
            registry=self.registry,
        )
        self.xero_calls = Counter(
            "settled_xero_calls",
            "Calls to Xero, by purpose, kind and HTTP status",
            ["purpose", "kind", "status"],
            registry=self.registry,
        )
        self.xero_seconds = Histogram(
            "settled_xero_call_seconds",
            "How long Xero took to answer, by kind",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.quota_waits = Counter(
            "settled_quota_waits",
            "Calls that the quota put off, by purpose and limit",
            ["purpose", "limit"],
            registry=self.registry,
        )
        self.quota_left = Gauge(
            "settled_quota_left",
            "What is left of a limit, of the organisation that has least: calls of the "
            "minute and the day, e-mails of 24 hours",
            ["limit"],
            registry=self.registry,
        )
        self.quota_used_up = Gauge(
            "settled_quota_used_up_seconds",
            "In how many seconds the day's calls are used up at the present pace, for "
            "bulk or for everybody; infinite if not before the day ends",
            ["purpose"],
            registry=self.registry,
        )
        self.writes_due = Gauge(
            "settled_writes_due",
            "Things that are to be written to Xero now, by kind",
            ["kind"],
            registry=self.registry,
        )
        self.webhooks = Counter(
            "settled_webhooks",
            "Webhook requests, by outcome",
            ["outcome"],
            registry=self.registry,
        )
        self.webhook_events = Counter(
            "settled_webhook_events",
            "Webhook events, by what became of them",
            ["outcome"],
            registry=self.registry,
        )
        self.payment_seconds = Histogram(
            "settled_payment_to_outbox_seconds",
            "From the webhook event's time to the committed action",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.intents_unknown = Gauge(
            "settled_intents_unknown",
            "Writes to Xero whose outcome is not known",
            registry=self.registry,
        )
        self.intents_unknown_oldest = Gauge(
            "settled_intents_unknown_oldest_seconds",
            "Since when the oldest of them is not known",
            registry=self.registry,
        )
        self.writes_stranded = Gauge(
            "settled_writes_stranded",
            "Things to be written that belong to a call which has ended without them",
            registry=self.registry,
        )
        self.lanes_parked = Gauge(
            "settled_lanes_parked",
            "Lanes that rest, by name",
            ["lane"],
            registry=self.registry,
        )
        self.lane_behind = Gauge(
            "settled_lane_behind_seconds",
            "For how long the oldest work of a lane has been due, by name",
            ["lane"],
            registry=self.registry,
        )
        self.invoices_astray = Gauge(
            "settled_invoices_astray",
            "Invoices that do not agree with what Xero was seen to say, by how",
            ["how"],
            registry=self.registry,
        )
        self.invoices_astray_oldest = Gauge(
            "settled_invoices_astray_oldest_seconds",
            "Since when the oldest of them does not, by how",
            ["how"],
            registry=self.registry,
        )
        self.problems_open = Gauge(
            "settled_problems_open",
            "Things that need a person",
            registry=self.registry,
        )
        self.inbox_oldest = Gauge(
            "settled_inbox_oldest_seconds",
            "Age of the oldest message without a final answer",
            registry=self.registry,
        )
        self.unanswered_oldest = Gauge(
            "settled_message_unanswered_seconds",
            "Age of the oldest request that is neither invoiced, answered nor held",
            registry=self.registry,
        )
        self.unacknowledged_oldest = Gauge(
            "settled_outbox_unacknowledged_seconds",
            "Age of the oldest message that Redis has and the group did not confirm",
            ["group"],
            registry=self.registry,
        )
        self.outbox_oldest = Gauge(
            "settled_outbox_oldest_seconds",
            "Age of the oldest message that Redis does not have",
            registry=self.registry,
        )
        self.plugin_failures = Counter(
            "settled_plugin_failures",
            "Rules and hooks that raised, by plugin",
            ["plugin"],
            registry=self.registry,
        )
