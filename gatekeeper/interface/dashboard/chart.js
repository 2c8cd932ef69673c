// One line chart over the last minutes: uPlot, in our colours, with marks on the time axis.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { clock } from "./format.js";

const HEIGHT = 150;
const NEAR = 7; // pixels from which the cursor touches a mark
const LEAST = 120; // seconds shown at least
const FONT = '11px "Inter", system-ui, sans-serif';
const SYNC = "time";

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** How bad a mark is, by what happened. */
export function tone({ kind, text }) {
  if (kind === "release_verdict") return /^rollback/.test(text) ? "bad" : /^(suspicious|invalid|shared)/.test(text) ? "warn" : "plain";
  if (/tripped|rollback|rolled_back|abort|reject/.test(kind)) return "bad";
  return /pause|undone/.test(kind) ? "warn" : "plain";
}

/** On a log scale lines at whole decades are enough. */
function powers(low, high) {
  const found = [];
  for (let power = Math.round(Math.log10(low)); power <= Math.round(Math.log10(high)); power++) found.push(10 ** power);
  return found;
}

const tick = (value, format) => (value === null ? "" : format(value).replace(/\.0+(?=\D|$)/, ""));

const TONES = { bad: "--bad", warn: "--warn", plain: "--muted" };

/**
 * `plan` says what is drawn:
 * lines: [{label, colour (a CSS variable), dash, width, fill, stepped}], bands: [[upper, lower, colour]],
 * format: value -> text, log, least: the top of the axis is at least that, bar: a value drawn across, labelled: the
 * marks have their labels.
 */
export class Chart {
  constructor(host, plan, hovered) {
    this.host = host;
    this.plan = plan;
    this.hovered = hovered;
    this.marks = [];
    this.span = 600;
    this.make();
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(host);
  }

  make() {
    this.plot?.destroy();
    this.plot = new uPlot(this.options(), this.data ?? [[], ...this.plan.lines.map(() => [])], this.host);
  }

  drop() {
    this.watch.disconnect();
    this.plot.destroy();
  }

  resize() {
    const width = Math.floor(this.host.clientWidth);
    if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  /** `data` as uPlot wants it: seconds, then one list per line. `marks`: {at, kind, text}. `now`, `span`: seconds. */
  show(data, marks, now, span) {
    this.data = data;
    this.marks = marks;
    this.now = now;
    this.span = span;
    this.plot.setData(data, false);
    // What began a moment ago is not shown as a line at the edge of an empty axis.
    const first = data[0][0] ?? now;
    this.plot.setScale("x", { min: Math.max(now - span, Math.min(first, now - LEAST)), max: now });
  }

  options() {
    const { lines, format, log, bands = [] } = this.plan;
    const [muted, grid] = [style("--muted"), style("--grid")];
    const axis = { stroke: muted, font: FONT, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    return {
      width: Math.max(120, Math.floor(this.host.clientWidth)),
      height: HEIGHT,
      padding: [this.plan.labelled ? 20 : 10, 8, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: SYNC, setSeries: false },
        drag: { setScale: false, x: false, y: false },
        y: false,
        points: { size: 5 },
      },
      scales: {
        x: { time: true },
        y: log ? { distr: 3, range: (_, low, high) => this.decades(low, high) } : { range: (_, low, high) => this.range(high) },
      },
      axes: [
        { ...axis, size: 24, gap: 4, space: 70, values: (_, at) => at.map((one) => clock(one).slice(0, 5)), incrs: [60, 120, 300, 600] },
        { ...axis, size: 52, gap: 4, space: log ? 22 : 32, splits: log ? (_, at, low, high) => powers(low, high) : undefined, values: (_, all) => all.map((one) => tick(one, format)) },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          label: line.label,
          stroke: style(line.colour),
          width: line.width ?? 1.5,
          dash: line.dash,
          fill: line.fill ? `${style(line.colour)}1f` : undefined,
          paths: line.stepped ? uPlot.paths.stepped({ align: -1 }) : undefined,
          points: { show: false },
          spanGaps: false,
        })),
      ],
      bands: bands.map(([upper, lower, colour]) => ({ series: [upper + 1, lower + 1], fill: `${style(colour)}1a` })),
      hooks: { draw: [(plot) => this.drawn(plot)], setCursor: [(plot) => this.moved(plot)] },
    };
  }

  range(high) {
    const top = Math.max(high ?? 0, 0) * 1.08;
    return [0, Math.max(top, this.plan.least ?? 0.001)];
  }

  decades(low, high) {
    const top = Math.max(high ?? 1, (this.plan.bar ?? 1) * 10);
    return [Math.min(0.1, 10 ** Math.floor(Math.log10(Math.max(low || 0.1, 1e-3)))), 10 ** Math.ceil(Math.log10(top))];
  }

  drawn(plot) {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height);
    ctx.clip();
    if (this.plan.bar !== undefined) this.across(plot, this.plan.bar);
    let free = Infinity; // where the text of the mark after this one begins
    ctx.font = FONT.replace("11px", `${10 * ratio}px`);
    for (const mark of this.marks.toReversed()) {
      const x = Math.round(plot.valToPos(mark.at, "x", true)) + 0.5;
      if (x < bbox.left) continue;
      ctx.strokeStyle = ctx.fillStyle = style(TONES[tone(mark)]);
      ctx.lineWidth = ratio;
      ctx.setLineDash(tone(mark) === "plain" ? [2 * ratio, 3 * ratio] : []);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.beginPath();
      ctx.moveTo(x - 4 * ratio, bbox.top - 5 * ratio);
      ctx.lineTo(x + 4 * ratio, bbox.top - 5 * ratio);
      ctx.lineTo(x, bbox.top + ratio);
      ctx.fill();
      if (!this.plan.labelled || !mark.label) continue;
      const wide = ctx.measureText(mark.label).width;
      const from = Math.min(x + 6 * ratio, bbox.left + bbox.width - wide);
      if (from + wide + 6 * ratio > free) continue;
      ctx.fillText(mark.label, from, bbox.top - 8 * ratio);
      free = from;
    }
    ctx.restore();
  }

  across(plot, value) {
    const { ctx, bbox } = plot;
    const y = Math.round(plot.valToPos(value, "y", true)) + 0.5;
    ctx.strokeStyle = style("--bad");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }

  moved(plot) {
    const { idx, left } = plot.cursor;
    if (idx === null || idx === undefined || left < 0) return this.hovered(null);
    const near = this.marks.filter((mark) => Math.abs(plot.valToPos(mark.at, "x") - left) < NEAR);
    return this.hovered({ at: plot.data[0][idx], values: plot.data.slice(1).map((list) => list[idx]), marks: near });
  }
}
