// The room's WebSocket: its state as it changes, and what the patient wants; opened again when it closes.

const FIRST_PAUSE = 400; // ms
const LONGEST_PAUSE = 10000;
const SILENCE = 4000; // ms; the relay speaks every second

export class Events {
  #address;
  #token;
  #on;
  #socket = null;
  #pause = FIRST_PAUSE;
  #watch = 0;
  #timer = 0;
  #wanted = false;
  #heard = false; // this socket's token was good

  /** `on` has state(message), closing(message), up() and down(). */
  constructor(address, token, on) {
    this.#address = address;
    this.#token = token;
    this.#on = on;
    addEventListener("online", () => this.#wanted && !this.#socket && this.start());
    addEventListener("pagehide", () => this.stop());
  }

  start() {
    this.#wanted = true;
    clearTimeout(this.#timer);
    if (this.#socket) return;
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    this.#heard = false;
    this.#listen(socket);
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ token: this.#token }));
    });
    socket.addEventListener("message", ({ data }) => {
      if (socket !== this.#socket) return;
      this.#listen(socket);
      const message = JSON.parse(data);
      if (message.type === "state") {
        if (!this.#heard) this.#on.up();
        this.#heard = true;
        this.#pause = FIRST_PAUSE;
        this.#on.state(message);
      } else if (message.type === "closing") this.#on.closing(message);
    });
    socket.addEventListener("close", () => this.#lost(socket));
  }

  stop() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    const socket = this.#socket;
    this.#socket = null;
    this.#heard = false;
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "bye" }));
    socket?.close();
  }

  /** False where the relay cannot be told now. */
  send(message) {
    if (!this.#heard || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #listen(socket) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lost(socket), SILENCE);
  }

  #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#watch);
    socket.close();
    this.#heard = false;
    this.#on.down();
    if (this.#wanted) this.#timer = setTimeout(() => this.start(), this.#pause * (0.8 + 0.4 * Math.random()));
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }
}
