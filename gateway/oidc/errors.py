"""What can go wrong at an identity provider. Whatever does, nobody is let in."""

from enum import StrEnum
from typing import Final

from actors.protocol.fetching import FetchTrouble


class Trouble(StrEnum):
    """What is wrong with a provider, as a code for logs and for whoever tests it."""

    UNREACHABLE = "provider_unreachable"
    ADDRESS_REFUSED = "provider_address_refused"
    TLS_FAILED = "provider_tls_failed"
    TIMEOUT = "provider_timeout"
    TOO_LARGE = "provider_too_large"
    BAD_ANSWER = "provider_bad_answer"
    NOT_AS_SET = "provider_not_as_set"
    CLIENT_REFUSED = "provider_client_refused"
    BUSY = "provider_busy"


TODO: Final[dict[Trouble, str]] = {
    Trouble.UNREACHABLE: "Check the issuer, the firewall, and that the provider runs.",
    Trouble.ADDRESS_REFUSED: (
        "Give an issuer with https at port 443 or 8443. One on a private address is asked only if the"
        " operator of this system has approved its network."
    ),
    Trouble.TLS_FAILED: (
        "Give the certificate of the authority that signed the provider's certificate, and the host name"
        " that stands in it."
    ),
    Trouble.TIMEOUT: "The provider does not answer in time; look at its load and its log.",
    Trouble.TOO_LARGE: "The provider's answer is too large; have it put less into it.",
    Trouble.BAD_ANSWER: "The provider does not answer as OpenID Connect says; look at its log.",
    Trouble.NOT_AS_SET: "Give the issuer to the letter as the provider's own discovery document has it.",
    Trouble.CLIENT_REFUSED: "Check client id and secret, and the redirect URI kept by the provider.",
    Trouble.BUSY: "Too many people are signing in at once; try again shortly.",
}
"""What to do about each."""

OF_FETCH: Final[dict[FetchTrouble, Trouble]] = {
    FetchTrouble.REFUSED: Trouble.ADDRESS_REFUSED,
    FetchTrouble.UNREACHABLE: Trouble.UNREACHABLE,
    FetchTrouble.TLS_FAILED: Trouble.TLS_FAILED,
    FetchTrouble.TIMEOUT: Trouble.TIMEOUT,
    FetchTrouble.TOO_LARGE: Trouble.TOO_LARGE,
    FetchTrouble.BAD_ANSWER: Trouble.BAD_ANSWER,
}


class ProviderError(Exception):
    """The provider could not be asked, or what it answered can't be used. The text holds nothing that was
    sent, and of what was answered nothing but names of fields."""

    def __init__(self, trouble: Trouble, happened: str) -> None:
        super().__init__(f"{trouble}: {happened}")
        self.trouble = trouble
        self.happened = happened


class SignInRefused(Exception):
    """The provider has answered, and nobody can sign in with that. `reason` is a word for the log and the
    record; `user` is who is meant, empty if that is nobody here."""

    def __init__(self, reason: str, user: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.user = user
