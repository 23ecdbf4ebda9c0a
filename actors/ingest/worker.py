"""Ingest workers: they compete for a tenant's events, and acknowledge what is committed.

An event may come any number of times, to any worker, in any order: every id is derived from it.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from actors.client import ActorClient
from actors.ingest.envelope import payload_of
from actors.ingest.incidents import event_key, incident_commands, incident_room
from actors.ingest.qradar import finding_of
from actors.protocol.errors import RETRYABLE, OutcomeUnknown, Refusal
from actors.protocol.findings import Finding
from actors.protocol.limits import COMMAND_TIMEOUT_S
from actors.protocol.subjects import ingest_stream, parse_ingest_subject
from actors.runtime.deadletter import bury_message
from actors.runtime.jetstream import NatsError
from actors.runtime.services import Services
from store.errors import StoreError
from store.projections import Projections
from store.rows import TenantRow

log = structlog.get_logger(__name__)

DURABLE: Final = "ingest"
FETCH_MESSAGES: Final = 64
FETCH_S: Final = 5.0
ACK_WAIT_S: Final = 2 * COMMAND_TIMEOUT_S + 5.0
"""An event is worth two commands; one that was not acknowledged by then is given to another worker."""
RETRY_S: Final = 2.0
IN_FLIGHT_MAX: Final = 512
"""Events handed out and not yet acknowledged, over all workers of a tenant."""

NORMALISERS: Final[dict[str, Callable[[str, dict[str, Any]], Finding]]] = {"offense": finding_of}
"""The last token of the subject says what the payload is."""


class IngestWorker:
    """Reads the events of one tenant."""

    def __init__(self, services: Services, client: ActorClient, tenant: TenantRow) -> None:
        self._services = services
        self._client = client
        self._tenant = tenant
        self._projections = Projections(services.connection, services.keys, tenant.id)

    async def run(self) -> None:
        """Read for ever."""
        while True:
            try:
                await self._read()
            except (NatsError, TimeoutError) as error:
                log.warning("ingest.unreachable", tenant=self._tenant.id, error=repr(error))
                await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        subscription = await self._services.bus.client.jetstream().pull_subscribe(
            "",
            durable=DURABLE,
            stream=ingest_stream(self._tenant.id),
            config=ConsumerConfig(
                durable_name=DURABLE,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=IN_FLIGHT_MAX,
            ),
        )
        try:
            while True:
                messages = await _fetched(subscription)
                async with asyncio.TaskGroup() as tasks:
                    for message in messages:
                        tasks.create_task(self._take(message))
        finally:
            await subscription.unsubscribe()

    async def _take(self, message: Msg) -> None:
        try:
            if await self._is_ingested(message):
                await message.ack()
            else:
                await message.nak(delay=RETRY_S)
        except asyncio.CancelledError:
            # This worker stops; without a word the next one would get it when ACK_WAIT_S is over.
            await message.nak()
            raise
        except NatsError as error:
            # Not acknowledged, so it comes again, and then it is known.
            log.warning("ingest.unacknowledged", tenant=self._tenant.id, error=repr(error))

    async def _is_ingested(self, message: Msg) -> bool:
        """Whether an event is dealt with; False if it shall come again."""
        try:
            await self._ingest(message)
        except Refusal as refusal:
            if refusal.code not in RETRYABLE:
                # It would be refused for ever.
                return await self._is_buried(message, str(refusal))
            log.warning("ingest.repeated", tenant=self._tenant.id, error=repr(refusal))
            return False
        except (OutcomeUnknown, PyMongoError, StoreError) as error:
            log.warning("ingest.repeated", tenant=self._tenant.id, error=repr(error))
            return False
        except Exception as error:  # one event's fault must not stop the process
            log.exception("ingest.failed", tenant=self._tenant.id, subject=message.subject)
            return await self._is_buried(message, f"internal error: {type(error).__name__}")
        return True

    async def _is_buried(self, message: Msg, reason: str) -> bool:
        try:
            await self._bury(message, reason)
        except (PyMongoError, StoreError) as error:
            log.warning("ingest.repeated", tenant=self._tenant.id, error=repr(error))
            return False
        return True

    async def _ingest(self, message: Msg) -> None:
        try:
            subject = parse_ingest_subject(message.subject)
            payload = payload_of(message.headers or {}, message.data)
            normalise = NORMALISERS.get(subject.kind)
            if normalise is None:
                raise ValueError(f"kind {subject.kind!r} is not known; known: offense")
            finding = normalise(subject.source, payload)
        except ValueError as error:
            await self._bury(message, _reason(error))
            return
        if finding.severity < self._tenant.ingest_severity_min:
            await self._projections.save_event(event_key(finding), finding.model_dump(mode="json"))
            self._services.metrics.ingested.labels("kept").inc()
            return
        room = incident_room(finding)
        for command in incident_commands(finding):
            await self._client.send(self._tenant.id, room, command)
        self._services.metrics.ingested.labels("incident").inc()

    async def _bury(self, message: Msg, reason: str) -> None:
        await bury_message(self._projections, reason, message.subject, message.data)
        self._services.metrics.dead_letters.labels("ingest").inc()
        log.warning("dead_letter", tenant=self._tenant.id, subject=message.subject, reason=reason)


async def _fetched(subscription: JetStreamContext.PullSubscription) -> list[Msg]:
    """The next events, or none after a while.

    Raises:
        nats.errors.Error: the server or the consumer is gone.
    """
    try:
        return await subscription.fetch(FETCH_MESSAGES, timeout=FETCH_S)
    except TimeoutError:
        # The library says so when nothing came.
        return []


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    )
