// Ties the page together: statuses in, commands out.

import { Connection } from "./connection.js";
import { Pictures } from "./pictures.js";
import { Plots } from "./plots.js";
import { Target } from "./target.js";
import { ICONS, bpm, duration, fixed, nameOf, sentenceOf, veilsOf } from "./words.js";

const el = (id) => document.getElementById(id);
const put = (id, text) => {
  if (el(id).textContent !== text) el(id).textContent = text; // an unchanged text is not announced again
};

let paused = false;
let names = [];
let camera = "";
let spectra = null;

const plots = new Plots();
const pictures = new Pictures();
const target = new Target((text) => connection.send("target", text));
const connection = new Connection({ message, up, down });

function up() {
  el("notice").hidden = true;
  pictures.connected = true;
  enable(true);
}

function down(expired) {
  el("notice").hidden = false;
  put(
    "notice",
    expired
      ? "physio-cam was started anew: open the new link that it printed in the terminal."
      : "The connection to physio-cam is lost; what others see does not depend on this page. Trying again…",
  );
  pictures.connected = false;
  pictures.veil(["Not connected", "Not connected"]);
  enable(false);
  stateIs("lost", "Not connected", "This page does not know what others see.");
}

function enable(on) {
  target.enabled = on;
  el("pause").disabled = !on;
  el("camera").disabled = !on;
}

function message(message) {
  if (message.type === "status") show(message);
  else if (message.type === "cameras") listCameras(message.cameras);
  else if (message.type === "reply") {
    target.answered(message.id);
    if (message.error) target.fail(message.error);
  }
}

function show(status) {
  stateIs(status.state, nameOf(status), sentenceOf(status));
  pictures.veil(veilsOf(status));
  paused = status.state === "paused";
  put("pause-label", paused ? "Go on filtering" : "Pause (shield)");
  el("pause-icon").setAttribute("href", paused ? "#i-play" : "#i-shield");

  const pulse = status.pulse;
  reading("true", pulse.true);
  reading("shown", status.state === "filtering" ? pulse.shown : null); // a card has no pulse
  target.follow(status.target, pulse.true);
  if (pulse.spectra !== undefined && !document.hidden) {
    spectra = pulse.spectra;
    plots.show(spectra, pulse.wanted);
  }
  plots.want(pulse.wanted);

  if (camera !== status.camera) {
    camera = status.camera;
    listCameras(names);
  }
  put("output", status.output || "–");
  el("output").title = status.output;
  put("p50", fixed(status.latency_p50, 1));
  put("p99", fixed(status.latency_p99, 1));
  put("fps-in", fixed(status.fps_in, 1));
  put("fps-out", fixed(status.fps_out, 1));
  causes("dropped", "Dropped", status.dropped);
  causes("shielded", "Shielded", status.shielded);
  put("run", runOf(status));
}

// The number, and a dot that beats at its rate.
function reading(id, rate) {
  put(id, bpm(rate));
  el(id).classList.toggle("none", rate === null);
  const dot = el(`beat-${id}`);
  const period = rate ? `${(60 / Math.round(rate)).toFixed(3)}s` : "";
  dot.hidden = !rate;
  if (dot.style.getPropertyValue("--period") !== period) dot.style.setProperty("--period", period);
}

function stateIs(state, name, words) {
  if (el("state").dataset.state !== state) {
    el("state").dataset.state = state;
    el("state-icon").setAttribute("href", ICONS[state] ?? "#i-turn");
    document.title = `${name} · physio-cam`;
  }
  put("state-name", name);
  put("state-words", words);
}

function runOf(status) {
  const watched = status.watchers === null ? "" : `, ${status.watchers} watching`;
  const restarts = status.restarts ? `, ${status.restarts} ${status.restarts === 1 ? "restart" : "restarts"}` : "";
  return `${status.engine || "No engine yet"}, running ${duration(status.uptime)}${restarts}${watched}`;
}

function causes(id, title, counts) {
  const rows = Object.entries(counts).filter(([, count]) => count).sort((a, b) => b[1] - a[1]);
  const total = rows.reduce((sum, [, count]) => sum + count, 0);
  const text = JSON.stringify([total, rows]);
  if (el(id).dataset.rows === text) return;
  el(id).dataset.rows = text;
  el(id).replaceChildren(...[[title, total || "none"], ...rows].map(([cause, count]) => row(cause, count)));
}

function row(cause, count) {
  const parts = [["dt", cause.replaceAll("_", " ")], ["dd", count.toLocaleString("en")]].map(([tag, text]) => {
    const part = document.createElement(tag);
    part.textContent = text;
    return part;
  });
  const group = document.createElement("div");
  group.append(...parts);
  return group;
}

function listCameras(list) {
  names = list;
  const shown = camera && !list.includes(camera) ? [camera, ...list] : list;
  const select = el("camera");
  // An open list closes when it is made anew: only where it changed.
  if (shown.join("\n") !== [...select.options].map((option) => option.value).join("\n")) {
    select.replaceChildren(...shown.map((name) => new Option(name, name)));
  }
  select.value = camera;
}

function togglePause() {
  connection.send("pause", !paused);
}

el("pause").addEventListener("click", togglePause);
el("camera").addEventListener("pointerdown", () => connection.send("cameras"));
el("camera").addEventListener("change", () => connection.send("camera", el("camera").value));

// A click leaves no focus behind on what Space would press again: Space stays the shield's key.
document.addEventListener("click", (event) => {
  if (event.detail && event.target.closest("button, .modes")) document.activeElement?.blur();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || el("pause").disabled) return;
  const on = event.target;
  if (event.key === " ") {
    if (event.repeat || on.closest("button, select, a") || (on.type === "radio" && !on.checked)) return;
    event.preventDefault();
    togglePause();
  } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    // The slider's own arrows do the rest where it has the focus.
    if (on.id === "slider" ? !event.shiftKey : on.closest("input, select")) return;
    event.preventDefault();
    target.step(event.key === "ArrowLeft" ? -1 : 1, event.shiftKey);
  }
});
