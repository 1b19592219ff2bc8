// node-hl7-server as its documentation shows it: parse, acknowledge. Keeps nothing.
const net = require("net");
const { Server } = require("node-hl7-server");

function freePort() {
  return new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

freePort().then((port) => {
  const server = new Server({ bindAddress: "127.0.0.1" });
  const inbound = server.createInbound({ port }, async (_request, response) => {
    await response.sendResponse("AA");
  });
  inbound.on("listen", () => console.log(`ready ${port}`));
});
