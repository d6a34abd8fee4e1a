/** The plain route answers as the handler does: every bad input, good ones, keys, and what isn't taken now. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { keyHashing } from "../platform/keys.ts";
import { virtualClock } from "../sim/clock.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { createKeyRing, settingKey } from "./key_ring.ts";
import { badInputs } from "./testing/bad_inputs.ts";
import { inWorld, START_MS, type World, type WorldOptions } from "./testing/world.ts";

interface Case {
  readonly name: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly world?: WorldOptions;
  /** Before the request. */
  readonly act?: (world: World) => void;
}

const good = `{"device":"desk","boot":1,"readings":[{"seq":0,"ts":${START_MS},"temperature_c":21}]}`;
const key = "a-key-of-more-than-16";
const keys = () => ({
  authority: createKeyRing(keyHashing, virtualClock(new Scheduler({ startMs: START_MS })), [
    settingKey(key, keyHashing),
  ]),
});
const cases: readonly Case[] = [
  { name: "a good batch", body: good },
  { name: "gzip", body: new Uint8Array(gzipSync(good)), headers: { "content-encoding": "gzip" } },
  { name: "an encoding that isn't known", body: good, headers: { "content-encoding": "br" } },
  { name: "a request id of the sender's", body: "{", headers: { "x-request-id": "mine-1" } },
  { name: "a browser's page", body: good, headers: { origin: "http://example.org" } },
  { name: "no key", body: good, world: keys() },
  { name: "a wrong key", body: good, headers: { authorization: "Bearer wrong" }, world: keys() },
  { name: "the key as bearer", body: good, headers: { authorization: `Bearer ${key}` }, world: keys() },
  { name: "the key as x-api-key", body: good, headers: { "x-api-key": key }, world: keys() },
  { name: "a body above the bound", body: good, world: { limits: { jsonBytesMax: good.length - 1 } } },
  { name: "no room for bodies", body: good, world: { limits: { heldBytesMax: 10 } } },
  { name: "the log is away", body: good, act: ({ log }) => log.setDown(true) },
  ...badInputs(START_MS)
    // The server gives it bodies that are as long as they were stated, and not empty.
    .filter(({ body, headers }) => body.length > 0 && headers?.["content-length"] === undefined),
];

/** Status, headers and document; what differs from one request to the next is left out. */
async function seen(name: Case, isPlain: boolean) {
  let result: unknown;
  await inWorld(async (world) => {
    const { body, headers = {}, act } = name;
    act?.(world);
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const all = new Headers({
      "content-type": "application/json",
      "content-length": String(bytes.length),
      ...headers,
    });
    const answer = isPlain
      ? await world.ingest.plain.handle({ header: (header) => all.get(header), body: bytes })
      : await webAnswer(world, bytes, all);
    const { now, request_id: id, ...document } = JSON.parse(answer.body);
    const sent = { ...answer.headers };
    if (!("x-request-id" in headers)) delete sent["x-request-id"];
    delete sent["retry-after"]; // drawn
    delete sent["content-length"]; // the server's business
    result = {
      status: answer.status,
      headers: sent,
      document,
      hasId: typeof id,
      hasNow: typeof now,
      values: world.values(),
    };
  }, name.world ?? {});
  return result;
}

async function webAnswer(world: World, body: Uint8Array<ArrayBuffer>, headers: Headers) {
  const answer = await world.ingest.app.request(world.ingest.plain.path, { method: "POST", body, headers });
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
}

for (const one of cases) {
  Deno.test(`the plain route and the handler answer alike: ${one.name}`, async () => {
    assert.deepEqual(await seen(one, true), await seen(one, false));
  });
}
