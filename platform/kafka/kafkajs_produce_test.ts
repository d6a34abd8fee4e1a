import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as fc from "fast-check";
import createRequest from "kafkajs/src/protocol/request.js";
import Produce from "kafkajs/src/protocol/requests/produce/index.js";
import { encodeProduce, kafkajsProduce, type ProduceOptions } from "./kafkajs_produce.ts";

const NOW_MS = 1_764_000_000_000;

/** kafkajs's own bytes; it takes the time by itself. */
async function byKafkajs(options: ProduceOptions): Promise<Buffer> {
  const { now } = Date;
  Date.now = () => NOW_MS;
  try {
    return (await kafkajsProduce({ version: 7 })(options).request.encode() as { buffer: Buffer }).buffer;
  } finally {
    Date.now = now;
  }
}

const message = fc.record({
  key: fc.oneof(
    fc.constant(null),
    fc.string({ maxLength: 80 }),
    fc.string({ unit: "binary", maxLength: 80 }),
  ),
  value: fc.oneof(
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.integer({ min: 8_000, max: 20_000 }).map((length) => Buffer.alloc(length, "x")),
  ),
  headers: fc.oneof(
    fc.constant({}),
    fc.constant({ isotherm: "1" }),
    fc.dictionary(
      fc.string({ unit: "binary", maxLength: 10 }),
      fc.string({ unit: "binary", maxLength: 10 }),
      {
        maxKeys: 3,
      },
    ),
  ),
});
const options = fc.record({
  acks: fc.constantFrom(-1, 1),
  timeout: fc.nat(),
  transactionalId: fc.constant(null),
  producerId: fc.oneof(fc.constant("-1"), fc.nat().map(String), fc.constant("9223372036854775807")),
  producerEpoch: fc.nat(32_767),
  compression: fc.constant(0),
  topicData: fc.array(
    fc.record({
      topic: fc.constantFrom("readings", "ablesungen-ä"),
      partitions: fc.array(
        fc.record({
          partition: fc.nat(100),
          firstSequence: fc.nat(),
          messages: fc.array(message, { minLength: 1, maxLength: 70 }),
        }),
        { minLength: 1, maxLength: 3 },
      ),
    }),
    { minLength: 1, maxLength: 2 },
  ),
});

Deno.test("the bytes are those that kafkajs makes, for 300 drawn requests", async () => {
  await fc.assert(
    fc.asyncProperty(options, async (drawn) => {
      assert.ok(encodeProduce(drawn, NOW_MS)?.equals(await byKafkajs(drawn)));
    }),
    { numRuns: 300, seed: 1 },
  );
});

Deno.test("a batch of 10,000 records, whose places need one, two and three bytes", async () => {
  const messages = Array.from(
    { length: 10_000 },
    (_, i) => ({ key: `d${i}`, value: Buffer.from("1"), headers: {} }),
  );
  const many = {
    acks: -1,
    timeout: 1,
    topicData: [{ topic: "t", partitions: [{ partition: 0, messages }] }],
  };
  assert.ok(encodeProduce(many, NOW_MS)?.equals(await byKafkajs(many)));
});

Deno.test("with what kafkajs puts in front, short or long, the request is the same", async () => {
  const drawn = fc.sample(options, { numRuns: 20, seed: 2 });
  for (const one of drawn) {
    for (const clientId of ["isotherm", "x".repeat(300)]) {
      const { now } = Date;
      Date.now = () => NOW_MS;
      try {
        const whole = async (protocol: typeof kafkajsProduce) => {
          const { request } = protocol({ version: 7 })(one);
          return (await createRequest({ correlationId: 7, clientId, request }) as { buffer: Buffer }).buffer;
        };
        assert.ok((await whole(Produce.protocol)).equals(await whole(kafkajsProduce)));
      } finally {
        Date.now = now;
      }
    }
  }
});

Deno.test("compression, transactions, times and values of other kinds are left to kafkajs", () => {
  const request = (message: object, more: object = {}) =>
    encodeProduce({
      acks: -1,
      timeout: 1,
      topicData: [{
        topic: "t",
        partitions: [{ partition: 0, messages: [{ value: Buffer.from("1"), ...message }] }],
      }],
      ...more,
    }, 1);
  assert.ok(request({}) !== null);
  assert.equal(request({}, { compression: 1 }), null);
  assert.equal(request({}, { transactionalId: "t" }), null);
  assert.equal(request({ timestamp: "1" }), null);
  assert.equal(request({ headers: { a: ["1", "2"] } }), null);
});
