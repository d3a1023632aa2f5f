// WHIP (RFC 9725) and WHEP: one offer with all of its candidates, one answer, one DELETE.

const GATHERING = 2500; // ms; a STUN server that does not answer must not hold up the call
const CONNECTING = 12000; // ms from the answer to a connection
const DISCONNECTED = 3000; // ms without an answer to ICE's checks: as good as lost
const REQUEST = 10000; // ms
const GOODBYE = 1500; // ms that a DELETE may take before the connection is closed anyhow

/** The relay said no. `status` is HTTP's, 0 where nobody answered; `retryAfter` seconds or null. */
export class Refused extends Error {
  constructor(status, reason, retryAfter = null) {
    super(reason);
    Object.assign(this, { status, reason, retryAfter });
  }
}

/**
 * One media session. `add(pc)` adds tracks or transceivers before the offer; `ended(how)` is told once when
 * an open session has ended and not by close(): "closed" by the relay, or "lost" on the way.
 */
export class Session {
  #pc = null;
  #token;
  #address = null;
  #id = null;
  #ended;
  #open = false;
  #over = false;
  #timer = 0;

  constructor(token, ended) {
    this.#token = token;
    this.#ended = ended;
  }

  get pc() {
    return this.#pc;
  }

  /** The relay's name for this session, null before there is one. */
  get id() {
    return this.#id;
  }

  /** Resolves when media flows. Raises Refused. */
  async open(endpoint, add) {
    try {
      const iceServers = await this.#iceServers(endpoint);
      if (this.#over) return;
      const pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
      this.#pc = pc;
      const connected = this.#connected(pc);
      connected.catch(() => {}); // heard below, or never, where the offer was refused first
      add(pc);
      await pc.setLocalDescription();
      await gathered(pc);
      if (this.#over) return;
      const answer = await this.#post(endpoint, pc.localDescription.sdp);
      if (this.#over) return this.#delete(); // closed in the meantime
      await pc.setRemoteDescription({ type: "answer", sdp: answer });
      await connected;
      this.#open = !this.#over;
    } catch (error) {
      const told = this.#over;
      this.close();
      if (!told) throw error;
    }
  }

  /**
   * Ends the session; works while the page is being left, too. The relay is told, unless it `knows`, before
   * the connection closes under it; nothing is sent any more from the first moment.
   */
  async close(knows = false) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    const pc = this.#pc;
    if (pc && pc.signalingState !== "closed") for (const sender of pc.getSenders()) sender.replaceTrack(null);
    if (!knows) await Promise.race([this.#delete(), new Promise((resolve) => setTimeout(resolve, GOODBYE))]);
    pc?.close();
  }

  /** Round trip to the relay in ms, and what waits at the receiver; null where unknown. */
  async delays() {
    const facts = { roundTrip: null, buffer: null };
    if (!this.#open || this.#over) return facts;
    for (const entry of (await this.#pc.getStats()).values()) {
      if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime !== undefined) {
        facts.roundTrip = entry.currentRoundTripTime * 1000;
      } else if (entry.type === "inbound-rtp" && entry.kind === "video" && entry.jitterBufferEmittedCount) {
        facts.buffer = (entry.jitterBufferDelay / entry.jitterBufferEmittedCount) * 1000;
      }
    }
    return facts;
  }

  async #post(endpoint, sdp) {
    const response = await request(endpoint, "POST", this.#token, {
      body: sdp,
      headers: { "Content-Type": "application/sdp", Accept: "application/sdp, application/problem+json" },
    });
    if (response.status !== 201) throw await refusal(response);
    const address = response.headers.get("Location");
    if (address) {
      this.#address = new URL(address, endpoint);
      this.#id = this.#address.pathname.split("/").pop();
    }
    return response.text();
  }

  async #delete() {
    if (!this.#address) return;
    const headers = { Authorization: `Bearer ${this.#token}` };
    await fetch(this.#address, { method: "DELETE", keepalive: true, headers }).catch(() => {}); // gone is gone
  }

  // The relay's STUN and TURN servers (RFC 9725, section 4.6); they are needed before candidates are gathered.
  async #iceServers(endpoint) {
    try {
      const response = await request(endpoint, "OPTIONS", this.#token);
      return iceServersOf(response.headers.get("Link"));
    } catch (error) {
      if (error instanceof Refused) return []; // the offer will be told why
      throw error;
    }
  }

  #connected(pc) {
    return new Promise((resolve, reject) => {
      const end = (how) => {
        clearTimeout(this.#timer);
        if (this.#over) return;
        if (!this.#open) return reject(new Refused(0, "no way for the video was found through the network"));
        this.close(how === "closed");
        this.#ended(how);
      };
      const look = () => {
        const dtls = (pc.getSenders()[0] ?? pc.getReceivers()[0])?.transport;
        if (dtls && !dtls.onstatechange) dtls.onstatechange = look;
        clearTimeout(this.#timer);
        if (dtls?.state === "closed") end("closed");
        else if (pc.connectionState === "failed" || pc.connectionState === "closed") end("lost");
        else if (pc.connectionState === "connected") resolve();
        else {
          const patience = pc.connectionState === "disconnected" ? DISCONNECTED : CONNECTING;
          if (pc.remoteDescription) this.#timer = setTimeout(() => end("lost"), patience);
        }
      };
      pc.addEventListener("connectionstatechange", look);
      pc.addEventListener("signalingstatechange", look);
    });
  }
}

/** Puts the relay's codecs first: VP8 costs it least, H.264 is what some phones encode in hardware. */
export function preferCodecs(transceiver, side) {
  const known = (side === "send" ? RTCRtpSender : RTCRtpReceiver).getCapabilities("video")?.codecs ?? [];
  const rank = ({ mimeType }) => ["video/vp8", "video/h264"].indexOf(mimeType.toLowerCase());
  const first = known.filter((codec) => rank(codec) >= 0).sort((a, b) => rank(a) - rank(b));
  const repair = known.filter(({ mimeType }) => /\/(rtx|red|ulpfec)$/i.test(mimeType));
  if (first.length) transceiver.setCodecPreferences?.([...first, ...repair]);
}

/** RTCIceServer list from a Link header's value (RFC 9725, section 4.6). */
export function iceServersOf(header) {
  const servers = [];
  for (const [, address, parameters] of (header ?? "").matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^\s;,"]+))*)/g)) {
    const named = {};
    for (const [, name, quoted, plain] of parameters.matchAll(/;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/g)) {
      named[name.toLowerCase()] = quoted ?? plain;
    }
    if (named.rel !== "ice-server" || !/^(stun|turn)s?:/i.test(address)) continue;
    const server = { urls: address };
    if (named.username !== undefined) Object.assign(server, { username: named.username, credential: named.credential });
    servers.push(server);
  }
  return servers;
}

async function request(address, method, token, more = {}) {
  const headers = { Authorization: `Bearer ${token}`, ...more.headers };
  try {
    return await fetch(address, { method, ...more, headers, signal: AbortSignal.timeout(REQUEST) });
  } catch {
    throw new Refused(0, "the relay does not answer");
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("Retry-After") ?? NaN);
  return new Refused(response.status, problem.title ?? response.statusText, Number.isFinite(wait) ? wait : null);
}

function gathered(pc) {
  return new Promise((resolve) => {
    const done = () => {
      if (pc.iceGatheringState === "complete" || pc.signalingState === "closed") resolve();
    };
    pc.addEventListener("icegatheringstatechange", done);
    setTimeout(resolve, GATHERING);
    done();
  });
}
