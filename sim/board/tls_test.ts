/**
 * The path of a TLS connection through the firmware, with a stand-in for MicroPython's `ssl` (this build has none): a
 * handshake that takes a while, reads and writes that give None for "not now", data that waits inside the wrapped socket.
 * `unix_port_live_test.ts` has the real `ssl`, in another port.
 */
import assert from "node:assert/strict";
import { MINUTE_MS, setUpDesk } from "./testing/desk.ts";

const STAND_IN = `
PROTOCOL_TLS_CLIENT, CERT_REQUIRED = 1, 2
import time
class SSLContext:
    def __init__(self, protocol):
        assert protocol == PROTOCOL_TLS_CLIENT
        self.verify_mode = 0
        self.authority = None
    def load_verify_locations(self, cadata):
        self.authority = cadata
    def wrap_socket(self, sock, server_hostname, do_handshake_on_connect):
        assert self.verify_mode == CERT_REQUIRED and self.authority == b'authority'
        assert server_hostname == 'ingest.sim' and not do_handshake_on_connect
        assert time.gmtime()[0] >= 2025, 'certificates have dates'
        print('handshake')
        return Wrapped(sock)
class Wrapped:
    def __init__(self, sock):
        self.sock, self.turns, self.held = sock, 3, b''
    def fileno(self):
        return self.sock.fileno()
    def write(self, data):
        if self.turns:
            self.turns -= 1
            return None
        return self.sock.send(data[:100])
    def readinto(self, buf):
        self.turns += 1
        if self.turns % 3 == 1: return None
        return self.sock.readinto(buf)
    def close(self):
        self.sock.close()
`;

Deno.test("https: the certificate is checked against the configured authority, readings arrive", async () => {
  const ports: number[] = [];
  await using desk = await setUpDesk({
    settings: { ingest_url: "https://ingest.sim", tls_ca_file: "/ca.der" },
    network: {
      accepts: (_device, _host, port) => {
        ports.push(port);
        return "yes";
      },
    },
  });
  desk.board.flash.put("/ssl.py", STAND_IN);
  desk.board.flash.put("/ca.der", "authority");
  await desk.board.powerOn();
  await desk.run(2 * MINUTE_MS);
  assert.equal(desk.receiver.slotCount("board-1"), 12);
  assert.deepEqual(ports, [443], "one connection, kept");
  assert.equal(desk.serial().split("handshake").length, 2);
});

Deno.test("a certificate that can't be trusted is named, and the board goes on", async () => {
  await using desk = await setUpDesk({
    settings: { ingest_url: "https://ingest.sim", tls_ca_file: "/ca.der" },
  });
  // As MicroPython's ssl does: a ValueError from the write in which the handshake ends.
  const refusing = STAND_IN.replace(
    "if self.turns:",
    "if not hasattr(self, 'ok'): raise ValueError('\\nnot trusted')\n        if self.turns:",
  );
  assert.notEqual(refusing, STAND_IN);
  desk.board.flash.put("/ssl.py", refusing);
  desk.board.flash.put("/ca.der", "authority");
  await desk.board.powerOn();
  await desk.run(5 * MINUTE_MS);
  assert.match(
    desk.serial(),
    /"event":"no_answer","why":"the certificate is not by the authority in tls_ca_file/,
  );
  assert.equal(desk.receiver.requests.length, 0);
  assert.equal(desk.events("sample").length, 30, "slots are kept");
});

for (
  const [name, authority, shows] of [
    ["isn't there", null, /tls_ca_file \/ca.der can't be read: copy it to the board/],
    ["holds no certificate", "nonsense", /tls_ca_file \/ca.der holds no certificate/],
  ] as const
) {
  Deno.test(`an authority's file that ${name} is a wrong setting`, async () => {
    await using desk = await setUpDesk({
      settings: { ingest_url: "https://ingest.sim", tls_ca_file: "/ca.der" },
    });
    const checking = STAND_IN.replace(
      "self.authority = cadata",
      "self.authority = cadata\n        if cadata != b'authority': raise ValueError('invalid cert')",
    );
    assert.notEqual(checking, STAND_IN);
    desk.board.flash.put("/ssl.py", checking);
    if (authority !== null) desk.board.flash.put("/ca.der", authority);
    await desk.board.powerOn();
    await desk.run(MINUTE_MS);
    assert.match(desk.serial(), shows);
    assert.match(desk.serial(), /correct settings.json, then press reset/);
  });
}

Deno.test("https without an authority is a wrong setting", async () => {
  await using desk = await setUpDesk({ settings: { ingest_url: "https://ingest.sim" } });
  await desk.board.powerOn();
  await desk.run(MINUTE_MS);
  assert.match(desk.serial(), /tls_ca_file is missing: https needs the certificate authority to trust/);
});
