// The two plots: waveforms over the last 10 seconds, and their spectra.

import uPlot from "/vendor/uPlot.esm.js";
import { bpm } from "./words.js";

const SECONDS = 10;
const LOW = 40; // bpm
const HIGH = 180;
const HEADROOM = 1.12;

export class Plots {
  #traces;
  #spectra;
  #wanted = null;

  constructor() {
    this.#traces = plot("traces", {
      scales: { x: { time: false, range: [-SECONDS, 0] }, y: { range: around } },
      series: [{}, line("--you", 1.75), line("--shown", 2)],
      axes: [
        axis({ splits: () => [-10, -8, -6, -4, -2, 0], values: (_, ticks) => ticks.map((s) => (s ? `${-s} s` : "now")) }),
        axis({ size: 46, splits: (_, __, low, high) => [low / 2, 0, high / 2], values: (_, ticks) => ticks.map(percent) }),
      ],
    });
    this.#spectra = plot("spectra", {
      scales: { x: { time: false, range: [LOW, HIGH] }, y: { range: (_, __, top) => [0, (top || 1) * HEADROOM] } },
      series: [{}, line("--you", 1.75, 0.16), line("--shown", 2, 0.16)],
      axes: [
        axis({ splits: () => [40, 60, 80, 100, 120, 140, 160, 180], values: (_, ticks) => ticks.map((b) => (b === HIGH ? `${b} bpm` : String(b))) }),
        axis({ size: 12, values: () => [] }),
      ],
      hooks: { drawClear: [(u) => this.#drawWanted(u)] },
    });
    for (const drawn of [this.#traces, this.#spectra]) fit(drawn);
    addEventListener("themechange", () => {
      this.#traces.redraw();
      this.#spectra.redraw();
    });
  }

  /** `spectra` as the server sends it, or null while there is none; `wanted` in bpm or null. */
  show(spectra, wanted) {
    this.#wanted = wanted;
    empty("traces", spectra);
    empty("spectra", spectra);
    const nothing = [[], [], []];
    this.#traces.setData(spectra ? [spectra.seconds, spectra.before, spectra.after] : nothing);
    this.#spectra.setData(spectra ? [spectra.bpm, spectra.before_power, spectra.after_power] : nothing);
    if (!spectra) return;
    const [before, after] = [spectra.before_power, spectra.after_power].map((power) => bpm(peak(spectra.bpm, power)));
    label("spectra", `Power by rate: strongest at ${before} beats a minute before, at ${after} after`);
  }

  /** Moves the mark of the wanted rate. */
  want(wanted) {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#spectra.redraw(false);
  }

  #drawWanted(u) {
    if (this.#wanted === null) return;
    const x = Math.round(u.valToPos(this.#wanted, "x", true));
    const { top, height } = u.bbox;
    u.ctx.save();
    u.ctx.strokeStyle = color("--shown");
    u.ctx.globalAlpha = 0.55;
    u.ctx.lineWidth = devicePixelRatio;
    u.ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    u.ctx.beginPath();
    u.ctx.moveTo(x, top);
    u.ctx.lineTo(x, top + height);
    u.ctx.stroke();
    u.ctx.restore();
  }
}

function plot(id, options) {
  const place = document.getElementById(id);
  return new uPlot(
    {
      width: Math.max(place.clientWidth, 50),
      height: Math.max(place.clientHeight, 50),
      padding: [6, 22, 0, 0],
      cursor: { show: false },
      legend: { show: false },
      ...options,
    },
    [[], [], []],
    place,
  );
}

function fit(drawn) {
  const place = drawn.root.parentElement;
  new ResizeObserver(() => drawn.setSize({ width: place.clientWidth, height: place.clientHeight })).observe(place);
}

// Colours are asked for at each drawing, so that they follow the theme.
function line(name, width, fill = 0) {
  const series = { stroke: () => color(name), width, points: { show: false } };
  if (fill) series.fill = () => `color-mix(in srgb, ${color(name)} ${100 * fill}%, transparent)`;
  return series;
}

function axis(options) {
  return {
    stroke: () => color("--soft"),
    grid: { stroke: () => color("--rule"), width: 1 },
    ticks: { show: false },
    font: '12px "Hanken Grotesk", system-ui, sans-serif',
    size: 26,
    gap: 6,
    ...options,
  };
}

// A custom property gives its light-dark() as it is written; a colour that is used comes resolved.
const probe = document.body.appendChild(document.createElement("i"));
probe.hidden = true;
function color(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

function around(_, low, high) {
  const reach = HEADROOM * Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0)) || 0.01;
  return [-reach, reach];
}

const percent = (value) => `${(100 * value).toFixed(Math.abs(value) < 0.01 ? 1 : 0)} %`;
const peak = (rates, power) => rates[power.reduce((best, value, i) => (value > power[best] ? i : best), 0)] ?? null;
const label = (id, text) => document.getElementById(id).setAttribute("aria-label", text);

function empty(id, spectra) {
  const place = document.getElementById(id);
  if (spectra) place.removeAttribute("data-empty");
  else place.dataset.empty = "No pulse to plot yet";
}
