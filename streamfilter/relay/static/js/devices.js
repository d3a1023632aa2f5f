// Camera and microphone: the choice, the preview, and what is sent.

import { el } from "./dom.js";
import { deviceText } from "./text.js";

// The relay filters in real time: no more pixels than a call shows.
const PICTURE = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30, max: 30 } };
const NO_MICROPHONE = "none";

export class Devices {
  #on;
  #tracks = { video: null, audio: null };
  #muted = false;
  #meter = null;
  #opening = null;

  /** `on` has tracks() when what is to be sent has changed, error(text or null), and off() when the camera went. */
  constructor(on) {
    this.#on = on;
    el("camera").addEventListener("change", () => this.open());
    el("microphone").addEventListener("change", () => this.open());
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#list());
  }

  get video() {
    return this.#tracks.video;
  }

  get audio() {
    return this.#tracks.audio;
  }

  /** Opens at once where the browser would not ask. */
  async openIfAllowed() {
    const state = await navigator.permissions?.query({ name: "camera" }).catch(() => null);
    if (state?.state === "granted") await this.open();
  }

  /** Opens what is chosen. True where there is a picture. One at a time. */
  async open() {
    const before = this.#opening;
    this.#opening = (async () => {
      await before;
      return this.#openNow();
    })();
    return this.#opening;
  }

  close() {
    for (const kind of ["video", "audio"]) this.#replace(kind, null);
    el("preview").srcObject = null;
    this.#measure();
  }

  /** Black and silence at the source, whatever the relay does. */
  mute(muted) {
    this.#muted = muted;
    if (this.audio) this.audio.enabled = !muted;
    if (this.video) this.video.enabled = !muted;
  }

  async #openNow() {
    if (!navigator.mediaDevices) {
      this.#on.error(deviceText({ name: "InsecureError" }, "camera"));
      return false;
    }
    let failed = null;
    const camera = el("camera").value;
    const microphone = el("microphone").value;
    if (!this.video || (camera && this.video.getSettings().deviceId !== camera)) {
      failed = await this.#take("video", { ...PICTURE, ...exactly(camera) }, "camera");
    }
    if (microphone === NO_MICROPHONE) this.#replace("audio", null);
    else if (!failed && (!this.audio || (microphone && this.audio.getSettings().deviceId !== microphone))) {
      failed = await this.#take("audio", { echoCancellation: true, ...exactly(microphone) }, "microphone");
    }
    el("preview").srcObject = this.video && new MediaStream([this.video]);
    this.#measure();
    await this.#list();
    this.#on.error(failed);
    this.#on.tracks();
    return this.video !== null;
  }

  async #take(kind, constraints, what) {
    this.#replace(kind, null); // many systems open a camera only once
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ [kind]: constraints });
      this.#replace(kind, stream.getTracks()[0]);
      return null;
    } catch (error) {
      if (what === "microphone" && error.name === "NotFoundError") return null; // a call without sound is one
      return deviceText(error, what);
    }
  }

  #replace(kind, track) {
    const old = this.#tracks[kind];
    this.#tracks[kind] = track;
    old?.stop();
    if (!track) return;
    track.contentHint = kind === "video" ? "motion" : "speech";
    track.enabled = !this.#muted;
    track.addEventListener("ended", () => {
      if (this.#tracks[kind] !== track) return;
      this.#tracks[kind] = null;
      if (kind === "video") el("preview").srcObject = null;
      this.#on.error(`The ${kind === "video" ? "camera" : "microphone"} stopped. Plug it in again, or choose another one.`);
      this.#on.tracks();
      this.#list();
    });
  }

  async #list() {
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ deviceId }) => deviceId);
    this.#fill("camera", devices.filter(({ kind }) => kind === "videoinput"), this.video, "Camera");
    this.#fill("microphone", devices.filter(({ kind }) => kind === "audioinput"), this.audio, "Microphone");
  }

  #fill(id, devices, track, name) {
    const select = el(id);
    const choices = devices.map((device, i) => [device.label || `${name} ${i + 1}`, device.deviceId]);
    if (id === "microphone") choices.push(["No microphone", NO_MICROPHONE]);
    else if (!choices.length) choices.push([track ? name : "Chosen when it is on", ""]);
    const wanted = select.value === NO_MICROPHONE ? NO_MICROPHONE : track?.getSettings().deviceId ?? select.value;
    // An open list closes when it is made anew: only where it changed.
    if (choices.join("\n") !== [...select.options].map((o) => [o.text, o.value]).join("\n")) {
      select.replaceChildren(...choices.map(([label, value]) => new Option(label, value)));
    }
    if (choices.some(([, value]) => value === wanted)) select.value = wanted;
    select.disabled = !devices.length;
  }

  // How loud the microphone is, to see that it is the right one.
  #measure() {
    clearInterval(this.#meter?.timer);
    this.#meter?.context.close();
    this.#meter = null;
    el("level").value = 0;
    el("level").hidden = !this.audio;
    if (!this.audio) return;
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 1024 });
    context.createMediaStreamSource(new MediaStream([this.audio])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      if (document.hidden) return;
      if (context.state === "suspended") context.resume();
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      el("level").value = Math.max(0, 1 + Math.log10(power + 1e-9) / 5);
    }, 120);
    this.#meter = { context, timer };
  }
}

const exactly = (id) => (id ? { deviceId: { exact: id } } : {});
