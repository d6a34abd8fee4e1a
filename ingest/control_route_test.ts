import assert from "node:assert/strict";
import { inWorld, START_MS, type World } from "./testing/world.ts";

const authority = {
  check: (secret: string | null) => {
    if (secret === "admin") {
      return {
        key: "a",
        isAdmin: true,
        allows: (device: string) => device !== "other",
      };
    }
    return secret === "write" ? { key: "w", isAdmin: false, allows: () => true } : null;
  },
};
const post = ({ ingest }: World, path: string, body: unknown, key = "admin") =>
  Promise.resolve(ingest.app.request(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { authorization: `Bearer ${key}` },
  }));

Deno.test("an admin's key retires and renames devices through the log, in the device's partition", async () => {
  await inWorld(async (world) => {
    const response = await post(world, "/v1/devices/K%C3%BCche", { action: "rename", name: "Kitchen" });
    assert.equal(response.status, 202);
    assert.deepEqual(await response.json(), { partition: 2, offset: 0, append_ms: world.scheduler.nowMs });
    assert.equal((await post(world, "/v1/devices/K%C3%BCche", { action: "retire" })).status, 202);
    const [renamed, retired] = world.records();
    assert.deepEqual(renamed!.headers, { isotherm: "1", "isotherm-kind": "device" });
    assert.equal(renamed!.key, "Küche");
    assert.deepEqual(world.values(), ['{"action":"rename","name":"Kitchen"}', '{"action":"retire"}']);
    assert.equal(retired!.partition, 2);
  }, { authority, partitions: 4 });
});

Deno.test("a corrected reading is released through the log", async () => {
  await inWorld(async (world) => {
    const body = {
      device: "desk",
      offset: 3,
      index: 0,
      boot: 1,
      reading: { seq: 2, ts: START_MS, temperature_c: 21 },
    };
    assert.equal((await post(world, "/v1/releases", body)).status, 202);
    assert.deepEqual(world.records()[0]!.headers, { isotherm: "1", "isotherm-kind": "release" });
  }, { authority });
});

Deno.test("control is refused to other keys, for devices out of scope, and when it makes no sense", async () => {
  await inWorld(async (world) => {
    const retire = { action: "retire" };
    assert.equal((await post(world, "/v1/devices/desk", retire, "write")).status, 403);
    assert.equal((await post(world, "/v1/devices/desk", retire, "wrong")).status, 401);
    assert.equal((await post(world, "/v1/devices/other", retire)).status, 403);
    assert.equal((await post(world, "/v1/devices/a%0Ab", retire)).status, 400);
    assert.equal((await post(world, "/v1/devices/desk", { action: "explode" })).status, 400);
    assert.equal((await post(world, "/v1/releases", { device: "desk" })).status, 400);
    assert.equal((await post(world, "/v1/devices/desk", { action: "x".repeat(20_000) })).status, 413);
    assert.equal((await world.ingest.app.request("/v1/devices/desk")).status, 405);
    assert.equal(world.records().length, 0);
  }, { authority });
});
