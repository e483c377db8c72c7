// The live page: wires what is known of one incident to what is shown of it and to what its reader does.
//
// Who has not joined watches: the socket says when the incident changes (an area of a hundred metres round it), and
// REST what it then is. Who is in sits in its room and hears everything.

import { Announcer } from "./announce.js";
import { ApiError, ask, call } from "./api.js";
import { Connection } from "./connection.js";
import { byId, make, mark, oncePerFrame, reconcile, setText, show } from "./dom.js";
import { typedPosition } from "./geo.js";
import { identity, rememberName, rememberedName, useDevice, useGuest, useToken, uuid } from "./identity.js";
import { Incident } from "./incident.js";
import { MapView } from "./map.js";
import { Sharing } from "./sharing.js";
import * as views from "./views.js";
import { ago, clock, isOpen, nextStates, roleWords, statusWord } from "./words.js";

/** Events read at first and with each "earlier", by socket and by REST. */
const PAGE = 200;
const REST_PAGE = 100;
/** How often a watcher asks for the list round the incident, and at most for the incident itself. */
const WATCH_MS = 15_000;
const REFRESH_GAP_MS = 15_000;
const UNLISTED_GAP_MS = 30_000;
const WATCH_RADIUS_KM = 0.1;
const TICK_MS = 1_000;
const RESEND_MS = 10_000;
const STAFF = ["ADMIN", "DISPATCHER"];
/** Answers that were made just now; events carry the time when they happened, which may be long ago. */
const FRESH = ["connected", "join-approved", "area", "pong", "message-accepted", "location-update-confirmed"];

const ids = [
  "title", "status", "message", "severity", "raised", "endedRow", "ended", "where", "address", "whereActions", "openMaps",
  "copyWhere", "peopleCount", "messagesCount", "restricted", "people", "noPeople", "places", "noPlaces", "messagesFrame",
  "messages", "noMessages", "timeline", "logHint", "connection", "connectionWords", "connectionNote", "retry", "stale",
  "alert", "announcer", "incident", "unavailable", "unavailableWords", "loading", "part", "joinForm", "joinNameRow", "joinName", "joinButton", "joinedPanel",
  "joinedWords", "leave", "share", "stopSharing", "sharingBar", "sharingWords", "sharingProblem", "byHand", "handLatitude",
  "handLongitude", "handCentre", "handProblem", "writeForm", "write", "earlier", "earlierLog", "manage", "manageStatus", "manageNote",
  "identityWords", "tokenForm", "token", "beGuest", "beDevice", "over",
];
const parts = Object.fromEntries(ids.map((id) => [id, byId(id)]));

class LivePage {
  constructor(id) {
    this.id = id;
    this.incident = new Incident(id);
    this.pending = new Map();
    this.announcer = new Announcer(parts.announcer);
    this.role = null;
    this.replayingTo = 0;
    this.refreshedAt = 0;
    this.lostAt = null;
    this.joining = false;
    this.draw = oncePerFrame(() => this.render());
    this.sharing = new Sharing({ send: (fix) => this.sendPosition(fix), onChange: () => this.draw() });
    this.connection = new Connection({ onState: (state) => this.connected(state), onMessage: (message) => this.heard(message) });
    this.map = new MapView(
      {
        frame: byId("map"), canvas: byId("mapCanvas"), scale: byId("mapScale"),
        zoomIn: byId("zoomIn"), zoomOut: byId("zoomOut"), home: byId("mapHome"),
      },
      mapSettings(),
    );
  }

  /** Without an account, as far as is known. */
  get anonymous() {
    return this.role === null ? identity().kind === "device" : this.role === "ANON";
  }

  async start() {
    this.listen();
    this.renderIdentity();
    parts.joinName.value = rememberedName();
    setInterval(() => this.tick(), TICK_MS);
    setInterval(() => this.watch(), WATCH_MS);
    setInterval(() => this.resend(), RESEND_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.watch());
    if (await this.refresh()) this.connection.start();
  }

  // ---- what the engine says ----

  /** Asks what the incident is. Answers whether it is to be seen. */
  async refresh() {
    this.refreshedAt = Date.now();
    try {
      this.incident.learn(await call("GET", `/sos/${encodeURIComponent(this.id)}`));
      await this.readLog();
      this.found();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return this.notFound(error);
    }
  }

  found() {
    show(parts.loading, false);
    show(parts.unavailable, false);
    show(parts.incident, true);
    if (!this.incident.open) this.sharing.stop();
    this.draw();
  }

  /** Without an incident there is nothing to show but why; one that was shown stays, however the asking went. */
  notFound(error) {
    const gone = error.status === 404 || error.status === 401 || error.status === 403 || error.status === 400;
    if (!gone && this.incident.facts) return true;
    if (!gone) {
      setText(parts.loading, `${error.words}. Trying again…`);
      setTimeout(() => this.incident.facts || this.refresh().then((seen) => seen && this.connection.start()), Math.max(3000, error.retryAfterMs));
      return false;
    }
    this.connection.stop();
    show(parts.loading, false);
    show(parts.incident, false);
    show(parts.unavailable, true);
    const words =
      error.status === 404 || error.status === 400
        ? "There is no such incident, or it is not shown to you: some are seen only by those who take part in them."
        : error.words;
    setText(parts.unavailableWords, words);
    return false;
  }

  /** Reads what is new in the log by REST: for those who may, and do not sit in the room. */
  async readLog() {
    const { incident } = this;
    if (!incident.inside || incident.me !== null) return;
    const since = incident.readFrom === null ? Math.max(0, incident.facts.seq - REST_PAGE) : incident.seq;
    if (incident.readFrom === null || since < incident.facts.seq) await this.readEvents(since);
  }

  async readEvents(since) {
    const path = `/api/v1/sos/${encodeURIComponent(this.id)}`;
    const [people, events] = await Promise.all([
      ask("GET", `${path}/participants/history?limit=100`),
      ask("GET", `${path}/events?since=${since}&limit=${REST_PAGE}`),
    ]);
    for (const person of people.data) this.incident.learnPerson(person);
    for (const entry of events.data) this.incident.entry(entry);
    this.incident.hasReadFrom(since);
  }

  connected(state) {
    if (state.phase === "live") {
      if (this.lostAt !== null) this.announcer.say("Connected again");
      this.lostAt = null;
    } else if (state.phase === "waiting") {
      if (this.lostAt === null) {
        this.lostAt = Date.now();
        this.alert(`${state.why}. What you see may be old.`);
      }
    } else if (state.phase === "ended" && state.why) {
      this.lostAt ??= Date.now();
      this.alert(state.why);
    }
    this.draw();
  }

  heard(message) {
    if (FRESH.includes(message.type)) this.incident.heardAt(message.timestamp);
    const mine = message.roomId === this.id;
    switch (message.type) {
      case "connected":
        this.role = message.user.role;
        this.userName = message.user.name;
        this.renderIdentity();
        if (parts.alert.dataset.kind === "lost") this.alert("");
        if (this.joining || message.roomIds.includes(this.id)) this.takeSeat();
        else this.strangers();
        return this.draw();
      case "join-approved":
        return mine && this.seated(message);
      case "auto-joined":
        return mine && this.takeSeat();
      case "join-denied":
        return mine && this.denied(message);
      case "room-left":
        return mine && this.unseated();
      case "message-accepted":
        return this.draw();
      case "history":
        return mine && this.history(message);
      case "area":
        return this.area(message.sos);
      case "sos-updated":
      case "sos-closed":
        return message.sosId === this.id && this.incident.me === null && this.refresh();
      case "error":
        return this.problem(message);
      default:
        return this.news(message);
    }
  }

  /** Something in the room. It is announced if it is new, not when the past is read. */
  news(message) {
    const event = this.incident.frame(message);
    if (!event) return;
    if (event.kind === "status") this.statusChanged(event);
    const past = event.seq !== undefined && event.seq <= this.replayingTo;
    const own = event.who === this.incident.me;
    if (event.kind === "message") this.pending.delete(event.id);
    if (!past && !own && ["joined", "left", "message"].includes(event.kind)) {
      this.announcer.say(views.eventWords(this.incident, event));
    }
    this.draw();
  }

  statusChanged({ to }) {
    if (isOpen(to) || to !== this.incident.facts.status) return;
    this.sharing.stop();
    this.refresh();
  }

  // ---- joining, leaving, watching ----

  /** Sits down in the room, with what it missed. */
  takeSeat() {
    const { incident } = this;
    const head = incident.facts?.seq ?? 0;
    this.since = incident.readFrom === null ? Math.max(0, head - PAGE) : incident.seq;
    this.connection.send({ type: "join-room", roomId: this.id, since: this.since });
  }

  seated({ participantId, recovered, seq }) {
    const first = this.incident.me === null;
    this.incident.seated(participantId);
    this.replayingTo = seq;
    if (recovered) this.incident.hasReadFrom(this.since);
    else this.startOver(seq);
    this.connection.send({ type: "unwatch-area" });
    this.resend();
    this.sharing.flush();
    this.refresh();
    if (first && this.joining) {
      this.joining = false;
      this.announcer.say("You have joined");
      this.render();
      parts.write.focus();
    }
    this.draw();
  }

  /** The log is not the one that we knew: an older backup was restored. */
  startOver(seq) {
    this.incident.forget();
    this.readHistory(Math.max(0, seq - PAGE));
  }

  readHistory(since) {
    this.since = since;
    this.connection.send({ type: "get-history", roomId: this.id, since, limit: PAGE });
  }

  history({ events, more, seq }) {
    const upTo = this.incident.readFrom ?? Infinity;
    for (const event of events) this.incident.frame(event);
    if (more && seq < upTo) this.connection.send({ type: "get-history", roomId: this.id, since: seq, limit: PAGE });
    else this.incident.hasReadFrom(this.since);
    this.draw();
  }

  denied({ message }) {
    this.joining = false;
    this.alert(`You could not join: ${message}`);
    this.unseated();
  }

  /** The room has let us go, or never knew us. */
  unseated() {
    const was = this.incident.me !== null;
    this.incident.unseated();
    for (const message of this.pending.values()) message.failed ??= "not sent";
    this.sharing.stop();
    if (was) this.announcer.say(this.incident.open ? "You have left" : "The incident is over");
    this.refresh().then(() => this.watch());
    this.draw();
  }

  /** This connection belongs to somebody who is not in. */
  strangers() {
    if (this.incident.me !== null) {
      this.alert("You are no longer in this incident. Join again to go on.");
      this.unseated();
    } else this.watch();
  }

  /** Asks who is round here, which tells whether this incident has changed and costs no request of the budget. */
  watch() {
    const { facts, me, open } = this.incident;
    if (me !== null || !open || document.hidden || !this.connection.live) return;
    if (!facts.location) return this.refreshSoon(UNLISTED_GAP_MS);
    const { latitude, longitude } = facts.location;
    this.connection.send({ type: "watch-area", latitude, longitude, radiusKm: WATCH_RADIUS_KM });
  }

  area(list) {
    if (this.incident.me !== null || !this.incident.facts) return;
    const entry = list.find(({ sosId }) => sosId === this.id);
    if (!entry) return this.refreshSoon(UNLISTED_GAP_MS);
    if (entry.seq !== this.incident.facts.seq) this.refreshSoon(REFRESH_GAP_MS);
  }

  refreshSoon(gap) {
    if (Date.now() - this.refreshedAt >= gap) this.refresh();
  }

  async join(event) {
    event.preventDefault();
    if (this.joining) return;
    this.joining = true;
    this.alert("");
    const name = parts.joinName.value.trim();
    rememberName(name);
    this.draw();
    try {
      if (this.anonymous) await this.register(name);
      if (!this.connection.live) this.connection.retryNow();
      else this.takeSeat();
    } catch (error) {
      this.joining = false;
      this.tellError("You could not join", error);
      if (error.code === "SOS_CLOSED") this.refresh();
    }
    this.draw();
  }

  /** Joins by REST, which takes the name along; the seat follows on the socket. */
  async register(displayName) {
    try {
      const body = { userType: "ANON_RESCUER", ...(displayName ? { displayName } : {}) };
      await call("POST", `/sos/${encodeURIComponent(this.id)}/participants/join`, { body });
    } catch (error) {
      // Out of requests, one still comes in by the socket, if without a name.
      if (error.code !== "ALREADY_JOINED" && error.code !== "RATE_LIMITED") throw error;
    }
  }

  async leave() {
    this.sharing.stop();
    if (this.connection.send({ type: "leave-room", roomId: this.id })) {
      this.afterLeaving = true;
      return;
    }
    try {
      await call("POST", `/sos/${encodeURIComponent(this.id)}/participants/leave`);
      this.unseated();
    } catch (error) {
      this.tellError("You could not leave", error);
    }
  }

  // ---- writing, sharing, managing ----

  write(event) {
    event.preventDefault();
    const text = parts.write.value.trim();
    if (!text) return parts.write.focus();
    const id = uuid();
    this.pending.set(id, { id, text });
    parts.write.value = "";
    this.post(id);
    this.render();
    parts.messagesFrame.scrollTop = parts.messagesFrame.scrollHeight;
  }

  post(id) {
    const message = this.pending.get(id);
    if (this.incident.me === null || !message || message.failed) return;
    this.connection.send({ type: "room-message", roomId: this.id, content: message.text, id });
  }

  /** Sends again what has not been accepted; by its id the engine knows it. */
  resend() {
    for (const id of this.pending.keys()) this.post(id);
  }

  problem({ code, message, field }) {
    if (code === "ALREADY_IN_ROOM") return;
    if (field === "content") {
      const newest = [...this.pending.values()].at(-1);
      if (newest) newest.failed = `not sent: ${message}`;
    } else if (!["BUSY", "STORE_BUSY", "ROOM_RESTARTED", "TIMEOUT"].includes(code)) {
      this.alert(message);
    }
    this.draw();
  }

  sendPosition({ latitude, longitude, accuracy, speed, heading, at }) {
    if (this.incident.me === null) return false;
    const position = { type: "location-update", roomId: this.id, latitude, longitude, timestamp: Math.round(at) };
    for (const [name, value] of Object.entries({ accuracy, speed, heading })) if (Number.isFinite(value)) position[name] = value;
    return this.connection.send(position);
  }

  sendByHand(event) {
    event.preventDefault();
    setText(parts.handProblem, "");
    try {
      const position = typedPosition(parts.handLatitude.value, parts.handLongitude.value);
      const fix = { ...position, at: this.incident.now() };
      if (!this.sendPosition(fix)) throw new RangeError("Not connected: try again in a moment");
      this.hand = fix;
      this.announcer.say("Your position has been sent");
    } catch (error) {
      setText(parts.handProblem, error.message);
    }
    this.draw();
  }

  async changeStatus(event) {
    event.preventDefault();
    const note = parts.manageNote.value.trim();
    const body = { status: parts.manageStatus.value, ...(note ? { note } : {}) };
    try {
      this.incident.learn(await call("PATCH", `/sos/${encodeURIComponent(this.id)}/status`, { body }));
      parts.manageNote.value = "";
      this.found();
    } catch (error) {
      this.tellError("The state was not changed", error);
    }
  }

  async earlier() {
    const from = this.incident.readFrom;
    if (!from) return;
    if (this.incident.me !== null) return this.readHistory(Math.max(0, from - PAGE));
    try {
      await this.readEvents(Math.max(0, from - REST_PAGE));
    } catch (error) {
      this.tellError("Earlier entries could not be read", error);
    }
    this.draw();
  }

  // ---- the page ----

  listen() {
    parts.retry.addEventListener("click", () => this.connection.retryNow());
    parts.joinForm.addEventListener("submit", (event) => this.join(event));
    parts.leave.addEventListener("click", () => this.leave());
    parts.writeForm.addEventListener("submit", (event) => this.write(event));
    parts.write.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.write(event);
    });
    parts.share.addEventListener("click", () => {
      this.sharing.start();
      if (this.sharing.on) this.focusAfter(parts.stopSharing);
    });
    parts.stopSharing.addEventListener("click", () => {
      this.sharing.stop();
      this.hand = null;
      this.focusAfter(parts.share);
    });
    parts.byHand.addEventListener("submit", (event) => this.sendByHand(event));
    parts.handCentre.addEventListener("click", () => {
      parts.handLatitude.value = this.map.centre.latitude.toFixed(6);
      parts.handLongitude.value = this.map.centre.longitude.toFixed(6);
    });
    parts.manage.addEventListener("submit", (event) => this.changeStatus(event));
    for (const button of [parts.earlier, parts.earlierLog]) button.addEventListener("click", () => this.earlier());
    parts.copyWhere.addEventListener("click", () => this.copyWhere());
    parts.tokenForm.addEventListener("submit", (event) => {
      event.preventDefault();
      if (parts.token.value.trim()) this.become(() => useToken(parts.token.value));
    });
    parts.beGuest.addEventListener("click", () => this.become(useGuest));
    parts.beDevice.addEventListener("click", () => this.become(useDevice));
  }

  /** Somebody else sees another page: it starts anew. */
  become(change) {
    change();
    location.reload();
  }

  /** Moves the focus to what has taken the place of what had it. */
  focusAfter(element) {
    this.render();
    element.focus();
  }

  async copyWhere() {
    const { latitude, longitude } = this.incident.facts.location;
    try {
      await navigator.clipboard.writeText(`${latitude}, ${longitude}`);
      this.announcer.say("Copied");
      setText(parts.copyWhere, "Copied");
      setTimeout(() => setText(parts.copyWhere, "Copy"), 2000);
    } catch {
      getSelection()?.selectAllChildren(parts.where);
    }
  }

  alert(words) {
    setText(parts.alert, words);
    show(parts.alert, words !== "");
    mark(parts.alert, "kind", this.lostAt === null ? "problem" : "lost");
  }

  tellError(what, error) {
    if (!(error instanceof ApiError)) throw error;
    this.alert(`${what}: ${error.words}`);
  }

  tick() {
    views.renderConnection(parts, this.connection.state);
    this.ticks = (this.ticks ?? 0) + 1;
    if (!document.hidden && (this.ticks % 10 === 0 || this.sharing.on)) this.draw();
  }

  render() {
    views.renderConnection(parts, this.connection.state);
    const { incident } = this;
    if (!incident.facts) return;
    this.renderStale();
    views.renderFacts(parts, incident);
    views.renderPeople(parts, incident);
    const places = this.places();
    views.renderPlaces(parts, incident, places);
    this.renderMap(places);
    views.renderMessages(parts, incident, this.pending);
    views.renderTimeline(parts, incident);
    this.renderPart(places);
    this.renderManage();
    const earlier = incident.inside && (incident.readFrom ?? 0) > 0 && !incident.full;
    show(parts.earlier, earlier);
    show(parts.earlierLog, earlier);
  }

  renderStale() {
    const { phase } = this.connection.state;
    const stale = this.incident.open && this.lostAt !== null && phase !== "live";
    show(parts.stale, stale);
    mark(document.body, "stale", String(stale));
    if (stale) setText(parts.stale, `No news since ${clock(this.lostAt)}. People may have moved, and things may have changed.`);
  }

  /** Everybody's position, one's own first. */
  places() {
    const { incident, sharing } = this;
    if (incident.me === null || !incident.open) return [];
    const own = sharing.last ?? this.hand;
    const others = incident.places().map((place) => ({ ...place, kind: "person", old: incident.now() - place.at > views.OLD_MS }));
    return own ? [{ ...own, who: incident.me, kind: "me", old: false }, ...others] : others;
  }

  renderMap(places) {
    const { incident } = this;
    const here = incident.facts.location;
    const people = places.map((place) => ({ ...place, label: place.kind === "me" ? "You" : shortened(incident.nameOf(place.who)) }));
    this.map.set(here, people);
    const words = places.length || !incident.open ? "" : incident.me !== null ? "Nobody shares a position yet." : "Where people are is shown to those who join.";
    setText(parts.noPlaces, incident.open ? words : "Positions are no longer shown: the incident is over.");
    show(parts.noPlaces, parts.noPlaces.textContent !== "");
  }

  /** What the reader can do: join; or write, share, leave. */
  renderPart(places) {
    const { incident, sharing } = this;
    const joined = incident.me !== null;
    const had = document.activeElement;
    show(parts.over, !incident.open);
    show(parts.joinForm, incident.open && !joined);
    show(parts.joinedPanel, incident.open && joined);
    show(parts.writeForm, incident.open && joined);
    parts.joinButton.disabled = this.joining;
    setText(parts.joinButton, this.joining ? "Joining…" : "Join to help");
    setText(parts.joinedWords, incident.mine ? "You raised this SOS." : "You are in.");
    const sending = sharing.on || Boolean(this.hand);
    show(parts.share, !sharing.on);
    show(parts.sharingBar, joined && incident.open && sending);
    const others = incident.active().length - 1;
    const to = others === 1 ? "1 person" : `${Math.max(0, others)} people`;
    const at = sharing.last ? `, last ${ago(Date.now() - sharing.last.at)}` : sharing.on ? ", finding out where you are…" : "";
    setText(parts.sharingWords, sharing.on ? `Your position is shared with ${to} here${at}` : "The position you sent is shown to those here");
    show(parts.stopSharing, sharing.on);
    setText(parts.sharingProblem, sharing.problem ?? "");
    show(parts.sharingProblem, Boolean(sharing.problem));
    if (this.afterLeaving && !joined) {
      this.afterLeaving = false;
      (incident.open ? parts.joinButton : parts.title).focus();
    } else if (had && had !== document.body && had.closest("[hidden]")) parts.title.focus();
    mark(document.body, "joined", String(joined));
    mark(document.body, "places", String(places.length));
  }

  renderManage() {
    const { incident } = this;
    const states = nextStates(incident.facts.status);
    const may = incident.mine || STAFF.includes(this.role);
    show(parts.manage, may && states.length > 0);
    if (parts.manage.hidden) return;
    reconcile(parts.manageStatus, states, {
      key: (state) => state,
      create: (state) => make("option", { value: state }, statusWord(state)),
    });
  }

  renderIdentity() {
    const who = identity();
    const words = {
      token: "You use this page with a pasted token, in this tab only.",
      guest: "You are a guest in this tab: somebody else than in your other tabs.",
      device: "You are an anonymous device, known by an id that this browser made up and keeps. Others never see it.",
    };
    const kind = who.kind === "token" ? "token" : who.guest ? "guest" : "device";
    const signedIn = this.anonymous ? "" : ` You are ${this.userName ?? "signed in"} (${roleWords(this.role)}).`;
    setText(parts.identityWords, (kind === "device" && signedIn ? "This browser is signed in." : words[kind]) + signedIn);
    show(parts.joinNameRow, this.anonymous);
    show(parts.beDevice, kind !== "device");
  }
}

const shortened = (name) => (name.length > 18 ? `${name.slice(0, 17)}…` : name);

/** What the engine's settings say, from the page's head. */
function mapSettings() {
  const { assets, tileUrl, tileZoomMax } = document.documentElement.dataset;
  return { assets, tileUrl, tileZoomMax: Number(tileZoomMax) };
}

function incidentId() {
  try {
    return decodeURIComponent(location.pathname.split("/")[2] ?? "");
  } catch {
    return "";
  }
}

/** The start page's link to somebody else in a tab of its own. */
function cameAsGuest() {
  if (location.hash !== "#guest") return false;
  useGuest();
  history.replaceState(null, "", location.pathname);
  return true;
}

addEventListener("hashchange", () => cameAsGuest() && location.reload());
cameAsGuest();
new LivePage(incidentId()).start();
