"""What of a page can be measured: contrast of texts, names of controls, order of headings, labels of inputs."""

CONTRAST = """() => {
    const parse = (text) => {
        const found = text.match(/[\\d.]+/g).map(Number);
        return { rgb: found.slice(0, 3), a: found.length > 3 ? found[3] : 1 };
    };
    const light = (rgb) => {
        const [r, g, b] = rgb.map((one) => {
            const part = one / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const over = (top, below) => top.rgb.map((one, at) => one * top.a + below[at] * (1 - top.a));
    const ground = (element) => {
        const layers = [];
        for (let one = element; one !== null; one = one.parentElement) {
            const colour = parse(getComputedStyle(one).backgroundColor);
            if (colour.a > 0) layers.push(colour);
            if (colour.a === 1) break;
        }
        return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
    };
    const wrong = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        const element = node.parentElement;
        const seen = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
        if (!node.nodeValue.trim() || !seen) continue;
        if (element.closest(".unseen, noscript, button:disabled, option, .skip")) continue;
        const style = getComputedStyle(element);
        const below = ground(element);
        const [a, b] = [light(over(parse(style.color), below)), light(below)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        if (ratio >= (large ? 3 : 4.5)) continue;
        wrong.push(`${ratio.toFixed(2)} ${element.className}: ${node.nodeValue.slice(0, 40)}`);
    }
    return [...new Set(wrong)];
}"""
"""Texts with less contrast than WCAG 2.2 asks at level AA (1.4.3)."""

FAULTS = """() => {
    const found = [];
    const named = (one) => one.getAttribute("aria-label") || one.labels?.length
        || document.getElementById(one.getAttribute("aria-labelledby"))?.textContent.trim() || one.textContent.trim();
    const controls = "a, button, input, select, textarea, dialog, section, nav, meter, progress";
    for (const one of document.querySelectorAll(`${controls}, [role=img], [role=group], [role=region]`)) {
        if (!named(one)) found.push(`no name: ${one.outerHTML.slice(0, 80)}`);
    }
    const levels = [...document.querySelectorAll("h1, h2, h3")].map((one) => Number(one.nodeName[1]));
    if (levels.filter((level) => level === 1).length !== 1) found.push(`headings of level 1: ${levels}`);
    const jumps = levels.some((level, at) => at > 0 && level > levels[at - 1] + 1);
    if (jumps) found.push(`a level is left out: ${levels}`);
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    found.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `twice: #${id}`));
    for (const one of ["header", "main"]) {
        if (document.querySelectorAll(`body > ${one}`).length !== 1) found.push(`landmark ${one}`);
    }
    for (const one of document.querySelectorAll("canvas")) {
        if (!one.closest("[role=img][aria-label]")) found.push("a chart without a text");
    }
    for (const one of document.querySelectorAll("th")) {
        if (!one.scope) found.push(`th without scope: ${one.textContent}`);
    }
    return found;
}"""
"""What a reader of the page by ear or keyboard would stumble over."""
