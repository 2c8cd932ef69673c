"""A browser in front of the admin server: it keeps cookies, and says where its page came from."""

from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from typing import Any

import pytest

from tests.control.conftest import Api


@dataclass
class Browser:
    """``await browser("GET", "/session")`` from its own page; ``site`` is what another page would make of it."""

    api: Api
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""
    site: dict[str, str] = field(default_factory=lambda: {"Sec-Fetch-Site": "same-origin"})
    answered: SimpleCookie = field(default_factory=SimpleCookie)
    """The cookies of the last answer, with their attributes."""

    async def __call__(self, method: str, path: str, **more: Any) -> tuple[int, Any, Any]:
        headers = {**self.site, **({"X-Gatekeeper-CSRF": self.csrf} if self.csrf else {}), **more.pop("headers", {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        status, document, found = await self.api(method, path, headers=headers, **more)
        self.answered = SimpleCookie()
        for line in found.getall("Set-Cookie", []):
            self.answered.load(line)
        for name, one in self.answered.items():
            self.cookies[name] = one.value
            if one["max-age"] == "0" or not one.value:
                del self.cookies[name]
        return status, document, found

    async def sign_in(self, token: str, **headers: str) -> "Browser":
        status, problem, _ = await self("POST", "/session", json={"token": token}, headers=headers)
        assert status == 204, problem
        self.csrf = (await self("GET", "/session", headers=headers))[1]["csrf"]
        return self

    def elsewhere(self, **site: str) -> "Browser":
        """The same browser, showing another page."""
        return replace(self, site={name.replace("_", "-"): value for name, value in site.items()})


@pytest.fixture
def browser(tcp: Api) -> Browser:
    # The client's own jar keeps no cookies of a host without a name, so ours are the only ones.
    return Browser(tcp)
