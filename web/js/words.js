// The engine's words as people say them, and times as people tell them.

const TYPES = {
  FIRE: "Fire", MEDICAL: "Medical emergency", ACCIDENT: "Accident", CRIME: "Crime", DISASTER: "Disaster",
  ANONYMOUS: "Anonymous report", OTHER: "Emergency",
};
const STATUSES = {
  ACTIVE: "Active: help is wanted", ASSIGNED: "Assigned: somebody takes care", RESPONDING: "Responding: help is on its way",
  ARRIVED: "Arrived: help is there", RESOLVED: "Resolved", CANCELLED: "Cancelled", CLOSED: "Closed",
};
const SEVERITIES = { LOW: "Low", MEDIUM: "Medium", HIGH: "High", CRITICAL: "Critical" };
const ROLES = {
  CITIZEN: "citizen", RESCUER: "rescuer", ANON_RESCUER: "anonymous helper", ANON: "anonymous helper",
  DISPATCHER: "dispatcher", ADMIN: "operator", SERVICE: "service", SYSTEM: "the system",
};
const REASONS = { IDLE: "not heard of for too long", REMOVED: "sent away" };
const OPEN = ["ACTIVE", "ASSIGNED", "RESPONDING", "ARRIVED"];

const plain = (word) => String(word ?? "").toLowerCase().replaceAll("_", " ");
const said = (table) => (word) => table[String(word ?? "").toUpperCase()] ?? plain(word);

export const typeWords = said(TYPES);
export const statusWords = said(STATUSES);
export const severityWords = said(SEVERITIES);
export const roleWords = said(ROLES);
export const reasonWords = said(REASONS);

/** A status in one word. */
export const statusWord = (status) => statusWords(status).split(":")[0];

/** Whether an incident with this status goes on. */
export const isOpen = (status) => OPEN.includes(status);

/** The states that follow, as the state machine has them; who may set them, the engine decides. */
export function nextStates(status) {
  if (!isOpen(status)) return [];
  return [...OPEN.slice(OPEN.indexOf(status) + 1), "RESOLVED", "CANCELLED"];
}

/** How long, in the two greatest units at most. */
export function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** How long ago. */
export function ago(ms) {
  return ms < 3000 ? "just now" : `${duration(ms)} ago`;
}

/** A time of day, with the date if it is not today. */
export function clock(at, seconds = false) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "";
  const today = date.toDateString() === new Date().toDateString();
  if (!today) return date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) });
}

/** One thing or several. */
export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
