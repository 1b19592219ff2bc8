// simple-hl7's TCP server as its documentation shows it: split, acknowledge. Keeps nothing.
const net = require("net");
const hl7 = require("simple-hl7");

function freePort() {
  return new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

freePort().then((port) => {
  const app = hl7.tcp();
  app.use((request, response) => response.end());
  app.start(port);
  setImmediate(() => console.log(`ready ${port}`)); // it listens from the loop's next round on and says nothing
});
