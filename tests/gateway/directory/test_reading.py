"""What names, attributes, groups and settings mean, without a server."""

import socket
import struct
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.roles import Role
from gateway.directory import dn
from gateway.directory.account import ad_data, state_of
from gateway.directory.entries import key_of, primary_group_sid, text_of
from gateway.directory.errors import DirectoryError
from gateway.directory.groups import GROUPS_OF_ONE_MAX, GroupGraph, group_of
from gateway.directory.guard import Guard, GuardedSocket
from gateway.directory.ldap import equals
from gateway.directory.names import alternatives
from gateway.directory.people import AccountState, Group
from gateway.directory.roles import RoleRule, role_of
from gateway.directory.settings import DirectorySettings, Flavour, server_of

AD, LDAP = Flavour.ACTIVE_DIRECTORY, Flavour.LDAP
NOW_S = 1_800_000_000.0


def settings(**changes: Any) -> DirectorySettings:
    """Settings of an Active Directory."""
    base = {
        "servers": ["ldaps://dc1.corp.test"],
        "flavour": "active_directory",
        "bind_dn": "cn=searcher",
        "bind_password": "secret",
        "base_dn": "DC=corp,DC=test",
        "netbios_domain": "CORP",
    }
    return DirectorySettings.model_validate({**base, **changes})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=Ana,OU=SOC", "cn=ana, ou=soc"),
        ("cn=\\41na,ou=x", "CN=Ana,OU=X"),
        ("cn=a\\,b,ou=x", "cn=a\\2cb,ou=x"),
        ("cn=a  b,ou=x", "cn=A B,ou=x"),
        ("cn=a+uid=b,ou=x", "uid=B+cn=A,ou=x"),
        ("cn=m\\c3\\bcller", "cn=MÜLLER"),
    ],
)
def test_spellings_of_one_name_are_the_same(one: str, other: str) -> None:
    assert dn.parse(one) == dn.parse(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a,ou=x", "cn=a\\,ou=x"),
        ("cn=a,ou=x", "cn=a+ou=x"),
        ("cn=a\\\\41", "cn=a\\41"),
        ("cn=a", "uid=a"),
        ("cn=a,ou=x", "cn=a,ou=x,dc=y"),
    ],
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert dn.parse(one) != dn.parse(other)


@pytest.mark.parametrize("text", ["", "a", "=a", "cn=a,", "cn=a,,ou=b", "cn=\\ff"])
def test_what_is_no_dn_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"part of a DN|codec"):
        dn.parse(text)


@given(st.binary(min_size=1, max_size=40))
def test_a_filter_holds_nothing_of_a_value_but_hex(value: bytes) -> None:
    inside = equals("uid", value).removeprefix("(uid=").removesuffix(")")
    assert bytes.fromhex(inside.replace("\\", "")) == value
    assert inside.count("\\") == len(value)


def test_the_highest_role_wins_and_strangers_get_none() -> None:
    rules = (
        RoleRule(group="viewers", role=Role.VIEWER),
        RoleRule(group="CN=Admins, OU=SOC,DC=corp", role=Role.TENANT_ADMIN),
        RoleRule(group="Analysts", role=Role.ANALYST),
    )
    viewers, analysts = Group("cn=Viewers,dc=corp", "Viewers"), group_of("cn=analysts,dc=corp")
    admins, false_admins = group_of("cn=admins,ou=soc,dc=corp"), group_of("cn=admins,dc=corp")
    assert role_of([], rules) is None
    assert role_of([false_admins, group_of("cn=others,dc=corp")], rules) is None
    assert role_of([viewers], rules) is Role.VIEWER
    assert role_of([viewers, analysts], rules) is Role.ANALYST
    assert role_of([analysts, admins, viewers], rules) is Role.TENANT_ADMIN
    assert role_of([admins], ()) is None


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.EXTERNAL])
def test_no_group_makes_a_person_a_system(role: Role) -> None:
    rule = RoleRule.model_construct(group="soc", role=role)
    assert role_of([group_of("cn=soc,dc=corp")], (rule,)) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ana", [("sAMAccountName", "ana")]),
        ("CORP\\ana", [("sAMAccountName", "ana")]),
        ("OTHER\\ana", []),
        ("\\ana", []),
        ("a@b.test", [("mail", "a@b.test"), ("userPrincipalName", "a@b.test")]),
        (
            "a@Corp.Test",
            [
                ("mail", "a@Corp.Test"),
                ("userPrincipalName", "a@Corp.Test"),
                ("sAMAccountName", "a"),
            ],
        ),
    ],
)
def test_a_typed_name_means(typed: str, meant: list[tuple[str, str]]) -> None:
    assert [term for terms in alternatives(typed, settings()) for term in terms] == meant


def test_without_a_netbios_domain_no_domain_is_taken() -> None:
    assert alternatives("\\ana", settings(netbios_domain="")) == ()
    assert alternatives("CORP\\ana", settings(netbios_domain="")) == ()


FILETIME_PAST, FILETIME_FUTURE = b"116444736000000000", b"160000000000000000"


@pytest.mark.parametrize(
    ("flavour", "raw", "state"),
    [
        (AD, {}, AccountState.ACTIVE),
        (AD, {"useraccountcontrol": [b"512"], "pwdlastset": [b"1"]}, AccountState.ACTIVE),
        (AD, {"useraccountcontrol": [b"514"]}, AccountState.DISABLED),
        (AD, {"accountexpires": [FILETIME_PAST]}, AccountState.EXPIRED),
        (AD, {"accountexpires": [FILETIME_FUTURE]}, AccountState.ACTIVE),
        (AD, {"accountexpires": [b"0"]}, AccountState.ACTIVE),
        (AD, {"accountexpires": [b"9223372036854775807"]}, AccountState.ACTIVE),
        (AD, {"lockouttime": [b"1"]}, AccountState.LOCKED),
        (
            AD,
            {"lockouttime": [b"1"], "msds-user-account-control-computed": [b"0"]},
            AccountState.ACTIVE,
        ),
        (AD, {"msds-user-account-control-computed": [b"16"]}, AccountState.LOCKED),
        (AD, {"pwdlastset": [b"0"]}, AccountState.MUST_CHANGE_PASSWORD),
        (AD, {"pwdlastset": [b"0"], "useraccountcontrol": [b"66048"]}, AccountState.ACTIVE),
        (AD, {"msds-user-account-control-computed": [b"8388608"]}, AccountState.PASSWORD_EXPIRED),
        (AD, {"useraccountcontrol": [b"\xff"]}, AccountState.ACTIVE),
        (LDAP, {}, AccountState.ACTIVE),
        (LDAP, {"shadowexpire": [b"-1"]}, AccountState.ACTIVE),
        (LDAP, {"shadowexpire": [b"1"]}, AccountState.EXPIRED),
        (LDAP, {"shadowexpire": [b"99999"]}, AccountState.ACTIVE),
        (LDAP, {"pwdaccountlockedtime": [b"000001010000Z"]}, AccountState.DISABLED),
        (LDAP, {"pwdaccountlockedtime": [b"20200101000000Z"]}, AccountState.ACTIVE),
        (LDAP, {"nsaccountlock": [b"true"]}, AccountState.DISABLED),
        (LDAP, {"pwdreset": [b"TRUE"]}, AccountState.MUST_CHANGE_PASSWORD),
    ],
)
def test_the_state_of_an_account(
    flavour: Flavour, raw: dict[str, list[bytes]], state: AccountState
) -> None:
    assert state_of(raw, flavour, NOW_S) is state


def test_the_code_of_active_directory_is_found_and_nothing_else_is() -> None:
    text = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52E, v1db1"
    assert ad_data(text) == "52e"
    assert ad_data("no data here") == ""


def test_a_key_is_the_uuid_that_windows_shows_and_nothing_else_is_one() -> None:
    shown = uuid.uuid4()
    assert key_of({"objectguid": [shown.bytes_le]}, "objectGUID") == str(shown)
    assert key_of({"entryuuid": [str(shown).upper().encode()]}, "entryUUID") == str(shown)
    for values in ([], [b""], [b"ana"], [b"\xff" * 40], [shown.bytes_le, shown.bytes_le]):
        assert key_of({"objectguid": values}, "objectGUID") is None


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\0b", b"a\nb"])
def test_bytes_that_are_no_text_are_no_name(value: bytes) -> None:
    assert text_of({"cn": [value]}, "cn") == ""


def test_a_long_value_is_cut() -> None:
    assert len(text_of({"cn": [b"x" * 100_000]}, "cn")) == 256


def test_the_primary_group_is_told_from_the_users_own_sid() -> None:
    def sid(last: int) -> bytes:
        return b"\x01\x05\0\0\0\0\0\x05" + struct.pack("<5I", 21, 1, 2, 3, last)

    assert primary_group_sid({"objectsid": [sid(500)], "primarygroupid": [b"513"]}) == sid(513)
    assert primary_group_sid({"objectsid": [b"\x01"], "primarygroupid": [b"513"]}) is None
    assert primary_group_sid({"objectsid": [sid(500)], "primarygroupid": [b"-1"]}) is None


def test_a_round_of_groups_ends_and_too_many_are_refused() -> None:
    graph = GroupGraph()
    for number in range(3):
        name = f"cn=g{number}"
        graph.counting[dn.parse(name)] = group_of(name)
        graph.add_member(dn.parse(name), dn.parse(f"cn=g{(number + 1) % 3}"))
    assert {group.name for group in graph.above([dn.parse("cn=g0")])} == {"g0", "g1", "g2"}
    for number in range(GROUPS_OF_ONE_MAX + 1):
        graph.add_member(dn.parse("cn=ana"), dn.parse(f"cn=h{number}"))
    with pytest.raises(DirectoryError, match="directory_too_large"):
        graph.above([dn.parse("cn=ana")])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"servers": []}, "at least 1"),
        ({"servers": ["https://dc1"]}, "a server is"),
        ({"servers": ["ldaps://ana:secret@dc1"]}, "a server is"),
        ({"servers": ["ldaps://dc1/dc=corp"]}, "a server is"),
        ({"servers": ["ldap://dc1"]}, "goes with"),
        ({"servers": ["ldap://dc1"], "tls": "plain"}, "could be read"),
        ({"bind_dn": ""}, "go together"),
        ({"bind_password": "  "}, "go together"),
        ({"bind_dn": "", "bind_password": ""}, "nobody search"),
        ({"base_dn": "corp.test"}, "part of a DN"),
        ({"user_filter": "objectClass=person"}, "parentheses"),
        ({"user_filter": "(a=b)(c=d)"}, "parentheses"),
        ({"user_filter": "(a=b))"}, "parentheses"),
        ({"names": {"username": "uid)(x"}}, "pattern"),
        ({"ca_file": "/ca.pem", "ca_pem": "x"}, "not both"),
        ({"page_size": 1001}, "1000"),
        ({"surprise": 1}, "not permitted"),
    ],
)
def test_settings_that_can_not_be_are_refused_without_repeating_them(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        settings(**changes)
    assert "secret" not in str(raised.value)


def test_what_one_call_may_read_is_bounded_over_all_its_messages() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        guarded = GuardedSocket(ours, Guard(call_s=5, receive_s=5, bytes_max=20))
        for message in (b"\x30\x03abc", b"\x30\x81\x03abc", b"\x30\x00"):
            theirs.sendall(message + b"\x30\x08rest")
            assert guarded.recv(1) == message
            assert ours.recv(6) == b"\x30\x08rest", "it reads one message and no more"
        theirs.sendall(b"\x30\x07abcdefg")
        with pytest.raises(OSError, match="too large"):
            guarded.recv(4096)


def test_a_server_is_a_host_and_a_port() -> None:
    assert str(server_of("ldaps://dc1.corp.test")) == "ldaps://dc1.corp.test:636"
    assert str(server_of("ldap://[::1]:1389")) == "ldap://[::1]:1389"


def test_names_of_attributes_follow_the_flavour_unless_they_are_set() -> None:
    assert settings().names.key == "objectGUID"
    plain = settings(flavour="ldap", names={"username": "cn"})
    assert (plain.names.key, plain.names.username) == ("entryUUID", "cn")
