import assert from "node:assert/strict";
import { createIngestClient, outcomeOf } from "./client.ts";
import { inWorld, START_MS, type World } from "./testing/world.ts";

/** A client that talks to the app without a socket. */
const clientOf = ({ ingest, clock }: World, key: string | null = null) =>
  createIngestClient({
    url: "http://ingest:8086/",
    key,
    clock,
    fetch: async (url, init) => await ingest.app.request(String(url), init),
  });

Deno.test("a batch, and several at once, are sent and the answer is typed", async () => {
  await inWorld(async (world) => {
    const client = clientOf(world);
    const batch = { device: "desk", boot: 1, readings: [{ seq: 0, ts: START_MS, temperature_c: 21.5 }] };
    const one = await client.send(batch);
    assert.deepEqual(one, {
      kind: "accepted",
      accepted: 1,
      flagged: [],
      now: world.scheduler.nowMs,
      credit: 4096,
    });
    const two = await client.send([batch, { ...batch, device: "attic" }]);
    assert.equal(two.kind === "accepted" && two.accepted, 2);
    assert.equal(world.records().length, 3);
  });
});

Deno.test("a refusal carries its document, whether to try again, and when", async () => {
  const authority = {
    check: (secret: string | null) =>
      secret === "k" ? { key: "k", isAdmin: false, allows: () => true } : null,
  };
  await inWorld(async (world) => {
    const batch = { device: "", readings: [{ temperature_c: 1 }] };
    const keyless = await clientOf(world).send(batch);
    assert.equal(keyless.kind === "refused" && keyless.status, 401);
    const wrong = await clientOf(world, "k").send(batch);
    assert.ok(wrong.kind === "refused" && wrong.status === 400 && !wrong.isTransient);
    assert.deepEqual(wrong.problem?.problems, [{
      path: "/device",
      message: "must have 1 to 128 characters, has 0",
    }]);
    world.log.setDown(true);
    const down = await clientOf(world, "k").send({ ...batch, device: "d" });
    assert.ok(down.kind === "refused" && down.status === 503 && down.isTransient);
    assert.ok(down.retryAfterMs >= 1_000);
  }, { authority });
});

Deno.test("answers of something else than ingest are refusals", () => {
  const bare = { kind: "refused", problem: null, isTransient: false, retryAfterMs: 1_000 };
  assert.deepEqual(outcomeOf(404, null, "<html>"), { ...bare, status: 404 });
  assert.deepEqual(outcomeOf(202, null, "ok"), { ...bare, status: 202 });
  assert.deepEqual(outcomeOf(502, "soon", "null"), { ...bare, status: 502, isTransient: true });
  assert.deepEqual(outcomeOf(503, "7", "{}"), {
    ...bare,
    status: 503,
    isTransient: true,
    retryAfterMs: 7_000,
  });
});

Deno.test("a server that doesn't answer is given up after its time", async () => {
  await inWorld(async ({ clock, scheduler }) => {
    const startMs = scheduler.nowMs;
    const client = createIngestClient({
      url: "http://ingest",
      key: null,
      clock,
      answerMsMax: 500,
      fetch: (_url, init) =>
        new Promise((_, reject) =>
          init!.signal!.addEventListener("abort", () => reject(init!.signal!.reason))
        ),
    });
    await assert.rejects(
      client.send({ device: "d", readings: [] }),
      new Error("http://ingest/v1/readings did not answer within 0.5 s"),
    );
    assert.equal(scheduler.nowMs - startMs, 500);
  });
});
