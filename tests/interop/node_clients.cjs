// Foreign MLLP clients against a listener: `node node_clients.cjs CLIENT PORT FILE...`, from a folder with their node_modules.
// Sends each file's message over one connection and prints one JSON line an answer, read with the client's own parser.

"use strict";
const fs = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");

const load = createRequire(path.join(process.cwd(), "node_modules", "x.js"));
const [client, port, ...files] = process.argv.slice(2);

function answered(code, controlId, text, type) {
  process.stdout.write(JSON.stringify({ code, control_id: controlId, text, type }) + "\n");
}

// A signed message goes out as it is: a client that writes its own segments anew would have to sign after that.
function raw(file) {
  return fs.readFileSync(file, "utf8");
}

async function simple() {
  const hl7 = load("simple-hl7");
  const parser = new hl7.Parser({ segmentSeperator: "\r" });
  for (const file of files) {
    const connection = hl7.Server.createTcpClient("127.0.0.1", Number(port));
    await new Promise((resolve, reject) => {
      connection.send(parser.parse(raw(file)), (error, ack) => {
        if (error) return reject(error);
        const msa = ack.getSegment("MSA");
        answered(msa.getField(1), msa.getField(2), msa.getField(3), ack.header.getField(7));
        resolve();
      });
    });
    connection.close();
  }
}

async function medplum() {
  const { Hl7Client } = load("@medplum/hl7");
  const { Hl7Message } = load("@medplum/core");
  const connection = new Hl7Client({ host: "127.0.0.1", port: Number(port), keepAlive: true });
  for (const file of files) {
    const ack = await connection.sendAndWait(Hl7Message.parse(raw(file)));
    const msa = ack.getSegment("MSA");
    const type = ack.getSegment("MSH").getField(9).toString();
    answered(msa.getComponent(1, 1), msa.getComponent(2, 1), msa.getComponent(3, 1), type);
  }
  await connection.close();
}

async function nodeHl7() {
  const { Client, Message } = load("node-hl7-client");
  const host = new Client({ host: "127.0.0.1" });
  let next;
  const connection = host.createConnection({ port: Number(port), waitAck: true }, (response) => {
    const ack = response.getMessage();
    const value = (field) => ack.get(field).toString();
    answered(value("MSA.1"), value("MSA.2"), value("MSA.3"), ["MSH.9.1", "MSH.9.2", "MSH.9.3"].map(value).join("^"));
    next();
  });
  await new Promise((resolve) => connection.on("connect", resolve));
  for (const file of files) {
    const arrived = new Promise((resolve) => (next = resolve));
    await connection.sendMessage(new Message({ text: raw(file) }));
    await arrived;
  }
  await connection.close();
  host.closeAll();
}

const clients = { "simple-hl7": simple, "@medplum/hl7": medplum, "node-hl7-client": nodeHl7 };
clients[client]().then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  },
);
