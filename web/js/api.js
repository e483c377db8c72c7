// The REST API of the engine that served this page.

import { credentials } from "./identity.js";

const TIMEOUT_MS = 15_000;

/** A refusal, or no answer at all (`code` is then `OFFLINE`). `message` is for people. */
export class ApiError extends Error {
  constructor(status, body, retryAfterS) {
    super(body.message ?? `The server answered ${status}`);
    this.status = status;
    this.code = body.code ?? "UNKNOWN";
    this.fields = Array.isArray(body.fields) ? body.fields : [];
    this.retryAfterMs = Number.isFinite(retryAfterS) ? retryAfterS * 1000 : 0;
  }

  /** What to tell somebody: with each field that is wrong. */
  get words() {
    if (this.code === "RATE_LIMITED") {
      return `Too many requests from here. Try again in ${Math.ceil(this.retryAfterMs / 1000) || 1} s.`;
    }
    if (this.fields.length === 0) return this.message;
    return this.fields.map(({ field, message }) => `${field}: ${message}`).join("; ");
  }
}

/** Asks, and answers the whole body. Throws an `ApiError`. */
export async function ask(method, path, { body, headers = {} } = {}) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  const request = { method, headers: { Accept: "application/json", ...credentials(), ...headers }, signal: abort.signal };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  request.cache = "no-store";
  try {
    const response = await fetch(path, request);
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    throw new ApiError(response.status, answer, Number(response.headers.get("Retry-After")));
  } catch (error) {
    if (error instanceof ApiError) throw error;
    const message = abort.signal.aborted ? "The server did not answer in time" : "The server cannot be reached";
    throw new ApiError(0, { code: "OFFLINE", message });
  } finally {
    clearTimeout(timer);
  }
}

/** Asks `/api/v1` and answers the data in the envelope. */
export async function call(method, path, options) {
  return (await ask(method, `/api/v1${path}`, options)).data;
}
