"""Telling what was committed: one event a room and commit, one reply a process and commit."""

from actors.protocol.envelope import (
    Entry,
    Reply,
    encode_ended_sessions,
    encode_event,
    encode_replies,
)
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.limits import ENDED_SESSIONS_AT_ONCE_MAX, EVENT_BYTES_MAX
from actors.protocol.subjects import ended_sessions_subject, event_subject
from actors.runtime.jetstream import Bus, NatsError
from actors.runtime.plan import Plan
from actors.tenant.sessions import ended_by

REPLIES_AT_ONCE_MAX = 1_024
"""Replies in one message; a full commit to one process stays below NATS's limit of 1 MiB."""


class Announcer:
    """Speaks for one tenant. What gets lost here is filled from the store by whoever misses it."""

    def __init__(self, bus: Bus, tenant: str) -> None:
        self._bus = bus
        self._tenant = tenant

    async def announce(self, plan: Plan) -> None:
        """Publish the events and the replies of a commit."""
        for room, part in plan.rooms.items():
            if room == TENANT_ROOM:
                ended = [name for _, event in part.events for name in ended_by(event)]
                await self.announce_ended(ended)
            else:
                await self._announce_entries(room, part.entries)
        for process, replies in plan.replies.items():
            await self.answer(process, replies)

    async def _announce_entries(self, room: str, entries: list[Entry]) -> None:
        head = entries[-1].seq
        data = encode_event(head, entries)
        if len(data) > EVENT_BYTES_MAX and len(entries) > 1:
            middle = len(entries) // 2
            await self._announce_entries(room, entries[:middle])
            await self._announce_entries(room, entries[middle:])
            return
        await self._publish(event_subject(self._tenant, room), data)

    async def announce_ended(self, sessions: list[str]) -> None:
        """Say which sessions have ended; a gateway that does not hear it finds out by asking."""
        for start in range(0, len(sessions), ENDED_SESSIONS_AT_ONCE_MAX):
            data = encode_ended_sessions(sessions[start : start + ENDED_SESSIONS_AT_ONCE_MAX])
            await self._publish(ended_sessions_subject(self._tenant), data)

    async def announce_head(self, room: str, head: int) -> None:
        """Say where a room's head is."""
        if room != TENANT_ROOM:
            await self._publish(event_subject(self._tenant, room), encode_event(head, []))

    async def answer(self, process: str, replies: list[Reply]) -> None:
        """Send replies to a process."""
        for start in range(0, len(replies), REPLIES_AT_ONCE_MAX):
            await self._publish(
                process, encode_replies(replies[start : start + REPLIES_AT_ONCE_MAX])
            )

    async def _publish(self, subject: str, data: bytes) -> None:
        try:
            await self._bus.client.publish(subject, data)
        except NatsError:
            # Core NATS promises nothing; readers fill the hole from the store.
            return
