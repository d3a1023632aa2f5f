// What a status says, in words.

const NAMES = {
  starting: "Starting",
  filtering: "Filtering",
  shielded: "Shielded",
  paused: "Paused",
  waiting: "Waiting",
  restarting: "Restarting",
  stopped: "Stopped",
};

export const ICONS = {
  starting: "#i-turn",
  filtering: "#i-wave",
  shielded: "#i-shield",
  paused: "#i-shield",
  waiting: "#i-moon",
  restarting: "#i-turn",
  stopped: "#i-stop",
  lost: "#i-stop",
};

export const nameOf = (status) => NAMES[status.state] ?? status.state;

export function sentenceOf(status) {
  const reason = status.reason ? ` (${status.reason})` : "";
  switch (status.state) {
    case "filtering":
      if (status.target === "hide") return "Your pulse is taken out of the picture, and none is put in.";
      return status.pulse.wanted === null
        ? "Your pulse is taken out of the picture."
        : `Your pulse is taken out of the picture; ${bpm(status.pulse.wanted)} bpm is put in.`;
    case "shielded":
      return status.reason ? `Your picture is covered: ${status.reason}.` : "Your picture is covered.";
    case "paused":
      return "Others see a card instead of you, until you go on.";
    case "waiting":
      return "No program has the virtual camera open, so your camera is closed.";
    case "starting":
      return `Opening the camera${reason}. Others see a card.`;
    case "restarting":
      return `Opening again what was lost${reason}. Others see a card.`;
    case "stopped":
      return `physio-cam has ended${reason}.`;
    default:
      return status.reason ?? "";
  }
}

/** What lies over each picture; empty where the picture speaks for itself. */
export function veilsOf(status) {
  switch (status.state) {
    case "waiting":
      return ["The camera is closed", "Nobody is watching"];
    case "starting":
    case "restarting":
      return ["No picture yet", "No picture yet"];
    case "stopped":
      return ["Ended", "Ended"];
    default:
      return ["", ""];
  }
}

export const bpm = (value) => (value === null ? "–" : String(Math.round(value)));
export const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));

export function duration(seconds) {
  const minutes = Math.floor((seconds ?? 0) / 60);
  if (minutes < 1) return "less than a minute";
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}
