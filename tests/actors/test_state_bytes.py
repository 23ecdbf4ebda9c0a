"""States survive their snapshot, whatever is in them."""

from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.commands import IncidentLink
from actors.protocol.markings import HIGHEST, LOWEST, Marking, Pap, Tlp
from actors.protocol.permissions import Permission
from actors.protocol.roles import Registration, Role, RoomRole
from actors.protocol.tenancy import STATUSES, ManagedTenant, Mappings, TenantProfile, Volume
from actors.room import state as room_state
from actors.room.state import RoomState
from actors.tenant import state as tenant_state
from actors.tenant.state import CustomRole, Directory, Invitation, Session, TenantState, User

texts = st.text(max_size=30)
tokens = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
maybe = st.none() | texts
times = st.integers(min_value=0, max_value=2**53 - 1)

rooms = st.builds(
    RoomState,
    name=texts,
    kind=st.sampled_from(["", "standing", "incident", "direct"]),
    status=st.sampled_from(["open", "closed"]),
    incident=st.none()
    | st.builds(
        IncidentLink,
        incident=texts,
        alert=maybe,
        ticket=maybe,
        source=maybe,
        source_id=maybe,
        severity=maybe,
    ),
    members=st.dictionaries(tokens, st.sampled_from(RoomRole), max_size=5),
    open_to=st.frozensets(st.sampled_from(Role)),
    created_ms=times,
    created_by=tokens,
    marking=st.builds(
        Marking,
        clearance=st.integers(LOWEST, HIGHEST),
        tlp=st.sampled_from(Tlp),
        pap=st.sampled_from(Pap),
    ),
)
users = st.builds(
    User,
    username=texts,
    email=maybe,
    display_name=texts,
    role=st.sampled_from(Role),
    password_hash=texts,
    disabled=st.booleans(),
    deleted=st.booleans(),
    clearance=st.integers(LOWEST, HIGHEST),
    directory_key=tokens | st.just(""),
    suspended=st.booleans(),
    custom_role=st.none() | tokens,
    pending=st.booleans(),
    grants=st.dictionaries(tokens, st.sampled_from(Role), max_size=3),
)
directories = st.builds(
    Directory, settings=st.dictionaries(tokens, texts | st.lists(texts)), secret=texts
)
names = st.text(alphabet="abc äß", min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)
managed = st.builds(
    ManagedTenant,
    status=st.sampled_from(STATUSES),
    profile=st.builds(
        TenantProfile,
        name=names,
        phone=st.just("+49 30 1234"),
        industry=st.just("Energy"),
        country=st.sampled_from(["", "DE"]),
        picture=st.none() | st.just("https://example.org/a.png"),
        volume=st.none() | st.just(Volume(unit="eps", amount=5)),
        mappings=st.builds(Mappings, siem_domains=st.lists(names, max_size=2).map(tuple)),
        data_region=st.just(""),
    ),
    since_ms=times,
    due_ms=st.none() | times,
    was_suspended=st.booleans(),
)
sessions = st.builds(Session, user=tokens, refresh=texts, expires_ms=times)
roles = st.builds(
    CustomRole, name=texts, permissions=st.lists(st.sampled_from(Permission), max_size=3).map(tuple)
)
invitations = st.builds(
    Invitation,
    email=texts,
    role=st.sampled_from(Role),
    custom_role=st.none() | tokens,
    digest=texts,
    expires_ms=times,
)
tenants = st.builds(
    TenantState,
    users=st.dictionaries(tokens, users, max_size=4),
    sessions=st.dictionaries(tokens, sessions, max_size=4),
    directory=st.none() | directories,
    roles=st.dictionaries(tokens, roles, max_size=3),
    registration=st.sampled_from(Registration),
    invitations=st.dictionaries(tokens, invitations, max_size=3),
    locked=st.booleans(),
    tenants=st.dictionaries(tokens, managed, max_size=2),
)


@given(rooms)
def test_a_room_comes_back_from_its_snapshot(state: RoomState) -> None:
    data = room_state.state_to_bytes(state)
    again = room_state.state_from_bytes(data)
    assert again == state
    assert room_state.state_to_bytes(again) == data


@given(tenants)
def test_a_tenant_comes_back_from_its_snapshot(state: TenantState) -> None:
    data = tenant_state.state_to_bytes(state)
    again = tenant_state.state_from_bytes(data)
    assert again == state
    assert tenant_state.state_to_bytes(again) == data


@given(tenants)
def test_no_secret_of_a_tenant_is_shown(state: TenantState) -> None:
    for user in state.users.values():
        assert "password_hash" not in repr(user)
    for session in state.sessions.values():
        assert "refresh" not in repr(session)
