// The viewer's page: the edited picture, and never without the notice that it is edited.

import { el, icon, put } from "./dom.js";
import { Events } from "./events.js";
import { Keeper } from "./keeper.js";
import { GOODBYE, NO_LINK, milliseconds, noticeText, refusalText, veilText, viewerText } from "./text.js";
import { readLink } from "./token.js";
import { preferCodecs } from "./whip.js";

const STILL = 1000; // ms without a new picture, after which it is said
const HOPELESS = 8000; // ms without one, after which the connection is made anew

const link = readLink();
const call = { phase: "opening", status: null, server: null, told: false };
const video = el("video");
const stage = el("stage");
let edit = null; // the last one heard of
let seen = 0; // when the last picture was shown, 0 for none of this session
let rates = []; // moments of the last second's pictures
let counted = 0;
let noted = null;
let keeper = null;
let events = null;

function begin() {
  if (!link) return refuse(...NO_LINK);
  if (link.claims.role !== "viewer") return refuse(...refusalText({ status: 403 }, "viewer"));
  const room = encodeURIComponent(link.claims.room);
  const socket = new URL(`rooms/${room}/events`, location.href);
  socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  events = new Events(socket, link.token, {
    state: (message) => {
      call.server = message;
      edit = message.edit ?? edit;
      show();
    },
    closing: ({ reason, reconnect_in: wait }) => {
      if (wait === null) keeper.dismissed({ status: GOODBYE, reason });
      else keeper.again({ status: 0, reason }, wait, true);
    },
    up: () => {
      call.told = true;
    },
    down: () => {
      call.told = false;
      show();
    },
  });
  const endpoint = new URL(`whep/${room}`, location.href);
  keeper = new Keeper(() => ({ endpoint, token: link.token, add }), status);
  join();
}

function refuse(title, words) {
  noted = [title, words];
}

function join() {
  events.start();
  keeper.start();
}

function add(pc) {
  const stream = new MediaStream();
  const picture = pc.addTransceiver("video", { direction: "recvonly" });
  preferCodecs(picture, "receive");
  const sound = pc.addTransceiver("audio", { direction: "recvonly" });
  stream.addTrack(picture.receiver.track);
  stream.addTrack(sound.receiver.track);
  seen = 0;
  video.srcObject = stream;
  play();
}

// With sound where the browser allows it before a click, else without.
async function play() {
  try {
    await video.play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // a newer stream has taken this one's place
    video.muted = true;
    show();
    await video.play().catch(() => {});
  }
}

function status(status) {
  call.status = status;
  if (status.state === "closed") return keeper.again({ status: 0, reason: "the relay ended the connection" });
  call.phase = status.state === "idle" ? "ended" : status.state;
  if (call.phase === "up") seen = performance.now();
  if (call.phase === "refused") events.stop();
  show();
}

function leave() {
  keeper.stop();
  events.stop();
  video.srcObject = null;
  call.told = false;
  show();
  el("again").focus();
}

const stillFor = () => {
  const still = performance.now() - seen;
  return still > STILL ? still / 1000 : null;
};

function show() {
  const now = { ...call, still: call.phase === "up" ? stillFor() : null };
  const { tone, text } = noted ? { tone: "bad", text: noted } : viewerText(now);
  const veil = noted ?? veilText(now);
  const notice = noticeText(edit, call.told);
  notice.forEach((part, i) => put(`notice-${i}`, part));
  stage.dataset.tone = tone;
  put("state-name", text[0]);
  put("state-words", text[1]);
  put("state-count", text[2] ?? "");
  document.title = `${text[0]} · edited pulse · physio-cam`;
  el("veil").hidden = !veil;
  put("veil-title", veil?.[0] ?? "");
  put("veil-words", veil?.[1] ?? "");
  put("veil-count", veil?.[2] ?? "");
  el("again").hidden = Boolean(noted) || !["waiting", "refused", "ended"].includes(call.phase);
  put("again", { waiting: "Try now", ended: "Join again" }[call.phase] ?? "Try again");
  el("leave").hidden = Boolean(noted) || ["ended", "refused"].includes(call.phase);
  el("sound").setAttribute("aria-pressed", String(!video.muted));
  put("sound-label", video.muted ? "Turn sound on" : "Sound is on");
  icon("sound-icon", video.muted ? "#i-silent" : "#i-sound");
  const wide = isWide();
  el("full").setAttribute("aria-pressed", String(wide));
  put("full-label", wide ? "Leave full screen" : "Full screen");
  icon("full-icon", wide ? "#i-small" : "#i-full");
}

async function figures() {
  const now = performance.now();
  rates = rates.filter((moment) => now - moment < 2000);
  const up = call.phase === "up";
  put("fps", up && seen ? String(Math.round(rates.length / 2)) : "–");
  const filter = call.told ? call.server?.patient?.latency_ms ?? null : null;
  const { roundTrip, buffer } = up ? await keeper.session.delays() : {};
  const known = [filter, roundTrip, buffer].every((part) => part !== null && part !== undefined);
  put("delay", known ? milliseconds(filter + roundTrip / 2 + buffer) : "–");
}

function watch() {
  if (!video.requestVideoFrameCallback) count();
  if (document.hidden) seen = Math.max(seen, performance.now() - STILL / 2); // nothing is drawn then
  if (call.phase === "up" && performance.now() - seen > HOPELESS) keeper.again({ status: 0, reason: "no pictures came" });
  show();
}

// For browsers that do not tell of each picture.
function count() {
  const total = video.getVideoPlaybackQuality().totalVideoFrames;
  for (let i = Math.min(total - counted, 60); i > 0; i -= 1) rates.push(performance.now());
  if (total !== counted) seen = performance.now();
  counted = total;
}

function picture(now) {
  seen = performance.now();
  rates.push(now);
  if (!el("veil").hidden) show();
  video.requestVideoFrameCallback(picture);
}

// Full screen of the whole stage, so that the notice stays; where an element cannot have it, of the window.
const isWide = () => document.fullscreenElement === stage || document.body.classList.contains("wide");

async function full() {
  if (document.fullscreenElement) await document.exitFullscreen();
  else if (document.fullscreenEnabled && stage.requestFullscreen) await stage.requestFullscreen().catch(() => {});
  else document.body.classList.toggle("wide");
  show();
}

video.requestVideoFrameCallback?.(picture);
// The browser's own menu would show the picture without the notice.
video.addEventListener("contextmenu", (event) => event.preventDefault());
document.addEventListener("fullscreenchange", show);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.body.classList.contains("wide")) full();
});
el("sound").addEventListener("click", () => {
  video.muted = !video.muted;
  play();
  show();
});
el("full").addEventListener("click", full);
el("leave").addEventListener("click", leave);
el("again").addEventListener("click", () => (call.phase === "waiting" ? keeper.now() : join()));
setInterval(watch, 250);
setInterval(figures, 1000);
begin();
show();
