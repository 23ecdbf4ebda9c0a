"""What the gateway counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

DELIVERY_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)


class GatewayMetrics:
    """The gateway's metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.sockets = Gauge(
            "wardroom_gateway_sockets", "Sockets that are open now.", registry=registry
        )
        self.feeds = Gauge(
            "wardroom_gateway_feeds", "Rooms that are followed now.", registry=registry
        )
        self.frames_in = Counter(
            "wardroom_gateway_frames_in", "Frames received.", registry=registry
        )
        self.deliveries = Counter(
            "wardroom_gateway_deliveries", "Entries written to live sockets.", registry=registry
        )
        self.slow_closes = Counter(
            "wardroom_gateway_slow_closes",
            "Sockets closed because their peer read too slowly.",
            registry=registry,
        )
        self.rejected = Counter(
            "wardroom_gateway_rejected", "Frames refused, by code.", ["code"], registry=registry
        )
        self.failed_sign_ins = Counter(
            "wardroom_gateway_failed_sign_ins",
            "Sign-ins refused, by reason.",
            ["reason"],
            registry=registry,
        )
        self.password_hashes = Counter(
            "wardroom_gateway_password_hashes",
            "Computations of argon2id, each of tens of megabytes and milliseconds.",
            registry=registry,
        )
        self.replay_pages = Counter(
            "wardroom_gateway_replay_pages", "Pages read for replays.", registry=registry
        )
        self.holes_filled = Counter(
            "wardroom_gateway_feed_holes_filled",
            "Holes in a live stream that were read from the store.",
            registry=registry,
        )
        self.event_to_write = Histogram(
            "wardroom_gateway_event_to_write_seconds",
            "From an event's arrival to its last socket write.",
            buckets=DELIVERY_BUCKETS_S,
            registry=registry,
        )
