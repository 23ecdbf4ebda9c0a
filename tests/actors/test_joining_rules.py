"""How people come into a tenant: registered by themselves, or invited; and who ends whose session."""

from dataclasses import replace
from typing import Any, Final

import pytest

from actors.protocol.audit import audit_facts
from actors.protocol.codec import content_of
from actors.protocol.commands import DeleteUser, EndSession, OpenSession, TenantCommand
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import SessionEnded
from actors.protocol.limits import INVITATIONS_MAX, PENDING_USERS_MAX
from actors.protocol.people_commands import (
    AcceptInvitation,
    ApproveUser,
    CreateRole,
    DeleteRole,
    InviteUser,
    RegisterUser,
    RevokeInvitation,
    SetRegistration,
)
from actors.protocol.people_events import (
    InvitationAccepted,
    RegistrationIgnored,
    UserInvited,
    UserRegistered,
)
from actors.protocol.permissions import Permission
from actors.protocol.roles import Registration, Role
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.state import CustomRole, IdentityProvider, Session, TenantState, User
from tests.actors.people import AT_MS, SYSTEM, Person

TOM: Final = Person("tom", Role.TENANT_ADMIN)
ANA: Final = Person("ana", Role.ANALYST)
LEAD: Final = Person("lea", Role.VIEWER)
LATER_MS: Final = AT_MS + 1_000
DIGEST: Final = "d" * 64


def tenant(mode: Registration = Registration.WITH_APPROVAL) -> TenantState:
    """An administrator, an analyst, and a lead who may change users; all are signed in."""
    roles = {"tom": Role.TENANT_ADMIN, "ana": Role.ANALYST, "lea": Role.VIEWER}
    users = {name: User(name, None, name, role, "argon2") for name, role in roles.items()}
    users["lea"] = User("lea", None, "lea", Role.VIEWER, "argon2", custom_role="role_lead")
    lead = CustomRole("Lead", (Permission.USERS_WRITE,))
    sessions = {f"ses_{name}": Session(name, "0" * 64, LATER_MS) for name in users}
    return TenantState(users, sessions, roles={"role_lead": lead}, registration=mode)


def after(state: TenantState, *commands: TenantCommand) -> TenantState:
    """The tenant once commands that must succeed are done."""
    for command in commands:
        event = decide(state, command, AT_MS)
        assert not isinstance(event, Rejection), event
        state = evolve(state, event, command.actor, AT_MS)
    return state


def refusal(state: TenantState, command: TenantCommand, now_ms: int = AT_MS) -> ErrorCode | None:
    """The code of a refusal."""
    decided = decide(state, command, now_ms)
    return decided.code if isinstance(decided, Rejection) else None


def registering(by: Person = SYSTEM, **fields: Any) -> RegisterUser:
    """Nina registers."""
    facts = {"user": "nina", "username": "nina", "display_name": "Nina", "password_hash": "argon2"}
    return by.asks(RegisterUser, **{**facts, **fields})


def inviting(by: Person = TOM, **fields: Any) -> InviteUser:
    """The invitation of nina."""
    facts = {"invitation": "inv_1", "email": "nina@example.org", "user_role": Role.VIEWER}
    secret = {"digest": DIGEST, "expires_ms": LATER_MS}
    return by.asks(InviteUser, **{**facts, **secret, **fields})


def accepting(by: Person = SYSTEM, **fields: Any) -> AcceptInvitation:
    """Nina shows her invitation."""
    facts = {"invitation": "inv_1", "presented": DIGEST, "user": "nina", "username": "nina"}
    return by.asks(
        AcceptInvitation, **{**facts, "display_name": "Nina", "password_hash": "argon2", **fields}
    )


def opening(user: str) -> OpenSession:
    """A sign-in."""
    facts = {"session": "ses_1", "refresh": "0" * 64, "expires_ms": LATER_MS}
    return Person(user, Role.ANALYST).asks(OpenSession, user=user, **facts)


# Registration -----------------------------------------------------------------------------------


def test_nobody_registers_himself_unless_the_tenant_says_so() -> None:
    assert TenantState().registration is Registration.CLOSED
    assert refusal(tenant(Registration.CLOSED), registering()) is ErrorCode.FORBIDDEN
    assert refusal(tenant(), registering(TOM)) is ErrorCode.FORBIDDEN


def test_who_registers_is_an_analyst_who_waits_to_be_approved() -> None:
    state = after(tenant(), registering())
    assert (state.users["nina"].role, state.users["nina"].is_active) == (Role.ANALYST, False)
    assert refusal(state, opening("nina")) is ErrorCode.LOGIN_FAILED
    approved = after(state, TOM.asks(ApproveUser, user="nina"))
    assert refusal(approved, opening("nina")) is None
    assert refusal(approved, TOM.asks(ApproveUser, user="nina")) is ErrorCode.CONFLICT


def test_where_registration_is_open_nobody_waits() -> None:
    state = after(tenant(Registration.OPEN), registering())
    assert refusal(state, opening("nina")) is None


@pytest.mark.parametrize("by", [ANA, LEAD])
def test_who_could_not_make_an_analyst_neither_approves_one_nor_opens_registration(
    by: Person,
) -> None:
    state = after(tenant(), registering())
    assert refusal(state, by.asks(ApproveUser, user="nina")) is ErrorCode.FORBIDDEN
    opened = by.asks(SetRegistration, mode=Registration.OPEN)
    assert refusal(state, opened) is ErrorCode.FORBIDDEN


def test_a_name_that_is_taken_makes_a_record_and_no_user() -> None:
    facts: list[dict[str, Any]] = [{"username": "ANA"}, {"user": "tom"}]
    for taken in facts:
        event = decide(tenant(), registering(**taken), AT_MS)
        assert isinstance(event, RegistrationIgnored)
        assert evolve(tenant(), event, "nina", AT_MS) == tenant()
        shown = audit_facts(event.kind, content_of(event, ""))
        assert (shown.operation, shown.outcome) == ("user.register", "refused")


def test_a_registration_with_hidden_characters_is_refused_before_names_are_compared() -> None:
    shady = registering(username="ana\u202e")
    assert refusal(tenant(), shady) is ErrorCode.INVALID


def test_no_more_than_so_many_wait_to_be_approved_and_a_deleted_one_does_not() -> None:
    state = tenant()
    for number in range(PENDING_USERS_MAX):
        state = after(state, registering(user=f"n{number}", username=f"n{number}"))
    # Also for a name that is taken: or the answer would tell it.
    assert refusal(state, registering()) is ErrorCode.TOO_MANY
    assert refusal(state, registering(username="ana")) is ErrorCode.TOO_MANY
    state = after(state, TOM.asks(DeleteUser, user="n1"))
    assert refusal(state, registering()) is None
    assert refusal(state, TOM.asks(ApproveUser, user="n1")) is ErrorCode.CONFLICT


def test_no_hash_of_a_newcomer_is_shown_to_an_auditor() -> None:
    event = decide(tenant(), registering(), AT_MS)
    assert isinstance(event, UserRegistered)
    assert "argon2" not in repr(event)
    assert "argon2" not in repr(audit_facts(event.kind, content_of(event, "")))


# Invitations ------------------------------------------------------------------------------------


def test_an_invitation_makes_a_user_of_its_role_and_e_mail_once() -> None:
    state = after(tenant(), inviting(user_role=Role.ANALYST), accepting())
    nina = state.users["nina"]
    assert (nina.email, nina.role, nina.is_active) == ("nina@example.org", Role.ANALYST, True)
    again = accepting(user="nina2", username="nina2")
    assert refusal(state, again) is ErrorCode.NOT_FOUND
    assert state.invitations == {}


@pytest.mark.parametrize("wrong", [{"presented": "e" * 64}, {"invitation": "inv_2"}])
def test_a_wrong_secret_makes_nobody_a_user(wrong: dict[str, Any]) -> None:
    assert refusal(after(tenant(), inviting()), accepting(**wrong)) is ErrorCode.NOT_FOUND


def test_an_invitation_that_is_over_or_revoked_is_good_for_nothing() -> None:
    state = after(tenant(), inviting())
    assert refusal(state, accepting(), LATER_MS) is ErrorCode.NOT_FOUND
    assert refusal(state, accepting(), LATER_MS - 1) is None
    revoked = after(state, TOM.asks(RevokeInvitation, invitation="inv_1"))
    assert refusal(revoked, accepting()) is ErrorCode.NOT_FOUND
    gone = TOM.asks(RevokeInvitation, invitation="inv_1")
    assert refusal(revoked, gone) is ErrorCode.NOT_FOUND


def test_an_invitation_waits_while_the_name_is_taken() -> None:
    state = after(tenant(), inviting())
    assert refusal(state, accepting(username="ana")) is ErrorCode.CONFLICT
    assert refusal(state, accepting()) is None


def test_an_invitation_to_a_role_that_is_gone_is_good_for_nothing() -> None:
    made = TOM.asks(CreateRole, new_role="role_x", name="X", permissions=frozenset())
    state = after(tenant(), made, inviting(custom_role="role_x"))
    assert refusal(state, accepting()) is None
    assert refusal(after(state, TOM.asks(DeleteRole, deleted_role="role_x")), accepting()) is (
        ErrorCode.NOT_FOUND
    )


def test_nobody_invites_to_more_than_he_has_and_only_the_gateway_accepts() -> None:
    state = tenant()
    assert refusal(state, inviting(ANA)) is ErrorCode.FORBIDDEN
    assert refusal(state, inviting(LEAD, user_role=Role.TENANT_ADMIN)) is ErrorCode.FORBIDDEN
    assert refusal(state, inviting(user_role=Role.SYSTEM)) is ErrorCode.INVALID
    assert refusal(after(state, inviting()), accepting(TOM)) is ErrorCode.FORBIDDEN
    revoke = ANA.asks(RevokeInvitation, invitation="inv_1")
    assert refusal(after(state, inviting()), revoke) is ErrorCode.FORBIDDEN


def test_an_e_mail_is_invited_once_at_a_time_and_so_many_at_all() -> None:
    state = after(tenant(), inviting())
    again = inviting(invitation="inv_2", email="NINA@example.org")
    assert refusal(state, again) is ErrorCode.CONFLICT
    assert refusal(state, again, LATER_MS) is None
    for number in range(INVITATIONS_MAX - 1):
        other: dict[str, Any] = {"invitation": f"inv_n{number}", "email": f"n{number}@example.org"}
        state = after(state, inviting(**other))
    more = inviting(invitation="inv_more", email="more@example.org")
    assert refusal(state, more) is ErrorCode.TOO_MANY


def test_neither_the_digest_nor_the_hash_of_an_invitation_is_shown() -> None:
    invited = decide(tenant(), inviting(), AT_MS)
    accepted = decide(after(tenant(), inviting()), accepting(), AT_MS)
    assert isinstance(invited, UserInvited)
    assert isinstance(accepted, InvitationAccepted)
    for event in (invited, accepted):
        shown = repr(event) + repr(audit_facts(event.kind, content_of(event, "")))
        assert DIGEST not in shown
        assert "argon2" not in shown


# One session ------------------------------------------------------------------------------------


def test_a_session_is_ended_by_its_user_or_by_who_may_change_him() -> None:
    state = tenant()
    for by, reason in ((ANA, "signed out"), (TOM, "signed out by an administrator")):
        event = decide(state, by.asks(EndSession, session="ses_ana", user="ana"), AT_MS)
        assert isinstance(event, SessionEnded)
        assert event.reason == reason
    assert refusal(state, LEAD.asks(EndSession, session="ses_tom", user="tom")) is (
        ErrorCode.FORBIDDEN
    )
    assert refusal(state, ANA.asks(EndSession, session="ses_tom", user="tom")) is (
        ErrorCode.FORBIDDEN
    )


@pytest.mark.parametrize(
    ("session", "user"), [("ses_tom", "ana"), ("ses_x", "ana"), ("ses_ana", "x")]
)
def test_a_session_of_another_user_than_the_one_named_is_not_there(session: str, user: str) -> None:
    command = TOM.asks(EndSession, session=session, user=user)
    assert refusal(tenant(), command) is ErrorCode.NOT_FOUND
    own = ANA.asks(EndSession, session="ses_tom", user="ana")
    assert refusal(tenant(), own) is ErrorCode.NOT_FOUND


# Names of people who are known elsewhere ----------------------------------------------------------


@pytest.mark.parametrize("mode", [Registration.OPEN, Registration.WITH_APPROVAL])
def test_a_name_that_the_directory_knows_makes_a_record_and_no_user(mode: Registration) -> None:
    event = decide(tenant(mode), registering(in_directory=True), AT_MS)
    assert isinstance(event, RegistrationIgnored)
    assert "directory" in event.reason
    assert evolve(tenant(mode), event, "nina", AT_MS) == tenant(mode)


def test_where_a_provider_knows_people_whom_nobody_can_ask_about_open_means_with_approval() -> None:
    state = replace(tenant(Registration.OPEN), identity_provider=IdentityProvider({}, ""))
    state = after(state, registering())
    assert refusal(state, opening("nina")) is ErrorCode.LOGIN_FAILED
    approved = after(state, TOM.asks(ApproveUser, user="nina"))
    assert refusal(approved, opening("nina")) is None


def test_an_invitation_is_not_accepted_under_a_name_that_the_directory_knows() -> None:
    state = after(tenant(), inviting())
    assert refusal(state, accepting(in_directory=True)) is ErrorCode.CONFLICT
    assert refusal(state, accepting()) is None
