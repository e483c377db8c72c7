// Shares this device's position with those in the incident, only while somebody wants it and can see that it happens.
// It never starts by itself, and ends with the page.

/** Positions leave at most this often; the engine shows one a second. */
const GAP_MS = 2_000;
/** A device that stands still says so again after this long, so that others see that it is still heard of. */
const AGAIN_MS = 30_000;

const WORDS = {
  1: "This browser was not allowed to tell its position. Allow it in the browser's settings for this page, or send a position by hand.",
  2: "This device does not know where it is just now.",
  3: "This device takes long to find out where it is. Still trying.",
};

/** `send(fix)` answers whether it left; `onChange()` when there is something to show. */
export class Sharing {
  #watch = null;
  #unsent = false;
  #sentAt = 0;
  #timer = 0;

  constructor({ send, onChange }) {
    this.send = send;
    this.onChange = onChange;
    this.on = false;
    this.last = null;
    this.problem = null;
    addEventListener("pagehide", () => this.stop());
  }

  /** Asks the browser, which asks its user. */
  start() {
    if (this.on) return;
    if (!isSecureContext || !navigator.geolocation) {
      this.problem = "This browser tells its position to pages over HTTPS only. Send a position by hand.";
      return this.onChange();
    }
    this.on = true;
    this.problem = null;
    const options = { enableHighAccuracy: true, maximumAge: 1000, timeout: 20_000 };
    this.#watch = navigator.geolocation.watchPosition((found) => this.#found(found), (error) => this.#failed(error), options);
    this.#timer = setInterval(() => this.#again(), GAP_MS);
    this.onChange();
  }

  /** Ends it; nothing is sent from now on. */
  stop() {
    if (this.#watch !== null) navigator.geolocation.clearWatch(this.#watch);
    clearInterval(this.#timer);
    this.#watch = null;
    this.on = false;
    this.#unsent = false;
    this.last = null;
    this.onChange();
  }

  /** The connection is back: what waited goes. */
  flush() {
    if (this.on && this.#unsent && this.last && Date.now() - this.#sentAt >= GAP_MS) this.#leave();
  }

  #found({ coords, timestamp }) {
    if (!this.on) return;
    this.problem = null;
    const { latitude, longitude, accuracy, speed, heading } = coords;
    this.last = { latitude, longitude, accuracy, speed, heading: Number.isFinite(heading) ? heading : null, at: timestamp };
    this.#unsent = true;
    this.flush();
    this.onChange();
  }

  #failed({ code }) {
    if (!this.on) return;
    if (code === 1) this.stop();
    this.problem = WORDS[code] ?? WORDS[2];
    this.onChange();
  }

  #again() {
    if (this.last && Date.now() - this.#sentAt > AGAIN_MS) this.#unsent = true;
    this.flush();
  }

  #leave() {
    if (!this.send(this.last)) return;
    this.#sentAt = Date.now();
    this.#unsent = false;
  }
}
