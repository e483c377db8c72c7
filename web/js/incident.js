// What this page knows of one incident: its facts, its log as far as it has been read, who is in it and where they
// are. Takes what REST and the socket say; knows neither, and nothing of the page.

import { isOpen } from "./words.js";

/** Events kept; the oldest go first. */
const EVENTS_MAX = 1000;
/** People whose positions are kept. */
const POSITIONS_MAX = 1000;

/** The facts, the log, the people and the positions of one incident. */
export class Incident {
  constructor(id) {
    this.id = id;
    this.facts = null;
    this.events = new Map();
    this.people = new Map();
    this.positions = new Map();
    this.me = null;
    /** The log is read from here on (exclusive); `null` when none of it is. */
    this.readFrom = null;
    /** The highest place of the log that was processed. */
    this.seq = 0;
    /** How far the server's clock is ahead of this device's. */
    this.skewMs = 0;
  }

  get open() {
    return this.facts !== null && isOpen(this.facts.status);
  }

  /** Whether the reader may read the log: such an answer names the linked rooms. */
  get inside() {
    return this.me !== null || Array.isArray(this.facts?.linkedRooms);
  }

  /** Whether no more events are kept. */
  get full() {
    return this.events.size >= EVENTS_MAX;
  }

  get mine() {
    return this.me !== null && this.facts?.creatorId === this.me;
  }

  /** Now, by the server's clock. */
  now() {
    return Date.now() + this.skewMs;
  }

  /** Learns what time the server has. */
  heardAt(timestamp) {
    const at = Date.parse(timestamp);
    if (Number.isFinite(at)) this.skewMs = at - Date.now();
  }

  /** `GET /sos/{id}`. */
  learn(facts) {
    if (this.facts && facts.seq < this.facts.seq) return;
    this.facts = facts;
    for (const person of facts.activeParticipants ?? []) this.learnPerson(person);
    const active = new Set((facts.activeParticipants ?? []).map(({ id }) => id));
    for (const person of this.people.values()) {
      if (!active.has(person.id) && !person.leftAt && (person.seq ?? 0) <= facts.seq) this.#out(person.id, facts.updatedAt);
    }
    if (!this.open) this.#over();
  }

  /** A participant as REST shows them. */
  learnPerson({ id, userType, displayName, joinedAt, leftAt }) {
    const known = this.people.get(id) ?? { id };
    this.people.set(id, { ...known, name: displayName, role: userType, joinedAt, leftAt: leftAt ?? null });
  }

  /** We are in, as this participant. */
  seated(participantId) {
    this.me = participantId;
  }

  /** We are no longer in. What only those inside may see goes. */
  unseated() {
    this.me = null;
    this.positions.clear();
  }

  /** Starts over: what we knew is of a log that is no more. */
  forget() {
    this.events.clear();
    this.positions.clear();
    this.readFrom = null;
    this.seq = 0;
  }

  /** A message from the socket. Answers what happened, in the words of an event, if it is news of this incident. */
  frame(message) {
    if (message.roomId !== this.id && message.sosId !== this.id) return null;
    if (message.type === "location-update") return this.#moved(message);
    const event = eventOf(message);
    if (!event) return null;
    if (event.seq === undefined) return this.#presence(event);
    return this.#happened(event) ? event : null;
  }

  /** An entry of `GET /sos/{id}/events`. */
  entry(entry) {
    const event = eventOfEntry(entry);
    if (event) this.#happened(event);
    else this.seq = Math.max(this.seq, entry.seq);
  }

  /** The log has been read after `since`. */
  hasReadFrom(since) {
    this.readFrom = this.readFrom === null ? since : Math.min(this.readFrom, since);
  }

  nameOf(id) {
    return this.people.get(id)?.name ?? "Somebody";
  }

  /** The events, oldest first. */
  log() {
    return [...this.events.values()].sort((a, b) => a.seq - b.seq);
  }

  /** Those who are in, in the order they came. */
  active() {
    return [...this.people.values()]
      .filter((person) => person.joinedAt && !person.leftAt)
      .sort((a, b) => Date.parse(a.joinedAt) - Date.parse(b.joinedAt));
  }

  /** Where those who are in have been last. */
  places() {
    return [...this.positions.values()].filter(({ who }) => !this.people.get(who)?.leftAt);
  }

  #happened(event) {
    if (this.events.has(event.seq)) return false;
    this.events.set(event.seq, event);
    this.seq = Math.max(this.seq, event.seq);
    if (this.events.size > EVENTS_MAX) {
      const oldest = Math.min(...this.events.keys());
      this.events.delete(oldest);
      this.readFrom = Math.max(this.readFrom ?? 0, oldest);
    }
    this.#apply(event);
    return true;
  }

  /** Brings people and facts up to an event, unless they are further already: an event of an older page changes nothing. */
  #apply(event) {
    const { who, name, role, seq, at } = event;
    const known = this.people.get(who);
    if (event.kind === "joined" && (known?.seq ?? 0) < seq) {
      const gone = known?.leftAt && Date.parse(known.leftAt) > Date.parse(at);
      const joinedAt = gone ? known.joinedAt : at;
      const leftAt = gone ? known.leftAt : null;
      this.people.set(who, { ...known, id: who, name: name ?? known?.name, role: known?.role ?? role, joinedAt, leftAt, seq });
    } else if (event.kind === "left" && (known?.seq ?? 0) < seq) {
      this.people.set(who, { ...known, id: who, name: known?.name ?? name, seq });
      this.#out(who, at);
    } else if (event.kind === "message" && who && !known) {
      this.people.set(who, { id: who, name, role, joinedAt: null, leftAt: null });
    }
    if (!this.facts || seq <= this.facts.seq) return;
    this.facts = { ...this.facts, seq };
    if (event.kind === "message") this.facts.messagesCount += 1;
    if (event.kind === "type") this.facts.type = event.to;
    if (event.kind !== "status") return;
    this.facts = { ...this.facts, status: event.to, updatedAt: at };
    if (!isOpen(event.to)) {
      this.facts.endedAt ??= at;
      this.#over();
    }
  }

  #out(who, at) {
    const person = this.people.get(who);
    if (person) this.people.set(who, { ...person, leftAt: at, online: undefined });
    this.positions.delete(who);
  }

  /** An incident that is over has nobody in it, and shows nobody's position. */
  #over() {
    this.positions.clear();
    const at = this.facts.endedAt ?? this.facts.updatedAt;
    for (const person of this.people.values()) if (!person.leftAt) this.#out(person.id, at);
  }

  #presence({ kind, who }) {
    const person = this.people.get(who);
    if (!person || (kind !== "joined" && kind !== "left")) return null;
    this.people.set(who, { ...person, online: kind === "joined" });
    return { kind: kind === "joined" ? "online" : "offline", who };
  }

  #moved({ data }) {
    const { userId: who, userName: name, latitude, longitude, accuracy, speed, heading, timestamp } = data;
    if (!this.open || !Number.isFinite(latitude) || !Number.isFinite(longitude)) return null;
    if (!this.positions.has(who) && this.positions.size >= POSITIONS_MAX) return null;
    this.positions.set(who, { who, name, latitude, longitude, accuracy, speed, heading, at: Date.parse(timestamp) });
    if (!this.people.has(who)) this.people.set(who, { id: who, name, role: undefined, joinedAt: null, leftAt: null });
    return { kind: "moved", who };
  }
}

/** A frame of the socket as an event; `seq` is missing when only somebody's presence changed. */
function eventOf(message) {
  const { type, seq, timestamp: at, user } = message;
  switch (type) {
    case "user-joined":
      return { kind: "joined", seq, at, who: user?.id, name: user?.name, role: user?.role };
    case "emergency-contact-joined":
      return { kind: "joined", seq, at, who: message.contactId, name: message.contactName, role: "CITIZEN" };
    case "user-left":
      return { kind: "left", seq, at, who: message.clientId, name: message.userName };
    case "room-message":
      return { kind: "message", seq, at, who: user?.id, name: message.userName, role: user?.role, id: message.id, text: message.content };
    case "sos-status":
      return { kind: "status", seq, at, who: message.clientId, from: message.from, to: message.status };
    case "sos-type":
      return { kind: "type", seq, at, who: message.clientId, from: message.from, to: message.incidentType };
    default:
      return null;
  }
}

/** An entry of the log by REST as an event; `null` for the bookkeeping. */
function eventOfEntry({ seq, at, actor, type, data }) {
  switch (type) {
    case "created":
      return { kind: "created", seq, at, who: actor };
    case "joined":
      return { kind: "joined", seq, at, who: data.participantId, role: data.userType };
    case "left":
      return { kind: "left", seq, at, who: data.participantId, reason: data.reason };
    case "message":
      return { kind: "message", seq, at, who: actor, id: data.id, text: data.content };
    case "status-changed":
      return { kind: "status", seq, at, who: actor, from: data.from, to: data.to, note: data.note };
    case "type-changed":
      return { kind: "type", seq, at, who: actor, from: data.from, to: data.to };
    default:
      return null;
  }
}
