// Turns what is known of an incident into what is read: each function fills one part of the live page.

import { make, mark, reconcile, setText, show } from "./dom.js";
import { bearing, coordinates, distance, metres, wind } from "./geo.js";
import { ago, clock, count, duration, reasonWords, roleWords, severityWords, statusWord, statusWords, typeWords } from "./words.js";

/** A position that is older is marked so. */
export const OLD_MS = 120_000;
/** People and entries shown at most. */
const SHOWN_MAX = 1000;

/** What happened, where it stands. */
export function renderFacts(parts, incident) {
  const { facts } = incident;
  const kind = typeWords(facts.type);
  setText(parts.title, kind);
  document.title = `${kind}, ${statusWord(facts.status).toLowerCase()} · Mayday`;
  setText(parts.status, statusWords(facts.status));
  mark(parts.status, "status", facts.status);
  setText(parts.message, facts.message);
  setText(parts.severity, severityWords(facts.severity));
  mark(parts.severity, "severity", facts.severity);
  const raised = incident.now() - Date.parse(facts.createdAt);
  setText(parts.raised, `${clock(facts.createdAt)} (${ago(raised)})`);
  show(parts.endedRow, Boolean(facts.endedAt));
  if (facts.endedAt) setText(parts.ended, `${clock(facts.endedAt)}, after ${duration(Date.parse(facts.endedAt) - Date.parse(facts.createdAt))}`);
  renderWhere(parts, facts);
  const inside = incident.active().length;
  setText(parts.peopleCount, incident.open ? count(inside, "person", "people") : "Nobody: it is over");
  setText(parts.messagesCount, String(facts.messagesCount ?? 0));
  show(parts.restricted, facts.visibility === "RESTRICTED" || facts.silent);
  setText(parts.restricted, facts.silent ? "Silent: seen only by those who take part and by operators." : "Restricted: seen only by those who take part and by operators.");
}

function renderWhere(parts, { location, address }) {
  const words = [address?.barangay, address?.city].filter(Boolean).join(", ");
  setText(parts.address, words);
  show(parts.address, words !== "");
  if (!location) {
    setText(parts.where, "Not known");
    show(parts.whereActions, false);
    return;
  }
  const sure = location.accuracy ? ` (to within ${metres(location.accuracy)})` : "";
  setText(parts.where, coordinates(location) + sure);
  show(parts.whereActions, true);
  parts.openMaps.href = `geo:${location.latitude},${location.longitude}?q=${location.latitude},${location.longitude}`;
}

/** Who is in, and how long. */
export function renderPeople(parts, incident) {
  const people = incident.active();
  show(parts.noPeople, people.length === 0);
  reconcile(parts.people, people.slice(0, SHOWN_MAX), {
    key: ({ id }) => id,
    create: () => make("li", { class: "person" }, make("span", { class: "name" }), make("span", { class: "role" }), make("span", { class: "stay" })),
    update: (element, person) => {
      const [name, role, stay] = element.children;
      setText(name, nameWords(incident, person.id));
      const raised = person.id === incident.facts.creatorId ? "raised this, " : "";
      setText(role, raised + roleWords(person.role));
      const here = `here for ${duration(incident.now() - Date.parse(person.joinedAt))}`;
      setText(stay, person.online === false ? `${here}, not connected now` : here);
    },
  });
}

export function nameWords(incident, id) {
  return incident.nameOf(id) + (id === incident.me ? " (you)" : "");
}

/** Where people are, in words: from the incident, from here, how sure and how old. */
export function renderPlaces(parts, incident, places) {
  const here = incident.facts.location;
  const me = places.find(({ kind }) => kind === "me");
  reconcile(parts.places, places, {
    key: ({ who }) => who,
    create: () => make("li", { class: "place" }, make("span", { class: "name" }), make("span", { class: "far" }), make("span", { class: "note" })),
    update: (element, place) => {
      const [name, far, note] = element.children;
      mark(element, "kind", place.kind);
      mark(element, "old", String(place.old));
      setText(name, place.kind === "me" ? "You" : incident.nameOf(place.who));
      const away = [here && `${awayWords(here, place)} the incident`];
      if (me && place !== me) away.push(`${awayWords(me, place)} you`);
      setText(far, away.filter(Boolean).join("; ") || coordinates(place));
      const age = incident.now() - place.at;
      const sure = Number.isFinite(place.accuracy) ? `to within ${metres(place.accuracy)}, ` : "";
      setText(note, sure + ago(age) + (place.old ? ", so perhaps elsewhere by now" : ""));
    },
  });
}

/** "120 m north-east of" */
function awayWords(from, to) {
  const far = distance(from, to);
  return far < 5 ? "at" : `${metres(far)} ${wind(bearing(from, to))} of`;
}

/** The messages, oldest first, and those on their way. */
export function renderMessages(parts, incident, pending) {
  const sent = incident.log().filter(({ kind }) => kind === "message").slice(-SHOWN_MAX);
  const known = new Set(sent.map(({ id }) => id));
  const waiting = [...pending.values()].filter(({ id }) => !known.has(id));
  const list = [...sent, ...waiting.map((message) => ({ ...message, who: incident.me, waiting: true }))];
  const atEnd = parts.messagesFrame.scrollHeight - parts.messagesFrame.scrollTop - parts.messagesFrame.clientHeight < 60;
  const before = parts.messages.childElementCount;
  reconcile(parts.messages, list, {
    key: ({ seq, id }) => (seq === undefined ? `waiting-${id}` : seq),
    create: () => make("li", { class: "message" }, make("p", { class: "by" }, make("span", { class: "name" }), " ", make("span", { class: "when" })), make("p", { class: "text", dir: "auto" })),
    update: (element, message) => {
      const [name, when] = element.querySelectorAll(".name, .when");
      mark(element, "mine", String(message.who === incident.me));
      setText(name, nameWords(incident, message.who));
      setText(when, message.waiting ? (message.failed ?? "sending…") : clock(message.at));
      setText(element.querySelector(".text"), message.text);
    },
  });
  if (atEnd && parts.messages.childElementCount !== before) parts.messagesFrame.scrollTop = parts.messagesFrame.scrollHeight;
  show(parts.noMessages, list.length === 0);
  setText(parts.noMessages, noMessagesWords(incident));
}

function noMessagesWords(incident) {
  if (incident.inside) return "Nobody has written yet.";
  const many = incident.facts.messagesCount ?? 0;
  if (!incident.open) return `${count(many, "message")}, which those who took part can read.`;
  return many ? `${count(many, "message")}. Join to read and write.` : "Nobody has written yet. Join to write.";
}

/** What has happened, newest first. */
export function renderTimeline(parts, incident) {
  const entries = incident.log().filter(({ kind }) => kind !== "message" && kind !== "created");
  const { facts } = incident;
  if (!entries.some(({ kind }) => kind === "status") && facts.updatedAt !== facts.createdAt && !incident.inside) {
    entries.push({ kind: "status", seq: "now", at: facts.updatedAt, to: facts.status });
  }
  const created = { kind: "created", seq: "created", at: facts.createdAt, who: facts.creatorId };
  const whole = incident.readFrom === 0 || !incident.inside;
  const list = [...(whole ? [created] : []), ...entries].slice(-SHOWN_MAX).reverse();
  reconcile(parts.timeline, list, {
    key: ({ seq }) => seq,
    create: () => make("li", {}, make("time", { class: "when" }), make("span", { class: "what" })),
    update: (element, event) => {
      const [when, what] = element.children;
      when.dateTime = event.at;
      setText(when, clock(event.at, true));
      setText(what, eventWords(incident, event));
    },
  });
  show(parts.logHint, !incident.inside);
}

/** An event in words. */
export function eventWords(incident, event) {
  const name = event.who && incident.people.has(event.who) ? nameWords(incident, event.who) : (event.name ?? "Somebody");
  switch (event.kind) {
    case "created":
      return `${name} raised the SOS`;
    case "joined":
      return `${name} joined (${roleWords(incident.people.get(event.who)?.role ?? event.role)})`;
    case "left":
      return `${name} left${event.reason && event.reason !== "LEFT" ? `: ${reasonWords(event.reason)}` : ""}`;
    case "message":
      return `${name}: ${event.text}`;
    case "status":
      return `${statusWords(event.to)}${incident.people.has(event.who) ? ` (by ${name})` : ""}${event.note ? `. ${event.note}` : ""}`;
    case "type":
      return `It is now taken for: ${typeWords(event.to).toLowerCase()}`;
    default:
      return "";
  }
}

/** The connection, in the bar. */
export function renderConnection(parts, state, skewless = Date.now()) {
  const words = { live: "Live", connecting: "Connecting…", waiting: "Not connected", ended: "Not connected" };
  mark(parts.connection, "phase", state.phase);
  setText(parts.connectionWords, words[state.phase]);
  const s = state.phase === "waiting" ? Math.ceil((state.retryAt - skewless) / 1000) : 0;
  setText(parts.connectionNote, s > 1 ? `trying again in ${s} s` : "");
  show(parts.retry, state.phase === "waiting");
}
