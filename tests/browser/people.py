"""A person with a browser of his own: what he opens and clicks, and what must never happen while he does."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.system.team import Team

OUTPUT = Path(__file__).parent / "output"
PATIENCE = 15_000.0
"""Milliseconds for what takes a second on an idle machine."""
expect.set_options(timeout=PATIENCE)
NOT_SIGNED_IN = r"401 .*/session$"
"""Chromium writes every refused request into its console; this one is how the page learns that nobody is signed in."""


class Person:
    """One browser context. ``expected`` are patterns of what may stand in its console, besides nothing."""

    def __init__(self, browser, base, name=None, **context):
        self.base, self.name = base, name
        self.expected = [NOT_SIGNED_IN]
        self.console, self.asked, self.failures = [], [], []
        self.context = browser.new_context(reduced_motion="reduce", **context)
        self.context.set_default_timeout(PATIENCE)
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.failures.append(str(error)))
        self.page.on("dialog", lambda dialog: self.failures.append(f"a dialog of the browser: {dialog.message}"))

    def _heard(self, message):
        if message.type in {"error", "warning"}:
            self.console.append(f"{message.text} {message.location.get('url', '')}")

    def close(self):
        self.context.close()

    def check(self):
        """Nothing failed, nothing was asked of anybody else, the console is empty."""
        assert self.failures == [], self.failures
        foreign = [url for url in self.asked if not url.startswith((f"{self.base}/", "data:", "blob:"))]
        assert foreign == [], foreign
        patterns = [re.compile(pattern) for pattern in self.expected]
        unexpected = [line for line in self.console if not any(pattern.search(line) for pattern in patterns)]
        assert unexpected == [], unexpected

    # Going

    def open(self, where=""):
        """A view; signs in where that is asked."""
        self.page.goto(f"{self.base}/{where}")
        if self.name is not None and not self.signed_in():
            self.enter()
        return self

    def signed_in(self):
        either = self.page.locator("input[name=token], .standing .who").first
        expect(either).to_be_visible()
        return self.page.locator(".standing .who").is_visible()

    def enter(self, token=None):
        self.page.get_by_label("Token").fill(token or Team.token(self.name))
        self.page.get_by_role("button", name="Sign in").click()
        if token is None:
            expect(self.page.locator(".standing .who")).to_contain_text(self.name)

    # Doing

    def button(self, name):
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def dialog(self):
        return self.page.get_by_role("dialog")

    def press(self, name, confirm, **fields):
        """Open an act's dialog, fill it in, and confirm; the dialog is gone afterwards."""
        self.button(name).click()
        for label, value in fields.items():
            self.dialog.locator(f"[name={label}]").fill(value)
        go = self.dialog.get_by_role("button", name=confirm, exact=True)
        expect(go).to_be_enabled()
        go.click()
        expect(self.dialog).to_have_count(0)

    def sees(self, *texts):
        """Each of these texts is on the page, soon."""
        for text in texts:
            expect(self.page.locator("body")).to_contain_text(text)
        return self

    def sees_not(self, *texts):
        for text in texts:
            expect(self.page.locator("body")).not_to_contain_text(text)
        return self

    def outcome(self, text):
        """What the page says of the last change, once it begins so."""
        said = self.page.locator(".outcome p")
        expect(said).to_have_text(re.compile(f"^{re.escape(text)}"))
        return said.inner_text()

    def shoot(self, name):
        """A picture of the whole page, for people."""
        OUTPUT.mkdir(exist_ok=True)
        self.page.screenshot(path=OUTPUT / f"{name}.png", full_page=True)
