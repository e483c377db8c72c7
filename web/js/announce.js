// Tells a screen reader what has happened, without talking all the time: what comes in quick succession is said
// together, and of much only the newest and how many more.

const GATHER_MS = 1500;
const MOST = 3;

/** Says things in a live region. */
export class Announcer {
  constructor(region) {
    this.region = region;
    this.waiting = [];
    this.timer = 0;
  }

  /** Says it soon. */
  say(text) {
    if (this.waiting.at(-1) === text) return;
    this.waiting.push(text);
    this.timer ||= setTimeout(() => this.#speak(), GATHER_MS);
  }

  #speak() {
    this.timer = 0;
    const said = this.waiting.splice(0);
    const more = said.length - MOST;
    const text = said.slice(-MOST).join(". ");
    this.region.textContent = more > 0 ? `${more} more. ${text}` : text;
  }
}
