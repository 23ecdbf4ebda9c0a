"""What one commit takes: messages in the order they came, and the plan that is made of them."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from actors.protocol.limits import COMMIT_RECORDS_MAX
from actors.runtime.lane import Inbound
from actors.runtime.mailbox import Mailbox
from actors.runtime.mailboxes import RoomUnreadable
from actors.runtime.plan import Item, Plan, read_command
from store.chain import Source

Asked = Mapping[str, Mailbox | RoomUnreadable]
"""The actors of rooms."""


class Queued(NamedTuple):
    """A message that waits, and the commands of it that are still to be done."""

    message: Inbound
    items: list[Item]


def queued(message: Inbound) -> Queued:
    """A message with its commands read: while a commit waits for MongoDB that costs nobody anything."""
    lane = message.lane
    first = lane.cursor.index + 1 if message.src == lane.cursor.src else 0
    items = [
        Item(
            room,
            Source(lane.number, message.src, position),
            lane,
            message.reply_to,
            raw,
            read_command(room, raw),
        )
        for position, (room, raw) in enumerate(zip(message.rooms, message.commands, strict=True))
        if position >= first
    ]
    return Queued(message, items)


class Batch:
    """Grows while the commit before it is being written; all of it is planned when its turn comes."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self.taken: list[Queued] = []
        self.items: list[Item] = []
        self.plan = Plan(tenant)
        self._planned = 0

    @property
    def rooms(self) -> set[str]:
        """Every room of the batch."""
        return {item.room for item in self.items}

    @property
    def unplanned_rooms(self) -> list[str]:
        """The rooms of commands that have no place in the plan yet, each once."""
        return list(dict.fromkeys(item.room for item in self.items[self._planned :]))

    def take(self, waiting: deque[Queued]) -> None:
        """Take what waits, as far as one commit may hold it."""
        while waiting and not self._is_full:
            self._add(waiting.popleft())

    def take_ready(
        self, waiting: deque[Queued], find: Callable[[str], Mailbox | None], now_ms: int
    ) -> None:
        """Take and plan what waits, up to the first message with a room that must be loaded first."""
        while waiting and not self._is_full:
            at_hand: dict[str, Mailbox] = {}
            for item in waiting[0].items:
                if item.room not in at_hand:
                    mailbox = find(item.room)
                    if mailbox is None:
                        return
                    at_hand[item.room] = mailbox
            self._add(waiting.popleft())
            self.plan_rest(at_hand, now_ms)

    @property
    def _is_full(self) -> bool:
        return bool(self.taken) and len(self.items) >= COMMIT_RECORDS_MAX

    def _add(self, queued: Queued) -> None:
        lane = queued.message.lane
        # What a lane brought that has been put down is the next owner's.
        if lane.live:
            self.taken.append(queued)
            self.items.extend(queued.items)

    def plan_rest(self, mailboxes: Asked, now_ms: int) -> None:
        """Plan the commands that have no place in the plan yet."""
        for item in self.items[self._planned :]:
            mailbox, lane = mailboxes[item.room], item.lane
            if not lane.live:
                # Nor anything after what was left out: the greatest source is the cursor.
                lane.abandoned = True
            elif isinstance(mailbox, RoomUnreadable):
                self.plan.add_unavailable(item, str(mailbox))
            elif mailbox.epoch > lane.epoch:
                # Somebody who owns this lane after us has written: we no longer do.
                lane.live, lane.abandoned = False, True
                lane.on_fenced(mailbox.epoch)
            else:
                mailbox.epoch, mailbox.lane = lane.epoch, lane.number
                self.plan.add(item, mailbox, now_ms)
        self._planned = len(self.items)

    def start_over(self, items: list[Item]) -> None:
        """Forget the plan; only `items` are still to be done."""
        self.items, self.plan, self._planned = items, Plan(self._tenant), 0

    def drop_dead_lanes(self) -> None:
        """Drop the commands of lanes that have been put down, unless they are planned already."""
        live = [item for item in self.items[self._planned :] if item.lane.live]
        for item in self.items[self._planned :]:
            item.lane.abandoned = item.lane.abandoned or not item.lane.live
        self.items[self._planned :] = live
