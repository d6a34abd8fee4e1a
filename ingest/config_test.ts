import assert from "node:assert/strict";
import { doorOf } from "./config.ts";

const closed = { host: null, lan: false, key: null, keys: null };

Deno.test("ingest listens on loopback until --lan or a key opens it", () => {
  const doorFor = (fields: Partial<{ host: string; lan: boolean; key: string; keys: string }>) =>
    doorOf({ ...closed, ...fields });
  assert.deepEqual(doorFor({}), { kind: "door", door: { hostname: "127.0.0.1", open: false } });
  assert.deepEqual(doorFor({ key: "k" }), { kind: "door", door: { hostname: "0.0.0.0", open: true } });
  assert.deepEqual(doorFor({ keys: "f" }), { kind: "door", door: { hostname: "0.0.0.0", open: true } });
  assert.deepEqual(doorFor({ key: "k", host: "127.0.0.1" }), {
    kind: "door",
    door: { hostname: "127.0.0.1", open: false },
  });
  assert.deepEqual(doorFor({ host: "::1" }), { kind: "door", door: { hostname: "::1", open: false } });
  assert.equal(doorFor({ lan: true }).kind, "problem");
  assert.equal(doorFor({ host: "0.0.0.0" }).kind, "problem");
  assert.equal(doorFor({ host: "192.168.1.2" }).kind, "problem");
  assert.equal(doorFor({ lan: true, key: "k", host: "127.0.0.1" }).kind, "problem");
});
