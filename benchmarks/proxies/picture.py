"""CPU per request in every case, as multiples of nginx's: a dot for each proxy on a logarithmic axis, in SVG."""

from math import log2

from benchmarks.proxies.cases import CASES
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.results import REFERENCE, Results, cpu

WIDTH, LEFT, RIGHT, TOP, ROW = 900, 190, 870, 70, 24
LOWEST, HIGHEST = 0.5, 16.0
COLOURS = {
    "floor": "#999999",
    "nginx": "#1f8a4c",
    "haproxy": "#3b6fb5",
    "gatekeeper": "#c0392b",
    "gatekeeper-compiled": "#e67e73",
    "envoy": "#8e44ad",
    "caddy": "#c77d0a",
    "aiohttp": "#555555",
}


def x(ratio: float) -> float:
    """Where a ratio is; what is beyond the ends stands at them."""
    part = log2(min(max(ratio, LOWEST), HIGHEST) / LOWEST) / log2(HIGHEST / LOWEST)
    return round(LEFT + (RIGHT - LEFT) * part, 1)


def _text(at: float, y: float, text: str, *, anchor: str = "start", fill: str = "#222", size: int = 12) -> str:
    return f'<text x="{at}" y="{y}" text-anchor="{anchor}" fill="{fill}" font-size="{size}">{text}</text>'


def draw(results: Results) -> str:
    """Empty if there is no case with nginx in it."""
    cases = [case for case in CASES if results.runs(case, REFERENCE)]
    if not cases:
        return ""
    bottom = TOP + ROW * len(cases)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 30}" font-family="sans-serif" '
        'role="img" aria-label="CPU per request of each proxy in each case, as multiples of that of nginx">'
    )
    out = [
        head,
        f'<rect width="{WIDTH}" height="{bottom + 30}" fill="#ffffff"/>',
        _text(LEFT, 22, f"CPU per request, times that of {REFERENCE} (further left is cheaper)", size=14),
    ]
    at = float(LEFT)
    for name in CONTESTANTS:
        if any(results.runs(case, name) for case in cases):
            out.append(f'<circle cx="{at + 5}" cy="42" r="5" fill="{COLOURS[name]}"/>')
            out.append(_text(at + 14, 46, name))
            at += 34 + 7 * len(name)
    for tick in (0.5, 1, 2, 4, 8, 16):
        strong = tick == 1
        stroke = "#888" if strong else "#ddd"
        out.append(f'<path d="M{x(tick)} {TOP - 8}V{bottom}" stroke="{stroke}" stroke-width="1"/>')
        out.append(_text(x(tick), bottom + 18, f"{tick:g}", anchor="middle", fill="#444"))
    for row, case in enumerate(cases):
        y = TOP + ROW * row + ROW / 2
        out.append(f'<path d="M{LEFT} {y}H{RIGHT}" stroke="#eee" stroke-width="1"/>')
        out.append(_text(LEFT - 10, y + 4, case, anchor="end"))
        for name, colour in COLOURS.items():
            ratio = results.ratio(case, name, REFERENCE, cpu)
            if ratio is not None:
                radius = 6 if name == "gatekeeper" else 4.5
                told = f"<title>{name}, {case}: {ratio:.2f}</title>"
                out.append(f'<circle cx="{x(ratio)}" cy="{y}" r="{radius}" fill="{colour}">{told}</circle>')
    return "\n".join([*out, "</svg>"]) + "\n"
