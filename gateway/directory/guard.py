"""What one call may take of a server: seconds in all, seconds of silence, bytes.

A timeout of the socket alone is not enough: a server that sends a byte now and then never runs into it.
"""

import socket
import time
from typing import Final

from gateway.directory.errors import Trouble

CALL_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of one answer or page; 500 users with a hundred groups each are about 5 MiB."""

PIECE_BYTES: Final = 256 * 1024
"""Bytes of one read; memory is taken as they come, not as a stranger announces them."""
HEAD_BYTES: Final = 2
SEQUENCE: Final = 0x30
LONG_FORM: Final = 0x80
LENGTH_BYTES_MAX: Final = 4
"""The begin of a message in BER: a tag, and a length in one byte or up to four (RFC 4511, 5.1)."""


class Guard:
    """The allowance of one call, and the first trouble that was seen."""

    def __init__(self, call_s: float, receive_s: float, bytes_max: int = CALL_BYTES_MAX) -> None:
        self._call_s = call_s
        self._receive_s = receive_s
        self._bytes_max = bytes_max
        self.trouble: Trouble | None = None
        self.renew()

    def renew(self) -> None:
        """Start anew, for the next page."""
        self._until = time.monotonic() + self._call_s
        self._bytes_left = self._bytes_max

    def next_wait_s(self) -> float:
        """How long to wait for the server now.

        Raises:
            TimeoutError: no time is left.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            self.trouble = self.trouble or Trouble.TIMEOUT
            raise TimeoutError("the call took too long")
        return min(left, self._receive_s)

    def took(self, count: int) -> None:
        """Count bytes that come.

        Raises:
            OSError: there were too many.
        """
        self._bytes_left -= count
        if self._bytes_left < 0:
            self.trouble = self.trouble or Trouble.TOO_LARGE
            raise OSError("the answer is too large")


class GuardedSocket:
    """A connected socket, plain or TLS, whose every wait is bounded; what ldap3 uses of one."""

    def __init__(self, raw: socket.socket, guard: Guard) -> None:
        self.raw = raw
        self._guard = guard

    def recv(self, size: int) -> bytes:
        """The next whole LDAP message, whatever `size` says; empty when the peer has ended.

        ldap3 joins what it gets piece by piece, which for a message of 16 MiB means to copy 30 GiB. And
        what is not read before TLS begins can't be taken for an answer later.

        Raises:
            OSError: it failed, took too long, was too much, or is no message of LDAP.
        """
        head = self._exactly(HEAD_BYTES)
        if not head:
            return b""
        if head[0] != SEQUENCE:
            raise self._failed(Trouble.BAD_ANSWER, "this is no LDAP message")
        length = head[1]
        if length & LONG_FORM:
            count = length & ~LONG_FORM
            if not 1 <= count <= LENGTH_BYTES_MAX:
                raise self._failed(Trouble.BAD_ANSWER, "this is no length")
            more = self._exactly(count)
            head, length = head + more, int.from_bytes(more)
        self._guard.took(len(head) + length)
        body = self._exactly(length)
        if len(body) < length:
            raise OSError("the peer ended in the middle of a message")
        return head + body

    def _exactly(self, count: int) -> bytes:
        """So many bytes; fewer if the peer ends."""
        read = bytearray()
        while len(read) < count:
            self.raw.settimeout(self._guard.next_wait_s())
            try:
                data = self.raw.recv(min(count - len(read), PIECE_BYTES))
            except TimeoutError:
                raise self._failed(Trouble.TIMEOUT, "no answer in time") from None
            if not data:
                break
            read += data
        return bytes(read)

    def _failed(self, trouble: Trouble, text: str) -> OSError:
        self._guard.trouble = self._guard.trouble or trouble
        return OSError(text)

    def sendall(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: it failed or took too long.
        """
        self.raw.settimeout(self._guard.next_wait_s())
        try:
            self.raw.sendall(data)
        except TimeoutError:
            raise self._failed(Trouble.TIMEOUT, "nothing is taken") from None

    def shutdown(self, how: int) -> None:
        """As a socket's."""
        self.raw.shutdown(how)

    def close(self) -> None:
        """As a socket's."""
        self.raw.close()
