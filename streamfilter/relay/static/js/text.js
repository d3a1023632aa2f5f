// Every sentence of both pages. A state's text is [name, sentence, and what counts down and is not read aloud].

export const rateOf = (bpm) => (bpm === null ? "no pulse" : `${Math.round(bpm)} bpm`);
const seconds = (at) => Math.max(1, Math.ceil((at - Date.now()) / 1000));
const sentence = (text) => {
  const words = (text ?? "").trim().replace(/[.!]$/, "");
  return words && `${words[0].toUpperCase()}${words.slice(1)}. `;
};
export const wholeNumber = (value) => (value === null || value === undefined ? "–" : String(Math.round(value)));

export const milliseconds = (value) => {
  if (value === null || value === undefined) return "–";
  return value >= 1 ? `${Math.round(value)} ms` : "under 1 ms";
};

export const clock = (epoch) =>
  new Date(epoch * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** In the place of HTTP's status: the relay said goodbye, and not to come back. */
export const GOODBYE = -1;

/** What cannot be mended by trying again, and what to do. */
export function refusalText(error, role) {
  switch (error.status) {
    case GOODBYE:
      return ["The relay ended this call", `${sentence(error.reason)}Ask whoever invited you, if you did not expect it.`];
    case 401:
      return ["This link is no longer good", "Links end after a while. Ask whoever invited you for a new one, and open it in this tab."];
    case 403:
      return role === "patient"
        ? ["This link is not for sending a picture", "It may be the link for watching. Ask whoever invited you for your own link."]
        : ["This link is not for watching", "It may be the patient's own link. Ask for the link that the patient's page shares."];
    case 404:
      return ["This room has closed", "Ask whoever invited you for a new link."];
    case 406:
      return ["This browser and the relay share no video format", "Use a current Chrome, Edge, Firefox or Safari."];
    default:
      return ["The relay did not accept this browser", `${sentence(error.reason)}Reload the page; if it happens again, tell whoever runs the relay (${error.status}).`];
  }
}

export const NO_LINK = [
  "This page opens by its link",
  "Open the whole link that you were sent, with everything after the # sign.",
];
const WAITING_TITLES = { 503: "The relay is full", 429: "Too many attempts" };

/** While the next attempt is waited for. */
export function waitingText({ error, at }) {
  const title = WAITING_TITLES[error?.status] ?? (navigator.onLine ? "Connection lost" : "No network");
  const why = navigator.onLine ? sentence(error?.reason) : "This device is offline. ";
  return [title, why, `Trying again in ${seconds(at)} s.`];
}

/** `call`: {phase, status, server, paused, told, bpm}. Gives {tone, icon, text}. */
export function patientText(call) {
  const { phase, status, server, paused, told, bpm } = call;
  const is = (tone, icon, ...text) => ({ tone, icon, text });
  if (phase === "setup") return is("calm", "#i-lock", "Nothing is sent yet", "The picture stays in this browser until you press Start.");
  if (phase === "ended") return is("calm", "#i-stop", "You have left", "Your camera is off, and nothing is sent. You can start again while your link is good.");
  if (phase === "refused") return is("bad", "#i-stop", ...refusalText(status.error, "patient"));
  if (phase === "replaced") {
    return is("bad", "#i-stop", "Started elsewhere", "Another window or device sends the picture of this room now. Nothing is sent from here.");
  }
  if (phase === "waiting") return is("bad", "#i-turn", ...waitingText(status));
  if (paused) return is("alert", "#i-shield", "Paused", "Whoever watches sees a card and hears nothing, until you go on.");
  if (phase === "opening") return is("calm", "#i-turn", "Connecting", "Looking for a way to the relay. Nobody sees you yet.");
  if (!told) return is("alert", "#i-turn", "Sending, but not informed", "The relay does not say what it shows at the moment. Asking again…");
  const patient = server.patient;
  switch (patient?.state) {
    case "live":
      return is("good", "#i-wave", "Live", livePatient(server, bpm));
    case "shielded":
      return is("alert", "#i-shield", "Your picture is covered", `${sentence(patient.reason)}Whoever watches sees a card, not you.`);
    case "interrupted":
      return is("alert", "#i-turn", "Interrupted", `${sentence(patient.reason)}Your pictures do not reach the relay; whoever watches sees a card.`);
    default:
      return is("calm", "#i-turn", "Connecting", "The relay waits for your first pictures; whoever watches sees a card.");
  }
}

function livePatient(server, bpm) {
  const shown = server.edit?.bpm ?? null;
  if (shown !== bpm) return `Changing to ${rateOf(bpm)}…`;
  return shown === null
    ? "Your pulse is taken out of the picture, and none is put in. Whoever watches is told so."
    : `Your pulse is taken out of the picture, and ${rateOf(shown)} put in. Whoever watches is told so.`;
}

/** The viewer's line under the picture: {tone, text}. `still`: seconds without a new picture, or null. */
export function viewerText({ phase, status, server, told, still = null }) {
  const is = (tone, ...text) => ({ tone, text });
  if (phase === "ended") return is("calm", "You have left", "Nothing is received.");
  if (phase === "refused") return is("bad", ...refusalText(status.error, "viewer"));
  if (phase === "waiting") return is("bad", ...waitingText(status));
  if (phase === "opening") return is("calm", "Connecting", "Looking for a way to the relay.");
  if (still !== null) return is("alert", "The picture stands still", "Waiting for the next one.");
  if (!told) return is("alert", "Not informed", "The relay does not say at the moment what it shows.");
  if (server.draining) return is("alert", "The relay is about to restart", "The call comes back by itself.");
  const patient = server.patient;
  switch (patient?.state) {
    case "live":
      return is("good", "Live", "The edited picture, as it comes.");
    case "shielded":
      return is("alert", "Covered", `${sentence(patient.reason)}A card is shown in place of the patient.`);
    case "interrupted":
      return is("alert", "Interrupted", `${sentence(patient.reason)}The patient's pictures do not reach the relay.`);
    case "connecting":
      return is("calm", "The patient is connecting", "A card is shown until the edited picture is there.");
    default:
      return is("calm", "Waiting for the patient", "The picture comes by itself once the patient has started.");
  }
}

/** After "Edited pulse: the heart rate in this picture is not the patient's." */
export function noticeText(edit, told) {
  if (!edit) return ["", "", "What it shows is not known yet."];
  const [before, rate] = edit.bpm === null ? ["It shows ", "no pulse"] : ["It shows ", rateOf(edit.bpm)];
  return told ? [before, rate, "."] : ["When last heard, it showed ", rate, "."];
}

/** The veil over the viewer's picture, or null where the picture speaks for itself. */
export function veilText({ phase, status, still }) {
  if (phase === "up" && still === null) return null;
  if (phase === "up") {
    return ["The picture stands still", "What was here is no longer live.", `No new picture for ${Math.max(1, Math.floor(still))} s.`];
  }
  if (phase === "opening") return ["Connecting", "The picture comes in a moment."];
  return viewerText({ phase, status }).text;
}

/** What went wrong with the camera or microphone, and what to do. */
export function deviceText(error, what) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return `The ${what} is not allowed. Click the camera or lock sign in the address bar, allow it for this page, and try again; on a Mac or in Windows the system's privacy settings must allow the browser, too.`;
    case "NotFoundError":
      return `No ${what} was found. Plug one in, or switch it on, and try again.`;
    case "NotReadableError":
    case "AbortError":
      return `The ${what} is in use by another program, or does not answer. Close the other program, and try again.`;
    case "OverconstrainedError":
      return `This ${what} is gone, or cannot do what is needed. Choose another one.`;
    case "InsecureError":
      return "A browser opens cameras only on a secure page. Open this page by its https:// address.";
    default:
      return `The ${what} could not be opened (${error.message || error.name}). Try again, or choose another one.`;
  }
}
