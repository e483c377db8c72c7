// Who this browser is to the engine: a device id that it made up and keeps, a guest in one tab (to try out what
// another person sees), or whoever a pasted token names. The last two are forgotten with the tab.

const DEVICE = "mayday.device";
const DEVICE_TOKEN = "mayday.deviceToken";
const GUEST = "mayday.guest";
const TOKEN = "mayday.token";
const NAME = "mayday.name";

/** Storage that a browser may refuse (private windows, settings): then it lasts as long as the page. */
function store(kind) {
  const memory = new Map();
  const real = () => {
    try {
      return window[kind];
    } catch {
      return null;
    }
  };
  return {
    get(key) {
      try {
        return real()?.getItem(key) ?? memory.get(key) ?? null;
      } catch {
        return memory.get(key) ?? null;
      }
    },
    set(key, value) {
      memory.set(key, value);
      try {
        real()?.setItem(key, value);
      } catch {
        // Kept in memory.
      }
    },
    remove(key) {
      memory.delete(key);
      try {
        real()?.removeItem(key);
      } catch {
        // It was never there.
      }
    },
  };
}

const browser = store("localStorage");
const tab = store("sessionStorage");

/** A version 4 UUID; `crypto.randomUUID` exists on secure origins only. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** `{kind: "token", token}` or `{kind: "device", id, guest}`. */
export function identity() {
  const token = tab.get(TOKEN);
  if (token) return { kind: "token", token };
  const guest = tab.get(GUEST);
  if (guest) return { kind: "device", id: guest, guest: true };
  let id = browser.get(DEVICE);
  if (!id) {
    id = uuid();
    browser.set(DEVICE, id);
  }
  return { kind: "device", id, guest: false };
}

/** The headers that say who is asking. */
export function credentials() {
  const who = identity();
  if (who.kind === "token") return { Authorization: `Bearer ${who.token}` };
  const headers = { "X-Device-ID": who.id };
  const token = (who.guest ? tab : browser).get(DEVICE_TOKEN);
  if (token) headers["X-Device-Token"] = token;
  return headers;
}

/** Be whoever this token names, in this tab. */
export function useToken(token) {
  tab.set(TOKEN, token.trim().replace(/^bearer\s+/i, ""));
}

/** Be somebody new, in this tab. */
export function useGuest() {
  tab.remove(TOKEN);
  tab.remove(DEVICE_TOKEN);
  tab.set(GUEST, uuid());
}

/** Be this browser's device again. */
export function useDevice() {
  for (const key of [TOKEN, GUEST, DEVICE_TOKEN]) tab.remove(key);
}

/** Keeps the secret that an engine may ask of a device beside its id. */
export function keepDevice(id, secret) {
  const who = identity();
  if (who.kind !== "device") return;
  const place = who.guest ? tab : browser;
  if (id) place.set(who.guest ? GUEST : DEVICE, id);
  place.set(DEVICE_TOKEN, secret);
}

/** The name that this browser's user gave last. */
export const rememberedName = () => browser.get(NAME) ?? "";

/** Keeps it. */
export function rememberName(name) {
  if (name) browser.set(NAME, name);
  else browser.remove(NAME);
}

/** The incidents raised from this browser, newest first. */
export function raisedHere() {
  try {
    const list = JSON.parse(browser.get("mayday.raised") ?? "[]");
    return Array.isArray(list) ? list.filter((entry) => typeof entry?.sosId === "string").slice(0, 5) : [];
  } catch {
    return [];
  }
}

/** Notes one. */
export function noteRaised(sosId) {
  const list = raisedHere().filter((entry) => entry.sosId !== sosId);
  browser.set("mayday.raised", JSON.stringify([{ sosId, at: Date.now() }, ...list].slice(0, 5)));
}
