// One WebSocket to the engine that comes back by itself: with a fresh ticket, after a delay that grows and is random.
// What goes wrong is said in words, and a connection that is open but silent counts as lost.

import { ApiError, call } from "./api.js";
import { identity } from "./identity.js";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** Silence after which we ask, and how long the answer may take. */
const QUIET_MS = 20_000;
const ANSWER_MS = 10_000;
/** The upgrade and `connected` must be there by then. */
const OPEN_MS = 15_000;
/** A connection that lived this long starts its delays anew. */
const SETTLED_MS = 10_000;
const LOOK_MS = 1_000;

/** Close codes after which coming back would only happen again (docs/protocol.md, section 10). */
const FINAL = new Map([
  [1002, "The server did not understand this page. Reload it."],
  [1007, "The server did not understand this page. Reload it."],
  [4003, "You have been blocked here."],
]);

const finalWords = (code) => FINAL.get(code) ?? (code >= 4500 && code <= 4999 ? "The server does not want this page back." : null);

/** `onState({phase, retryAt?, why?})` with phase `connecting`, `live`, `waiting` or `ended`; `onMessage(message)`. */
export class Connection {
  #socket = null;
  #round = 0;
  #failures = 0;
  #openedAt = 0;
  #heardAt = 0;
  #askedAt = 0;
  #retry = 0;
  #look = 0;

  constructor({ onState, onMessage }) {
    this.onState = onState;
    this.onMessage = onMessage;
    this.state = { phase: "ended" };
    addEventListener("online", () => this.retryNow());
    addEventListener("offline", () => this.#lost("This device is offline"));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.retryNow();
    });
  }

  get live() {
    return this.state.phase === "live";
  }

  /** Connects, and stays connected. */
  start() {
    this.stop();
    this.#look = setInterval(() => this.#listen(), LOOK_MS);
    this.#failures = 0;
    this.#open();
  }

  /** Ends it for good. */
  stop(why) {
    clearInterval(this.#look);
    this.#drop();
    this.#tell({ phase: "ended", why });
  }

  /** Does not wait for the next try. */
  retryNow() {
    if (this.state.phase !== "waiting") return;
    this.#drop();
    this.#open();
  }

  /** Sends, if it is connected. */
  send(message) {
    if (!this.live || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  async #open() {
    const round = ++this.#round;
    this.#tell({ phase: "connecting" });
    this.#openedAt = this.#heardAt = Date.now();
    this.#askedAt = 0;
    let query;
    try {
      query = await credential();
    } catch (error) {
      if (round === this.#round) this.#refused(error);
      return;
    }
    if (round !== this.#round) return;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/ws?${query}`);
    this.#socket = socket;
    socket.onmessage = ({ data }) => round === this.#round && this.#heard(data);
    socket.onclose = ({ code, reason }) => round === this.#round && this.#closed(code, reason);
  }

  #heard(data) {
    this.#heardAt = Date.now();
    this.#askedAt = 0;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message?.type === "connected") this.#tell({ phase: "live" });
    if (typeof message?.type === "string") this.onMessage(message);
  }

  #closed(code, reason) {
    const final = finalWords(code);
    if (final) return this.stop(final);
    const hint = code === 1001 ? Number(/retry-after-ms=(\d+)/.exec(reason)?.[1]) : NaN;
    this.#lost(code === 1001 ? "The server restarts" : "The connection is lost", hint);
  }

  #refused(error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
      return this.stop(error.message);
    }
    this.#lost(error instanceof ApiError ? error.words : "The connection is lost", error.retryAfterMs || NaN);
  }

  /** Comes back later: when the server says, or ever later. */
  #lost(why, afterMs = NaN) {
    if (this.state.phase === "ended" || this.state.phase === "waiting") return;
    if (this.live && Date.now() - this.#openedAt > SETTLED_MS) this.#failures = 0;
    const longest = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures++);
    const delay = Number.isFinite(afterMs) ? afterMs : longest * (0.5 + Math.random() / 2);
    this.#drop();
    this.#retry = setTimeout(() => this.#open(), delay);
    this.#tell({ phase: "waiting", why, retryAt: Date.now() + delay });
  }

  #drop() {
    this.#round++;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  /** Phones lose a connection without a word: whoever is silent is asked, and given up when no answer comes. */
  #listen() {
    const now = Date.now();
    if (this.state.phase === "connecting" && now - this.#openedAt > OPEN_MS) this.#lost("The server does not answer");
    if (!this.live) return;
    if (this.#askedAt && now - this.#askedAt > ANSWER_MS) this.#lost("The server does not answer");
    else if (!this.#askedAt && now - this.#heardAt > QUIET_MS && this.send({ type: "ping" })) this.#askedAt = now;
  }

  #tell(state) {
    this.state = state;
    this.onState(state);
  }
}

/** What opens the socket: a ticket. A browser that is out of requests still gets in with its device id. */
async function credential() {
  try {
    const { ticket } = await call("POST", "/tickets");
    return `ticket=${encodeURIComponent(ticket)}`;
  } catch (error) {
    const who = identity();
    if (error.code === "RATE_LIMITED" && who.kind === "device") return `deviceId=${who.id}`;
    throw error;
  }
}
