"""A connection to one LDAP server: the only module that knows ldap3. It blocks, so it lives in a thread.

ldap3 is told to do as little as possible: it reads no schema, follows no referral, opens no second
connection. Trust in the server is Python's own (`ssl`), and every byte passes a guard. A connection
object of ldap3 shows its password in its `repr`: it never leaves this module.
"""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_bytes

from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.guard import CALL_BYTES_MAX, Guard, GuardedSocket
from gateway.directory.settings import DirectorySettings, Server, TlsMode

PAGES_MAX: Final = 2_000
"""A server that gives the same cookie for ever is stopped here: a million users in pages of 500."""
MESSAGE_CHARS_MAX: Final = 500

SUCCESS: Final = 0
TIME_LIMIT_EXCEEDED: Final = 3
SIZE_LIMIT_EXCEEDED: Final = 4
STRONGER_AUTH_REQUIRED: Final = 8
CONSTRAINT_VIOLATION: Final = 19
NO_SUCH_OBJECT: Final = 32
INAPPROPRIATE_AUTHENTICATION: Final = 48
INVALID_CREDENTIALS: Final = 49
UNWILLING_TO_PERFORM: Final = 53
"""Result codes, RFC 4511 section 4.1.9."""
NOT_AS_SET: Final = frozenset({10, 16, 17, 18, 21, NO_SUCH_OBJECT, 34, 50})
"""Results that mean wrong settings: a referral, unknown attributes or matching rules, no base, no right."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A found entry: its DN, and its attributes as bytes by lower-case name."""

    dn: str
    raw: Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class BindAnswer:
    """What the server said to a name and password: a result code, and a text for its own experts."""

    code: int
    message: str


def equals(attribute: str, value: str | bytes) -> str:
    """A filter that means exactly this value, whatever is in it.

    Every byte is escaped, not only those that RFC 4515 asks for: nothing is left that a parser of
    filters, ldap3's or a server's, could take as its own.
    """
    raw = value.encode() if isinstance(value, str) else value
    return f"({attribute}={escape_bytes(raw)})"


def tls_context(settings: DirectorySettings) -> ssl.SSLContext:
    """Whom we trust: the given authority or the system's, TLS 1.2 or later, certificate and name checked.

    Raises:
        DirectoryError: the authority's certificate can't be read.
    """
    try:
        context = ssl.create_default_context(
            cafile=settings.ca_file, cadata=settings.ca_pem or None
        )
    except (OSError, ValueError):
        raise DirectoryError(
            Trouble.TLS_FAILED, "the certificate of the authority can't be read"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Tls(ldap3.Tls):
    """ldap3's place to wrap sockets, filled with Python's own checks of certificate and host name."""

    def __init__(self, context: ssl.SSLContext, host: str, guard: Guard) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._host = host
        self._guard = guard

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        known = connection.socket
        raw = known.raw if isinstance(known, GuardedSocket) else known
        raw.settimeout(self._guard.next_wait_s())
        try:
            wrapped = self._context.wrap_socket(raw, server_hostname=self._host)
        except TimeoutError:
            self._guard.trouble = Trouble.TIMEOUT
            raise
        except OSError:
            self._guard.trouble = Trouble.TLS_FAILED
            raise
        connection.socket = GuardedSocket(wrapped, self._guard)


class LdapConnection:
    """An open connection, encrypted as the settings say and bound as nobody yet."""

    def __init__(
        self,
        settings: DirectorySettings,
        server: Server,
        context: ssl.SSLContext,
        address: str | None = None,
    ) -> None:
        """Connect.

        Args:
            settings: how.
            server: the server as it is set; its host must stand in the certificate.
            context: whom we trust.
            address: where to connect to; None: wherever the host's name leads.

        Raises:
            DirectoryError: the server can't be reached, is not trusted, or does not answer in time.
        """
        self._server = server
        self._address = address or server.host
        self._page_size = settings.page_size
        self._call_s = settings.call_s
        self._guard = Guard(settings.call_s, settings.receive_s, CALL_BYTES_MAX)
        with self._translated():
            self._ldap = self._made(settings, context)
            try:
                self._connect(settings)
            except BaseException:
                # ldap3 leaves the socket of a failed attempt open.
                with suppress(Exception):
                    self._ldap.socket.close()
                raise

    def _made(self, settings: DirectorySettings, context: ssl.SSLContext) -> ldap3.Connection:
        server = ldap3.Server(
            self._address,
            port=self._server.port,
            use_ssl=settings.tls is TlsMode.LDAPS,
            tls=_Tls(context, self._server.host, self._guard),
            get_info=ldap3.NONE,
            connect_timeout=settings.connect_s,
            allowed_referral_hosts=[],
        )
        return ldap3.Connection(
            server,
            auto_referrals=False,
            check_names=False,
            raise_exceptions=False,
            auto_range=False,
            return_empty_attributes=False,
        )

    def _connect(self, settings: DirectorySettings) -> None:
        self._ldap.open(read_server_info=False)
        if settings.tls is TlsMode.LDAPS:
            return
        self._ldap.socket = GuardedSocket(self._ldap.socket, self._guard)
        if settings.tls is TlsMode.STARTTLS and not self._ldap.start_tls(read_server_info=False):
            self._guard.trouble = self._guard.trouble or Trouble.TLS_FAILED
            raise OSError("StartTLS was refused")

    def close(self) -> None:
        """End the connection; never fails."""
        with suppress(Exception):
            self._ldap.unbind()

    def renew(self) -> None:
        """Give the server the whole allowance again; for each page of a long answer."""
        self._guard.renew()

    def bind(self, dn: str, password: str) -> BindAnswer:
        """Ask whether this is the DN's password; from then on the connection acts as that DN.

        The password goes as the bytes that were typed: what a directory makes of them is its own
        affair. The caller has made sure that it is not empty.

        Raises:
            DirectoryError: no answer.
        """
        if not dn or not password:
            raise ValueError("a bind has a name and a password")
        with self._translated():
            self._ldap.rebind(
                user=dn,
                password=password.encode(),
                authentication=ldap3.SIMPLE,
                read_server_info=False,
            )
            result = self._ldap.result
            answer = BindAnswer(int(result["result"]), str(result["message"])[:MESSAGE_CHARS_MAX])
            # Not the library's word alone: a success without a bind is none.
            if answer.code == SUCCESS and not self._ldap.bound:
                raise ValueError("bound and not bound")
            return answer

    def find(self, base: str, what: str, attributes: Sequence[str], most: int) -> list[Entry]:
        """Entries below a base, at most `most` of them even if there are more.

        Raises:
            DirectoryError: no answer, or none that can be used.
        """
        with self._translated():
            self._ldap.search(
                base,
                what,
                ldap3.SUBTREE,
                ldap3.DEREF_NEVER,
                list(attributes),
                size_limit=most,
                time_limit=max(1, int(self._call_s)),
            )
            self._check(allowed=SIZE_LIMIT_EXCEEDED)
            return self._entries()[:most]

    def pages(self, base: str, what: str, attributes: Sequence[str]) -> Iterator[list[Entry]]:
        """All entries below a base, a page at a time (RFC 2696); each page has its own allowance.

        Raises:
            DirectoryError: no answer, or none that can be used.
        """
        cookie: bytes | None = None
        for _ in range(PAGES_MAX):
            self.renew()
            with self._translated():
                self._ldap.search(
                    base,
                    what,
                    ldap3.SUBTREE,
                    ldap3.DEREF_NEVER,
                    list(attributes),
                    time_limit=max(1, int(self._call_s)),
                    paged_size=self._page_size,
                    paged_cookie=cookie,
                )
                self._check()
                found = self._entries()
                control = self._ldap.result.get("controls", {}).get("1.2.840.113556.1.4.319", {})
                cookie = control.get("value", {}).get("cookie")
            yield found
            if not cookie:
                return
        raise DirectoryError(Trouble.TOO_LARGE, f"{self._server} gives pages without end")

    def _entries(self) -> list[Entry]:
        # Referrals are answers too; they are not followed, so they are not read either.
        return [
            Entry(
                item["raw_dn"].decode(),
                {name.lower(): values for name, values in item["raw_attributes"].items()},
            )
            for item in self._ldap.response or ()
            if item["type"] == "searchResEntry"
        ]

    def _check(self, allowed: int = SUCCESS) -> None:
        code = int(self._ldap.result["result"])
        if code in (SUCCESS, allowed):
            return
        name = str(self._ldap.result["description"])
        if code in NOT_AS_SET:
            raise DirectoryError(Trouble.NOT_AS_SET, f"{self._server} answered {code} ({name})")
        if code in (TIME_LIMIT_EXCEEDED, SIZE_LIMIT_EXCEEDED):
            raise DirectoryError(Trouble.TOO_LARGE, f"{self._server} answered {code} ({name})")
        raise DirectoryError(Trouble.BAD_ANSWER, f"{self._server} answered {code} ({name})")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DirectoryError:
            raise
        except (LDAPException, OSError) as error:
            self._fail(Trouble.UNREACHABLE, type(error).__name__)
        except Exception as error:
            # Whatever a decoder stumbles over in bytes of a stranger must not let anybody in.
            self._fail(Trouble.BAD_ANSWER, type(error).__name__)

    def _fail(self, trouble: Trouble, name: str) -> NoReturn:
        # Texts of the library may hold what was sent; the name of the error is enough.
        raise DirectoryError(
            self._guard.trouble or trouble, f"{self._server} could not be used ({name})"
        ) from None
