// Real Socket.IO clients that do as they are told: a command in each line of standard input, what they hear in each line of
// standard output, both JSON. Ends with its standard input.
"use strict";

const { io } = require("socket.io-client");

const clients = new Map();
const say = (client, what) => process.stdout.write(`${JSON.stringify({ client, ...what })}\n`);
// Binary data by its bytes; a test writes it the same way.
const shown = (value) => {
  if (Buffer.isBuffer(value)) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(shown);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shown(item)]));
  }
  return value;
};
const meant = (value) => {
  if (Array.isArray(value)) return value.map(meant);
  if (value && typeof value === "object") {
    if (Array.isArray(value.bytes)) return Buffer.from(value.bytes);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, meant(item)]));
  }
  return value;
};

function open({ client, url, options }) {
  const socket = io(url, { reconnectionDelay: 50, reconnectionDelayMax: 500, forceNew: true, ...options });
  clients.set(client, socket);
  socket.on("connect", () => say(client, { is: "connect", id: socket.id, recovered: socket.recovered === true }));
  socket.on("connect_error", (error) => {
    // While nobody answers, the client tries again by itself; only what the server says is news.
    if (error.data !== undefined || !socket.active) {
      say(client, { is: "connect_error", message: error.message, data: error.data ?? null });
    }
  });
  socket.on("disconnect", (reason) => say(client, { is: "disconnect", reason }));
  socket.onAny((event, ...args) => say(client, { is: "event", event, args: shown(args) }));
}

function emit({ client, event, args, ask }) {
  const socket = clients.get(client);
  if (ask === undefined) return socket.emit(event, ...meant(args));
  return socket.emit(event, ...meant(args), (...answer) => say(client, { is: "ack", ask, args: shown(answer) }));
}

// The connection breaks, and nobody says goodbye.
function cut({ client }) {
  clients.get(client).io.engine.close();
}

const transport = ({ client, ask }) =>
  say(client, { is: "ack", ask, args: [clients.get(client).io.engine?.transport?.name ?? null] });
const connect = ({ client }) => clients.get(client).connect();
// Another node has the same name for the client: its balancer's.
const go = ({ client, url }) => {
  clients.get(client).io.uri = url;
};
const show = ({ client, auth }) => {
  clients.get(client).auth = auth;
};
const disconnect = ({ client }) => clients.get(client).disconnect();

const commands = { open, emit, cut, transport, go, show, connect, disconnect };
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
});
lines.on("close", () => process.exit(0));
