"""What an actor process counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

COMMIT_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 5)
BATCH_RECORDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class ActorMetrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "wardroom_records_committed", "Records committed to chains", registry=registry
        )
        self.refused = Counter(
            "wardroom_commands_refused", "Commands refused", ["code"], registry=registry
        )
        self.dead_letters = Counter(
            "wardroom_dead_letters", "Bodies that could not be read", ["origin"], registry=registry
        )
        self.commit_seconds = Histogram(
            "wardroom_commit_seconds",
            "Time of one group commit",
            buckets=COMMIT_SECONDS,
            registry=registry,
        )
        self.commit_records = Histogram(
            "wardroom_commit_records",
            "Records of one group commit",
            buckets=BATCH_RECORDS,
            registry=registry,
        )
        self.conflicts = Counter(
            "wardroom_commit_conflicts", "Commits that met another writer", registry=registry
        )
        self.retries = Counter(
            "wardroom_commit_retries",
            "Commits whose outcome had to be read back",
            registry=registry,
        )
        self.reopened = Counter(
            "wardroom_lanes_reopened", "Lanes opened again at their cursor", registry=registry
        )
        self.rooms = Gauge("wardroom_rooms_in_memory", "Actors in memory", registry=registry)
        self.lanes = Gauge("wardroom_lanes_owned", "Lanes read by this process", registry=registry)
        self.oldest_uncommitted = Gauge(
            "wardroom_oldest_uncommitted_seconds",
            "Age of the oldest command that waits for its commit",
            registry=registry,
        )
        self.ingested = Counter(
            "wardroom_events_ingested", "External events", ["disposition"], registry=registry
        )
