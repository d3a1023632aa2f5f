// The patient's page: what is sent, and what is said about it.

import { Devices } from "./devices.js";
import { el, icon, put } from "./dom.js";
import { Events } from "./events.js";
import { Keeper } from "./keeper.js";
import { Rate } from "./rate.js";
import { GOODBYE, NO_LINK, clock, milliseconds, patientText, refusalText, wholeNumber } from "./text.js";
import { readLink } from "./token.js";
import { preferCodecs } from "./whip.js";

const BITRATE = 1_500_000; // bit/s, the most that is sent
const TELL_AGAIN = 1500; // ms after which a choice that the relay has not taken is told again
const LINGERING = 1.5; // s in which the relay tells that another session has this one's place

const link = readLink();
const call = { phase: "setup", status: null, server: null, told: false, paused: false, bpm: 70 };
let sentAt = 0;
let id = null; // the relay's name for the last session
let noted = null; // what to show in place of the state: a link that cannot be used

const rate = new Rate((bpm) => {
  call.bpm = bpm;
  tellRate();
  show();
});
const devices = new Devices({
  error: (text) => {
    el("device-error").hidden = !text;
    put("device-error", text ?? "");
  },
  tracks: () => {
    const [video, audio] = keeper?.session?.pc?.getSenders() ?? []; // in the order of add()
    video?.replaceTrack(devices.video);
    audio?.replaceTrack(devices.audio);
    show();
  },
});
let keeper = null;
let events = null;

function begin() {
  if (!link) return refuse(...NO_LINK);
  if (link.claims.role !== "patient") return refuse(...refusalText({ status: 403 }, "patient"));
  const room = encodeURIComponent(link.claims.room);
  const socket = new URL(`rooms/${room}/events`, location.href);
  socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  events = new Events(socket, link.token, {
    state: heard,
    closing,
    up: () => {
      call.told = true;
      tellPause();
    },
    down: () => {
      call.told = false;
      show();
    },
  });
  keeper = new Keeper(() => {
    const endpoint = new URL(`whip/${room}`, location.href);
    endpoint.searchParams.set("hr", rate.value ?? "hide");
    return { endpoint, token: link.token, add };
  }, status);
  share();
  devices.openIfAllowed();
}

function refuse(title, words) {
  noted = { tone: "bad", icon: "#i-stop", text: [title, words] };
}

function add(pc) {
  const stream = new MediaStream();
  const video = pc.addTransceiver(devices.video ?? "video", {
    direction: "sendonly",
    streams: [stream],
    sendEncodings: [{ maxBitrate: BITRATE }],
  });
  preferCodecs(video, "send");
  pc.addTransceiver(devices.audio ?? "audio", { direction: "sendonly", streams: [stream] });
}

// The media session's state, from the keeper.
function status(status) {
  if (status.state === "closed") return lingering();
  call.status = status;
  call.phase = status.state === "idle" ? "ended" : status.state;
  if (call.phase === "up") {
    id = keeper.session.id;
    tellPause();
    tellRate();
  }
  if (call.phase === "refused") events.stop();
  show();
}

// Closed in good order: the relay goes down, or somebody else took this place.
function lingering() {
  keeper.again({ status: 0, reason: "the relay ended the connection" }, LINGERING);
}

function heard(message) {
  call.server = message;
  const { patient, edit } = message;
  if (["up", "waiting"].includes(call.phase) && id && patient?.session && patient.session !== id) return replaced();
  if (call.phase === "up" && patient && performance.now() - sentAt > TELL_AGAIN) {
    if (edit.bpm !== rate.value) tellRate();
    if (patient.paused !== call.paused) tellPause();
  }
  show();
}

function closing({ reason, reconnect_in: wait }) {
  if (!ACTIVE.includes(call.phase)) return;
  if (wait === null) keeper.dismissed({ status: GOODBYE, reason });
  else keeper.again({ status: 0, reason }, wait, true);
}

function replaced() {
  keeper.stop(true);
  events.stop();
  devices.close();
  call.phase = "replaced";
  show();
}

function tellRate() {
  sentAt = performance.now();
  if (call.phase === "up") events.send({ type: "edit", bpm: rate.value });
}

function tellPause() {
  sentAt = performance.now();
  if (call.phase === "up") events.send({ type: "pause", paused: call.paused });
}

async function start() {
  el("start").disabled = true;
  const ready = await devices.open();
  el("start").disabled = !el("consent").checked;
  if (!ready) return el("device-error").scrollIntoView({ block: "nearest" });
  pause(false);
  events.start();
  keeper.start();
  el("pause").focus();
  scrollTo({ top: 0 });
}

function leave() {
  keeper.stop();
  events.stop();
  devices.close();
  call.server = null;
  call.told = false;
  show();
  el("start").focus();
}

function pause(paused) {
  call.paused = paused;
  devices.mute(paused); // here first: holds without the relay, too
  tellPause();
  show();
}

const ACTIVE = ["opening", "up", "waiting"];

function show() {
  const { tone, icon: sign, text } = noted ?? patientText(call);
  const active = ACTIVE.includes(call.phase);
  el("state").dataset.tone = tone;
  document.body.dataset.phase = noted ? "refused" : call.phase;
  icon("state-icon", sign);
  put("state-name", text[0]);
  put("state-words", text[1]);
  put("state-count", text[2] ?? "");
  document.title = `${text[0]} · physio-cam`;
  el("again").hidden = call.phase !== "waiting";
  el("facts").hidden = call.phase !== "up";
  el("intro").hidden = active;
  el("consent-part").hidden = active;
  el("start").hidden = active || Boolean(noted);
  put("start-label", { ended: "Start again", replaced: "Start here instead", refused: "Try again" }[call.phase] ?? "Start");
  el("pause").hidden = el("leave").hidden = !active;
  put("pause-label", call.paused ? "Go on" : "Pause");
  icon("pause-icon", call.paused ? "#i-play" : "#i-shield");
  el("pause").setAttribute("aria-pressed", String(call.paused));
  el("preview-off").hidden = Boolean(devices.video);
  el("turn-on").hidden = Boolean(noted);
  el("preview-paused").hidden = !(devices.video && call.paused && active);
  const fresh = call.told && call.phase === "up" ? call.server : null;
  put("fps", fresh?.patient ? wholeNumber(fresh.patient.fps) : "–");
  put("viewers", fresh ? String(fresh.viewers) : "–");
}

async function figures() {
  if (call.phase === "waiting") show(); // counts down
  if (call.phase !== "up") return;
  const { roundTrip } = await keeper.session.delays();
  const filter = call.told ? call.server?.patient?.latency_ms ?? null : null;
  put("delay", filter === null || roundTrip === null ? "–" : milliseconds(filter + roundTrip / 2));
}

// The link for whoever is to watch.
function share() {
  if (link.viewerClaims?.role !== "viewer") return;
  const address = new URL("viewer", location.href);
  address.hash = `t=${link.viewer}`;
  el("share").hidden = false;
  el("share-link").value = address.href;
  if (link.viewerClaims.exp) put("share-until", ` It is good until ${clock(link.viewerClaims.exp)}.`);
  el("share-link").addEventListener("focus", () => el("share-link").select());
  el("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(address.href);
      put("copy-label", "Copied");
    } catch {
      el("share-link").focus(); // selected, to be copied by hand
      put("copy-label", "Press Ctrl+C");
    }
    setTimeout(() => put("copy-label", "Copy"), 2500);
  });
}

el("consent").addEventListener("change", () => {
  el("start").disabled = !el("consent").checked;
});
el("consent").checked = false; // a reload asks again
el("turn-on").addEventListener("click", () => devices.open());
el("start").addEventListener("click", start);
el("pause").addEventListener("click", () => pause(!call.paused));
el("leave").addEventListener("click", leave);
el("again").addEventListener("click", () => keeper.now());
setInterval(figures, 1000);
begin();
show();
