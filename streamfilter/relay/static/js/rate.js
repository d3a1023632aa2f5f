// The heart rate to show: a number of beats a minute, or none.

import { el, put } from "./dom.js";
import { rateOf } from "./text.js";

const LOWEST = 40;
const HIGHEST = 180;
const TELL_EVERY = 120; // ms, while the slider is drawn

export class Rate {
  #number = 70;
  #none = false;
  #changed;
  #timer = 0;
  #due = false;

  /** `changed(bpm or null)` is called at every choice, a few times a second at most. */
  constructor(changed) {
    this.#changed = changed;
    el("mode-number").addEventListener("change", () => this.#take(this.#number, false));
    el("mode-none").addEventListener("change", () => this.#take(this.#number, true));
    el("slider").addEventListener("input", () => this.#take(el("slider").valueAsNumber, false));
    el("amount").addEventListener("change", () => this.#take(el("amount").valueAsNumber, false));
    this.#show();
  }

  /** Beats a minute, null for no pulse. */
  get value() {
    return this.#none ? null : this.#number;
  }

  #take(number, none) {
    this.#none = none;
    if (Number.isFinite(number)) this.#number = Math.min(HIGHEST, Math.max(LOWEST, Math.round(number)));
    this.#show();
    this.#due = true;
    if (!this.#timer) this.#tell();
  }

  #tell() {
    this.#timer = 0;
    if (!this.#due) return;
    this.#due = false;
    this.#changed(this.value);
    this.#timer = setTimeout(() => this.#tell(), TELL_EVERY);
  }

  #show() {
    const [number, none] = [this.#number, this.#none];
    el(none ? "mode-none" : "mode-number").checked = true;
    el("slider").disabled = el("amount").disabled = none;
    el("slider").value = number;
    el("slider").setAttribute("aria-valuetext", `${number} beats a minute`);
    el("slider").parentElement.style.setProperty("--at", (number - LOWEST) / (HIGHEST - LOWEST));
    el("amount").type = none ? "text" : "number";
    el("amount").value = none ? "none" : number;
    el("amount").style.setProperty("--length", String(number).length);
    el("amount").closest(".dial").classList.toggle("text", none);
    el("amount-unit").hidden = none;
    put("rate-words", none
      ? "Your pulse is taken out, and nothing is put in its place."
      : "A steady pulse at this rate takes the place of yours.");
    for (const node of document.querySelectorAll(".chosen-rate")) node.textContent = rateOf(this.value);
  }
}
