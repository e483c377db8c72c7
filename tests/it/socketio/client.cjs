// A story of socket.io-client: node client.cjs <address> <transports>. Ends with 0 when all is as it must be.
"use strict";

const assert = require("node:assert/strict");
const { io } = require("socket.io-client");

const [address, names] = process.argv.slice(2);
const transports = names.split(",");
const last = transports.at(-1);

const once = (emitter, event) =>
  new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

async function story() {
  const options = { transports, reconnection: false, auth: { token: "123" } };
  const main = io(address, options);
  const custom = io(`${address}/custom`, options);
  const auths = [once(main, "auth"), once(custom, "auth")];
  let before = 0;
  const asMany = once(main, "connect").then(() => {
    // In the midst of an upgrade, if there is one.
    const echoes = [];
    main.on("message-back", (number) => echoes.push(number));
    for (let number = 0; number < 200; number++) main.emit("message", number);
    before = 200;
    return echoes;
  });

  for (const [auth] of await Promise.all(auths)) assert.deepEqual(auth, { token: "123" });
  assert.ok(!main.recovered);
  assert.notEqual(main.id, custom.id);
  const { engine } = main.io;
  if (engine.transport.name !== last) await once(engine, "upgrade");
  assert.equal(engine.transport.name, last);

  const echoes = await asMany;
  const all = await main.emitWithAck("message-with-ack", "after all of them");
  assert.equal(all, "after all of them");
  assert.deepEqual(echoes, [...Array(before).keys()], "in order, none lost, none twice");
  main.off("message-back");

  const bytes = Buffer.from([1, 2, 3, 255]);
  custom.emit("message", 1, "€\u001e", { deep: [bytes, { more: bytes }], no: null });
  const back = await once(custom, "message-back");
  assert.deepEqual(back, [1, "€\u001e", { deep: [bytes, { more: bytes }], no: null }]);

  const large = "x".repeat(300_000);
  assert.equal(await custom.emitWithAck("message-with-ack", large), large);
  const some = Buffer.alloc(200_000, 7);
  const answer = await main.emitWithAck("message-with-ack", some);
  assert.ok(some.equals(answer));

  const nowhere = io(`${address}/nowhere`, options);
  const [error] = await once(nowhere, "connect_error");
  assert.equal(error.message, "Invalid namespace");

  custom.disconnect();
  assert.equal(await main.emitWithAck("message-with-ack", "still here"), "still here");
  custom.connect();
  const [again] = await once(custom, "auth");
  assert.deepEqual(again, { token: "123" });

  const gone = once(main, "disconnect");
  main.io.engine.close();
  assert.equal((await gone)[0], "forced close");
}

setTimeout(() => {
  console.error("the story takes too long");
  process.exit(1);
}, 30_000);

story().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
