// The heart rate to show: a number, none, or the own rate times a factor.

import { bpm } from "./words.js";

const MODES = {
  number: { min: 40, max: 180, step: 1, middle: "110", low: "40", high: "180", unit: "bpm" },
  scale: { min: 0.5, max: 1.5, step: 0.05, middle: "1", low: "0.5", high: "1.5", unit: "× yours" },
};
const SEND_EVERY = 100; // ms, while the slider is drawn
const SETTLE = 400; // ms after the answer, in which a status from before it may still come

export class Target {
  #send;
  #mode = "number";
  #values = { number: 70, scale: 0.8 };
  #own = null;
  #held = 0;
  #sent = "";
  #id = null; // of the command that is not answered yet
  #timer = 0;

  /** `send(text)` passes the target on and gives the command's id, null where it could not. */
  constructor(send) {
    this.#send = send;
    for (const radio of radios()) radio.addEventListener("change", () => this.#change(radio.value));
    el("slider").addEventListener("input", () => this.#change(this.#mode, el("slider").valueAsNumber));
    el("amount").addEventListener("change", () => this.#change(this.#mode, el("amount").valueAsNumber));
  }

  set enabled(on) {
    this.#id = null; // an answer does not outlive its connection
    for (const radio of radios()) radio.disabled = !on;
    const range = on && this.#mode in MODES;
    el("slider").disabled = !range;
    el("amount").disabled = !range;
  }

  /** Moves the slider by whole steps, or by ten. */
  step(count, far = false) {
    const limits = MODES[this.#mode];
    if (!limits || el("slider").disabled) return;
    this.#change(this.#mode, this.#values[this.#mode] + count * limits.step * (far ? 10 : 1));
  }

  /** What the filter says: the target's text, and the own rate in bpm or null. */
  follow(text, own) {
    this.#own = own;
    if (!this.#timer && this.#id === null && (text === this.#sent || performance.now() >= this.#held)) {
      this.#held = 0;
      const scale = /^scale ([\d.]+)$/.exec(text);
      if (/^[\d.]+$/.test(text)) this.#take("number", Number(text));
      else if (scale) this.#take("scale", Number(scale[1]));
      else this.#take(text === "hide" ? "hide" : "other");
      if (this.#mode === "other") el("target-words").textContent = `Follows ${text}. A choice here takes its place.`;
    }
    this.#mark();
  }

  /** The answer to a command: until it comes, the page's own choice is shown and not the status's. */
  answered(id) {
    if (id !== null && id !== this.#id) return;
    this.#id = null;
    this.#held = performance.now() + SETTLE;
  }

  fail(message) {
    el("target-error").textContent = message;
    el("target-error").hidden = false;
  }

  #change(mode, value) {
    const limits = MODES[mode];
    if (limits && value !== undefined) {
      const wanted = Number.isFinite(value) ? value : this.#values[mode];
      const stepped = Math.round(wanted / limits.step) * limits.step;
      this.#values[mode] = Number(Math.min(limits.max, Math.max(limits.min, stepped)).toFixed(2));
    }
    el("target-error").hidden = true;
    this.#take(mode, this.#values[mode], true);
    if (!this.#timer) {
      this.#pass();
      this.#timer = setTimeout(() => {
        this.#timer = 0;
        if (this.#text() !== this.#sent) this.#pass();
      }, SEND_EVERY);
    }
  }

  #text() {
    if (this.#mode === "scale") return `scale ${this.#values.scale}`;
    return this.#mode === "hide" ? "hide" : String(this.#values.number);
  }

  #pass() {
    this.#sent = this.#text();
    this.#id = this.#send(this.#sent);
  }

  #take(mode, value, own = false) {
    this.#mode = mode;
    for (const radio of radios()) radio.checked = radio.value === mode;
    const limits = MODES[mode];
    const slider = el("slider");
    const amount = el("amount");
    const usable = !radios()[0].disabled && Boolean(limits);
    slider.disabled = !usable;
    amount.disabled = !usable;
    amount.closest(".dial").classList.toggle("text", !limits);
    el("amount-unit").hidden = !limits;
    if (!limits) {
      amount.type = "text";
      amount.value = mode === "hide" ? "none" : "file";
      el("own").hidden = true;
      if (mode === "hide") el("target-words").textContent = "The pulse is taken out, and nothing is put in its place.";
      return;
    }
    this.#values[mode] = value;
    amount.type = "number";
    for (const name of ["min", "max", "step"]) slider[name] = amount[name] = limits[name];
    slider.value = value;
    if (document.activeElement !== amount || own) amount.value = value;
    amount.style.setProperty("--length", String(value).length);
    for (const name of ["low", "middle", "high"]) el(name).textContent = limits[name];
    el("amount-unit").textContent = limits.unit;
    slider.parentElement.style.setProperty("--at", (value - limits.min) / (limits.max - limits.min));
    this.#describe();
  }

  #describe() {
    const { number, scale } = this.#values;
    const result = this.#own === null ? "" : ` Now about ${bpm(this.#own * scale)} bpm.`;
    const isScale = this.#mode === "scale";
    el("target-words").textContent = isScale
      ? `Your own pulse, ${scale} times as fast.${result}`
      : "A steady pulse at this rate takes the place of yours.";
    el("slider").setAttribute("aria-valuetext", isScale ? `${scale} times your own pulse` : `${number} beats a minute`);
  }

  // Where the own rate lies on the slider.
  #mark() {
    if (this.#mode === "scale") this.#describe();
    const shown = this.#mode === "number" && this.#own !== null;
    el("own").hidden = !shown;
    if (!shown) return;
    const { min, max } = MODES.number;
    const place = (Math.min(max, Math.max(min, this.#own)) - min) / (max - min);
    el("own").style.setProperty("--own", place);
  }
}

const el = (id) => document.getElementById(id);
const radios = () => [...document.querySelectorAll(".modes input")];
