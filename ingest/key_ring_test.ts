import assert from "node:assert/strict";
import { keyHashing, newKey } from "../platform/keys.ts";
import { virtualClock } from "../sim/clock.ts";
import { seededRandom } from "../sim/random.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { createKeyRing, settingKey } from "./key_ring.ts";

const T = 1_767_225_600_000;

Deno.test("a secret grants what its key covers while the key lives", async () => {
  const scheduler = new Scheduler({ startMs: T });
  const secret = newKey("greenhouse", seededRandom(1));
  const key = {
    ...settingKey(secret, keyHashing),
    name: "greenhouse",
    devices: ["green-*"],
    expiresMs: T + 10,
  };
  const ring = createKeyRing(keyHashing, virtualClock(scheduler), [key]);
  assert.equal(ring.check(secret)?.key, "greenhouse");
  assert.equal(ring.check(secret)?.allows("green-1"), true);
  assert.equal(ring.check(secret)?.allows("desk"), false);
  for (const wrong of [null, "", secret.slice(1), secret + "a", secret.toUpperCase(), "x".repeat(513)]) {
    assert.equal(ring.check(wrong), null);
  }
  await scheduler.runUntil(T + 10);
  assert.equal(ring.check(secret), null);
});

Deno.test("replaced keys are in force at once", () => {
  const clock = virtualClock(new Scheduler({ startMs: T }));
  const [one, two] = [1, 2].map((seed) => newKey("k", seededRandom(seed)));
  const ring = createKeyRing(keyHashing, clock, [settingKey(one!, keyHashing)]);
  ring.replace([settingKey(two!, keyHashing)]);
  assert.equal(ring.check(one!), null);
  assert.equal(ring.check(two!)?.isAdmin, true);
});

Deno.test("a key is named, hard to guess and different each time", () => {
  const random = seededRandom(1, "keys");
  const keys = Array.from({ length: 100 }, () => newKey("desk", random));
  for (const key of keys) assert.match(key, /^iso_desk_[a-z2-7]{32}$/);
  assert.equal(new Set(keys).size, 100);
});

Deno.test("ten thousand keys are told apart", () => {
  const clock = virtualClock(new Scheduler({ startMs: T }));
  const random = seededRandom(2, "keys");
  const secrets = Array.from({ length: 10_000 }, () => newKey("k", random));
  const ring = createKeyRing(
    keyHashing,
    clock,
    secrets.map((secret, i) => ({ ...settingKey(secret, keyHashing), name: `k${i}` })),
  );
  for (const i of [0, 1, 5_000, 9_999]) assert.equal(ring.check(secrets[i]!)?.key, `k${i}`);
});

Deno.test("secrets are compared by their hashes, in constant time, with every key that could be meant", () => {
  const clock = virtualClock(new Scheduler({ startMs: T }));
  const secret = "the-secret-of-the-test";
  const compared: (readonly [number, number])[] = [];
  const spied = {
    hashOf: (key: string) => keyHashing.hashOf(key),
    isSame: (a: Uint8Array, b: Uint8Array) => {
      compared.push([a.length, b.length]);
      return keyHashing.isSame(a, b);
    },
  };
  const key = settingKey(secret, keyHashing);
  const twice = [key, { ...key, name: "same hash" }];
  assert.equal(createKeyRing(spied, clock, twice).check(secret)?.key, "same hash");
  // The first that fits doesn't end the comparing.
  assert.deepEqual(compared, [[32, 32], [32, 32]]);
  assert.equal(createKeyRing({ ...spied, isSame: () => false }, clock, [key]).check(secret), null);
  // What compares byte by byte says no here; node's comparison in constant time refuses to compare.
  assert.throws(() => keyHashing.isSame(new Uint8Array(32), new Uint8Array(31)), RangeError);
  assert.equal(keyHashing.isSame(new Uint8Array(32), new Uint8Array(32)), true);
});
