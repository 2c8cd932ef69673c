"""Texts of people who mean no good, and what they would have done."""

MARKUP = (
    "<img src=x onerror=\"window.pwned='img'\"><script>window.pwned='script'</script>"
    "<b id=pwned>bold</b>\"'><svg onload=\"window.pwned='svg'\">"
)
TURNED = "abc\N{RIGHT-TO-LEFT OVERRIDE}txt.exe\N{ZERO WIDTH SPACE}\N{RIGHT-TO-LEFT ISOLATE}"
HEBREW = "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}\N{HEBREW LETTER VAV}\N{HEBREW LETTER FINAL MEM}"
HOSTILE = f"{MARKUP} {HEBREW}"
"""What fits a build, a short text."""
LONG = f"{MARKUP} {HEBREW} {'x' * 500}"
"""What fits a note: gatekeeper refuses characters that cannot be seen."""

SAY = f"printf '%s\\n' '{HOSTILE.replace(chr(39), '')} {TURNED}'; printf '\\033[2J\\007\\200\\n'; exit 1"
"""A check that prints it all, with control characters and what is no UTF-8, and fails."""

DONE = """() => ({
    ran: window.pwned ?? null,
    made: document.querySelectorAll("#pwned, main img, main script, main svg[onload]").length,
})"""
"""Whether any of it was taken for more than text."""


def nothing_happened(page):
    assert page.evaluate(DONE) == {"ran": None, "made": 0}


def fits(page):
    """Nothing makes the page wider than the window."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} pixels too wide"
