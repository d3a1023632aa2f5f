// The WebSocket to physio-cam: opened again, with growing pauses, for as long as the page is open.

const FIRST_PAUSE = 400; // ms
const LONGEST_PAUSE = 5000;
const SILENCE = 3000; // ms without a status: as good as closed

export class Connection {
  #socket = null;
  #pause = FIRST_PAUSE;
  #watch = 0;
  #id = 0;
  #on;

  /** `on` has message(object), up() and down(expired: whether this start's link is no longer good). */
  constructor(on) {
    this.#on = on;
    this.#open();
  }

  /** Sends a command; gives its id, or null where the connection is lost. */
  send(action, value = null) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return null;
    this.#id += 1;
    this.#socket.send(JSON.stringify({ do: action, value, id: this.#id }));
    return this.#id;
  }

  #open() {
    const socket = new WebSocket(`ws://${location.host}/live`);
    this.#socket = socket;
    this.#listen(socket);
    socket.addEventListener("open", () => {
      this.#pause = FIRST_PAUSE;
      this.#on.up();
    });
    socket.addEventListener("message", (event) => {
      this.#listen(socket);
      this.#on.message(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => this.#lost(socket));
  }

  #listen(socket) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lost(socket), SILENCE);
  }

  async #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#watch);
    socket.close();
    this.#on.down(false);
    if (await refused()) this.#on.down(true);
    setTimeout(() => this.#open(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }
}

// A WebSocket does not say why it was refused; the page's own address does.
async function refused() {
  try {
    return (await fetch("/", { method: "HEAD", signal: AbortSignal.timeout(SILENCE) })).status === 401;
  } catch {
    return false; // nobody answers at all
  }
}
