"""Companies whose people sign in with a directory that the company keeps itself."""

from dataclasses import dataclass, replace
from typing import Any

import httpx

from gateway.directory.settings import DirectorySettings
from gateway.directory.stored import KEPT
from tests.e2e.clients import Client, Json
from tests.e2e.system import PASSWORD as LOCAL_PASSWORD
from tests.e2e.system import Company

PATH = "/tenants/current/directory"


@dataclass(frozen=True)
class Employer:
    """A company, the gateway at which its people knock, and the settings of its directory."""

    company: Company
    http: httpx.AsyncClient
    settings: DirectorySettings
    password: str

    def at(self, http: httpx.AsyncClient) -> "Employer":
        """The same at another gateway."""
        return replace(self, http=http)

    def body(self, **changes: Any) -> Json:
        """What an administrator puts."""
        password = self.settings.bind_password.get_secret_value()
        return {**KEPT.shown(self.settings), "bind_password": password, **changes}

    async def admin(self) -> Client:
        """The administrator, a local user."""
        return await Client.sign_in(self.http, self.company.username("tom"), LOCAL_PASSWORD)

    async def install(self, **changes: Any) -> Client:
        """Put the settings; the administrator."""
        admin = await self.admin()
        await admin.call("PUT", PATH, self.body(**changes))
        return admin

    async def sign_in(self, name: str) -> Client:
        """Somebody of the directory, signed in."""
        return await Client.sign_in(self.http, f"{name}@{self.company.tenant}", self.password)

    async def knock(self, name: str, password: str | None = None) -> httpx.Response:
        """What somebody is told who tries to sign in."""
        credentials = {
            "username": f"{name}@{self.company.tenant}",
            "password": self.password if password is None else password,
        }
        return await Client(self.http).ask("POST", "/auth/login", credentials)

    async def view(self, user: str) -> Json:
        """A user as the administrator sees him."""
        return await (await self.admin()).call("GET", f"/users/{user}")


async def refreshed(client: Client) -> httpx.Response:
    """What a client is told who exchanges its refresh token; a new pair is taken."""
    answer = await client.ask("POST", "/auth/refresh", {"refresh_token": client.refresh})
    if answer.is_success:
        client.access = answer.json()["access_token"]
        client.refresh = answer.json()["refresh_token"]
    return answer


def told(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]
