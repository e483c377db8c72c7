// The start page: raises a test SOS like any client would, and shows how to do the same from a terminal.

import { ApiError, call } from "./api.js";
import { byId, make, setText, show } from "./dom.js";
import { coordinates, typedPosition } from "./geo.js";
import { identity, noteRaised, raisedHere, uuid } from "./identity.js";
import { clock } from "./words.js";

const HEALTH_MS = 15_000;
/** Every try-out says so in its own words, wherever it is read. */
const MARK = "[TEST] ";

const form = byId("tryForm");
const latitude = byId("latitude");
const longitude = byId("longitude");
const problem = byId("tryProblem");
const button = byId("tryButton");
/** One key for one SOS: pressing again after a lost answer does not raise a second one. */
let key = uuid();

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  setText(problem, "");
  button.disabled = true;
  setText(button, "Raising…");
  try {
    raised(await call("POST", "/sos", { body: report(), headers: { "Idempotency-Key": key } }));
    key = uuid();
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof RangeError)) throw error;
    setText(problem, error.words ?? error.message);
    // An answer was given, so a change of the form is another SOS.
    if (error.status >= 400 && error.status < 500) key = uuid();
  } finally {
    button.disabled = false;
    setText(button, "Raise a test SOS");
  }
});

function report() {
  const { accuracy } = form.dataset;
  const location = typedPosition(latitude.value, longitude.value);
  if (accuracy) location.accuracy = Number(accuracy);
  return { type: byId("type").value, severity: "LOW", message: MARK + byId("words").value.trim(), location };
}

function raised({ sosId, location }) {
  noteRaised(sosId);
  const page = `/live/${encodeURIComponent(sosId)}`;
  byId("openLive").href = page;
  byId("openGuest").href = `${page}#guest`;
  setText(byId("raisedId"), sosId);
  setText(byId("raisedWhere"), coordinates(location));
  show(byId("raised"), true);
  byId("raisedTitle").focus();
  listRaised();
  examples(sosId);
}

function listRaised() {
  const list = raisedHere();
  show(byId("earlierRaised"), list.length > 0);
  byId("raisedList").replaceChildren(
    ...list.map(({ sosId, at }) => make("li", {}, make("a", { href: `/live/${encodeURIComponent(sosId)}` }, `Raised ${clock(at)}`))),
  );
}

byId("useMine").addEventListener("click", () => {
  setText(problem, "");
  if (!isSecureContext || !navigator.geolocation) {
    return setText(problem, "This browser tells its position to pages over HTTPS only. Type one instead.");
  }
  setText(byId("whereNote"), "Asking the browser…");
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      latitude.value = coords.latitude.toFixed(6);
      longitude.value = coords.longitude.toFixed(6);
      form.dataset.accuracy = String(Math.round(coords.accuracy));
      setText(byId("whereNote"), "This is where your browser says you are. A test SOS here is seen by others near you.");
    },
    () => setText(byId("whereNote"), "The browser did not tell its position. Type one, or keep the made-up one."),
    { enableHighAccuracy: true, timeout: 15_000 },
  );
});

for (const input of [latitude, longitude]) {
  input.addEventListener("input", () => {
    delete form.dataset.accuracy;
  });
}

/** The examples with this server's address, a device id of the reader's own, and the incident once there is one. */
function examples(sosId = "<the sosId>") {
  const { origin, host, protocol } = location;
  const socket = `${protocol === "https:" ? "wss" : "ws"}://${host}/api/ws`;
  const caller = exampleDevice;
  const position = `{"latitude":14.5995,"longitude":120.9842}`;
  setText(byId("curlRaise"), `curl -s ${origin}/api/v1/sos \\\n  -H 'X-Device-ID: ${caller}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{"type":"MEDICAL","message":"[TEST] I fell and cannot stand up","location":${position}}'`);
  setText(byId("curlFind"), `curl -s '${origin}/api/v1/sos?lat=14.6&lng=120.98&radius=5000' \\\n  -H 'X-Device-ID: ${exampleHelper}'`);
  setText(byId("socket"), `websocat '${socket}?deviceId=${exampleHelper}'\n{"type":"join-room","roomId":"${sosId}"}\n{"type":"room-message","roomId":"${sosId}","content":"I am two minutes away"}\n{"type":"location-update","latitude":14.6001,"longitude":120.9839}`);
}

const exampleDevice = uuid();
const exampleHelper = uuid();

for (const copy of document.querySelectorAll("button[data-copies]")) {
  copy.addEventListener("click", async () => {
    const source = byId(copy.dataset.copies);
    try {
      await navigator.clipboard.writeText(source.textContent);
      setText(byId("announcer"), "Copied");
      setText(copy, "Copied");
      setTimeout(() => setText(copy, "Copy"), 2000);
    } catch {
      getSelection()?.selectAllChildren(source);
    }
  });
}

/** Whether the engine may be sent work. */
async function health() {
  const state = byId("health");
  if (document.hidden) return;
  let ready = false;
  let words = "The engine does not answer";
  try {
    ready = (await fetch("/ready", { cache: "no-store" })).ok;
    words = ready ? "The engine is ready" : "The engine is up and not ready for work";
  } catch {
    // It does not answer.
  }
  state.dataset.ready = String(ready);
  setText(byId("healthWords"), words);
}

identity();
examples();
listRaised();
health();
setInterval(health, HEALTH_MS);
document.addEventListener("visibilitychange", health);
