"""Credentials go in and are nowhere afterwards: a canary in every field that takes or gives one."""

from uuid import uuid4

from websockets.asyncio.client import connect

from tests.e2e.clients import Client, bare_socket
from tests.e2e.system import Company
from tests.e2e.traces import forms_of, left_behind


class Canaries:
    """Secrets that were never anywhere else, by where they were used."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}

    def new(self, where: str) -> str:
        """A password for a field."""
        return self.note(where, f"canary {where} {uuid4().hex}")

    def note(self, where: str, secret: str) -> str:
        """A secret that the system itself gave."""
        assert secret
        self.used[where] = secret
        return secret

    def found_in(self, traces: bytes) -> list[str]:
        """Where the canaries were used that are there."""
        return [
            where
            for where, secret in self.used.items()
            if any(form in traces for form in forms_of(secret))
        ]


async def test_no_credential_is_in_a_database_a_record_a_log_or_a_stream(company: Company) -> None:
    canaries = Canaries()
    tom = await company.sign_in("tom")
    name = uuid4().hex
    made = await _made_and_changed_by_the_administrator(tom, name, canaries)
    nina = await Client.sign_in(tom.http, name, made)
    changed = canaries.new("own new password")
    await nina.call("POST", "/auth/password", {"old_password": made, "password": changed})
    nina = await Client.sign_in(tom.http, name, changed)
    await _tokens(nina, canaries)
    await _wrong_ones(nina, name, canaries)
    await _who_joins(tom, company, canaries)

    answers = [
        await tom.ask("GET", "/audit-logs?limit=200"),
        await tom.ask("GET", "/audit-logs/export?format=json"),
        await tom.ask("GET", "/users?limit=200"),
        await nina.ask("GET", "/auth/me"),
    ]
    assert all(answer.is_success for answer in answers)
    traces = await left_behind(company) + b"".join(answer.content for answer in answers)
    # What is looked through holds what the test did.
    assert name.encode() in traces
    assert company.tenant.encode() in traces
    assert canaries.found_in(traces) == []


async def _made_and_changed_by_the_administrator(tom: Client, name: str, canaries: Canaries) -> str:
    user = {"username": name, "display_name": "Nina", "role": "analyst"}
    first = canaries.new("password of a new user")
    made = await tom.call("POST", "/users", {**user, "password": first})
    second = canaries.new("password from the administrator")
    await tom.call("POST", f"/users/{made['user']}/password", {"password": second})
    return second


async def _tokens(who: Client, canaries: Canaries) -> None:
    canaries.note("access token", who.access)
    canaries.note("used refresh token", who.refresh)
    pair = await who.call("POST", "/auth/refresh", {"refresh_token": who.refresh})
    who.access = canaries.note("second access token", pair["access_token"])
    who.refresh = canaries.note("refresh token", pair["refresh_token"])
    ticket = (await who.call("POST", "/auth/ws-ticket"))["ticket"]
    canaries.note("ticket of a socket", ticket)
    url = f"{who.http.base_url}/ws/v1?ticket={ticket}".replace("http", "ws", 1)
    async with connect(url) as socket:
        assert "welcome" in str(await socket.recv())
    async with who.socket():
        pass


async def _wrong_ones(who: Client, name: str, canaries: Canaries) -> None:
    nobody = Client(who.http)
    wrong = {"username": name, "password": canaries.new("wrong password")}
    assert (await nobody.ask("POST", "/auth/login", wrong)).status_code == 401
    as_name = {"username": canaries.new("password typed as a name")[:64], "password": "x"}
    assert (await nobody.ask("POST", "/auth/login", as_name)).status_code == 401
    stale = {"refresh_token": canaries.new("refresh token never issued")}
    assert (await nobody.ask("POST", "/auth/refresh", stale)).status_code == 401
    old = {"old_password": canaries.new("wrong old password"), "password": "another password"}
    assert (await who.ask("POST", "/auth/password", old)).status_code in (401, 403)
    short = {"old_password": canaries.new("refused"), "password": "short", "more": "x"}
    assert (await who.ask("POST", "/auth/password", short)).status_code == 422
    bearer = Client(who.http, access=canaries.new("bearer that is none"))
    assert (await bearer.ask("GET", "/auth/me")).status_code == 401
    async with bare_socket(who.http) as socket:
        await socket.send(type="hello", token=canaries.new("hello that is none"))
        assert (await socket.get())["type"] == "error"


async def _who_joins(tom: Client, company: Company, canaries: Canaries) -> None:
    await tom.call("PUT", "/policies/registration", {"mode": "with_approval"})
    someone = {"username": uuid4().hex, "display_name": "Someone", "tenant": company.tenant}
    someone["password"] = canaries.new("password of a registration")
    answer = await Client(tom.http).ask("POST", "/auth/register", someone)
    assert answer.status_code == 202
    email = f"{uuid4().hex}@example.org"
    made = await tom.call("POST", "/invitations", {"email": email, "role": "viewer"})
    accepted = {
        "token": canaries.note("token of an invitation", made["token"]),
        "username": uuid4().hex,
        "display_name": "Invited",
        "password": canaries.new("password of who was invited"),
    }
    answer = await Client(tom.http).ask("POST", "/auth/invitations/accept", accepted)
    assert answer.status_code == 201
