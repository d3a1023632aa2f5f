// The two plots: waveforms over the last 10 seconds, and their spectra.

import uPlot from "/vendor/uPlot.esm.js";
import { bpm } from "./words.js";

const SECONDS = 10;
const LOW = 40; // bpm
const HIGH = 180;
const HEADROOM = 1.15;
const NOTABLE = 0.1; // of the strongest power: a peak that is worth a number
const FACE = '"Hanken Grotesk", system-ui, sans-serif';

export class Plots {
  #traces;
  #spectra;
  #wanted = null;
  #reach = 0.01; // half a lane's height, relative colour

  constructor() {
    // Two lanes of one scale, one above the other: the curves cross too often to share one.
    this.#traces = plot("traces", {
      scales: {
        x: { time: false, range: [-SECONDS, 0] },
        before: { range: () => [-3 * this.#reach, this.#reach] },
        after: { range: () => [-this.#reach, 3 * this.#reach] },
      },
      series: [{}, { ...line("--you"), scale: "before" }, { ...line("--shown"), scale: "after" }],
      axes: [
        axis({
          splits: () => [-10, -8, -6, -4, -2, 0],
          values: (_, ticks) => ticks.map((tick) => (tick ? `${-tick} s` : "now")),
        }),
        axis({
          scale: "before",
          size: 48,
          splits: () => this.#lanes().flat(),
          values: () => [1, 0, -1, 1, 0, -1].map((sign) => percent(sign * this.#step())),
          grid: {
            stroke: () => color("--rule"),
            width: 1,
            filter: (_, ticks) => ticks.map((tick, i) => (i % 3 === 1 ? tick : null)),
          },
        }),
      ],
    });
    this.#spectra = plot("spectra", {
      scales: {
        x: { time: false, range: [LOW, HIGH] },
        y: { range: (_, __, top) => [0, 1.2 * (top || 1)] },
      },
      series: [{}, { ...line("--you"), fill: tint("--you") }, { ...line("--shown"), fill: tint("--shown") }],
      axes: [
        axis({ splits: (u) => rates(u.width < 330 ? 40 : 20), values: (_, ticks) => ticks.map(String) }),
        { show: false },
      ],
      hooks: { drawClear: [(u) => this.#drawWanted(u)], draw: [drawPeaks] },
    });
    for (const drawn of [this.#traces, this.#spectra]) fit(drawn);
    const redraw = () => {
      this.#traces.redraw();
      this.#spectra.redraw();
    };
    addEventListener("themechange", redraw);
    document.fonts.ready.then(redraw);
  }

  /** `spectra` as the server sends it, or null while there is none; `wanted` in bpm or null. */
  show(spectra, wanted) {
    this.#wanted = wanted;
    empty("traces", spectra);
    empty("spectra", spectra);
    const nothing = [[], [], []];
    if (spectra) {
      const largest = Math.max(...[...spectra.before, ...spectra.after].map((value) => Math.abs(value ?? 0)));
      this.#reach = HEADROOM * largest || 0.01;
    }
    this.#traces.setData(spectra ? [spectra.seconds, spectra.before, spectra.after] : nothing);
    this.#spectra.setData(spectra ? [spectra.bpm, spectra.before_power, spectra.after_power] : nothing);
    if (!spectra) return;
    const [before, after] = [1, 2].map((side) => bpm(peak(this.#spectra, side)?.rate ?? null));
    label("spectra", `Power by rate: strongest at ${before} beats a minute before, at ${after} after`);
  }

  /** Moves the mark of the wanted rate. */
  want(wanted) {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#spectra.redraw(false);
  }

  // Per lane, from its top: the places of its three ticks on the scale "before".
  #lanes() {
    return [0, -2 * this.#reach].map((zero) => [zero + this.#step(), zero, zero - this.#step()]);
  }

  // The largest of 1, 2, 5 times a power of ten that leaves room in a lane.
  #step() {
    const room = 0.8 * this.#reach;
    const power = 10 ** Math.floor(Math.log10(room));
    return power * [5, 2, 1].find((digit) => digit * power <= room);
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

// A number at the top of each curve that has a peak to speak of.
function drawPeaks(u) {
  const all = [1, 2].map((side) => peak(u, side));
  const top = Math.max(...all.map((one) => one?.power ?? 0));
  const found = all.map((one) => (one && one.power >= NOTABLE * top ? one : null));
  const apart = 30 * devicePixelRatio;
  const place = (one) => u.valToPos(one.rate, "x", true);
  found.forEach((one, i) => {
    const other = found[1 - i];
    if (!one) return;
    const close = other && Math.abs(place(other) - place(one)) < apart;
    u.ctx.save();
    u.ctx.fillStyle = color(i ? "--shown" : "--you");
    u.ctx.font = `650 ${14 * devicePixelRatio}px ${FACE}`;
    u.ctx.textAlign = close ? (place(one) < place(other) || (!i && place(one) === place(other)) ? "right" : "left") : "center";
    u.ctx.textBaseline = "bottom";
    const foot = u.valToPos(one.power, "y", true) - 4 * devicePixelRatio;
    if (!close) cover(u.ctx, bpm(one.rate), place(one), foot);
    u.ctx.fillText(bpm(one.rate), place(one), foot);
    u.ctx.restore();
  });
}

// Lines end around a number.
function cover(ctx, text, middle, foot) {
  const width = ctx.measureText(text).width + 6 * devicePixelRatio;
  const height = 17 * devicePixelRatio;
  const ink = ctx.fillStyle;
  ctx.fillStyle = color("--card");
  ctx.fillRect(middle - width / 2, foot - height, width, height);
  ctx.fillStyle = ink;
}

function peak(u, side) {
  const [bpms, power] = [u.data[0], u.data[side]];
  const best = power.reduce((top, value, i) => (top < 0 || value > power[top] ? i : top), -1);
  return best < 0 || !(power[best] > 0) ? null : { rate: bpms[best], power: power[best] };
}

function plot(id, options) {
  const place = document.getElementById(id);
  return new uPlot(
    {
      width: Math.max(place.clientWidth, 50),
      height: Math.max(place.clientHeight, 50),
      padding: [6, 16, 0, id === "spectra" ? 12 : 0],
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
const line = (name) => ({ stroke: () => color(name), width: 2, points: { show: false } });
const tint = (name) => () => color(name).replace("rgb(", "rgba(").replace(")", ", 0.16)");

function axis(options) {
  return {
    stroke: () => color("--soft"),
    grid: { stroke: () => color("--rule"), width: 1 },
    ticks: { show: false },
    font: `12px ${FACE}`,
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

function rates(step) {
  const ticks = [];
  for (let rate = LOW; rate <= HIGH; rate += step) ticks.push(rate);
  return ticks;
}

const percent = (value) => (value ? `${value < 0 ? "−" : "+"}${Number((100 * Math.abs(value)).toPrecision(1))} %` : "0");
const label = (id, text) => document.getElementById(id).setAttribute("aria-label", text);

function empty(id, spectra) {
  const place = document.getElementById(id);
  if (spectra) place.removeAttribute("data-empty");
  else place.dataset.empty = "No pulse to plot yet";
}
