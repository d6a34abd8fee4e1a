import assert from "node:assert/strict";
import { logSettings, parseKafkaAddress } from "./log_address.ts";

Deno.test("an address of Kafka names brokers, and may name a topic and options", () => {
  assert.deepEqual(parseKafkaAddress("kafka://127.0.0.1:9092"), {
    brokers: ["127.0.0.1:9092"],
    topic: "readings",
  });
  assert.deepEqual(
    parseKafkaAddress("kafka://a:1,[::1]:2/t.x?group=g-1&session_ms=1500&replicas=3&retention_ms=-1"),
    {
      brokers: ["a:1", "[::1]:2"],
      topic: "t.x",
      group: "g-1",
      sessionMs: 1_500,
      replicas: 3,
      retentionMs: -1,
    },
  );
});

Deno.test("an address with an unknown option, without a port, or of another kind is no address", () => {
  const bad = [
    "kafka://a",
    "kafka://a:9092/t?colour=red",
    "kafka://a:9092/t?group=",
    "kafka://a:9092/t?group=g&",
    "kafka://a:9092/t?session_ms=10",
    "kafka://a:9092/a b",
    "redis://a:1",
    "embedded:",
    "",
  ];
  for (const address of bad) {
    assert.equal(parseKafkaAddress(address), null, address);
    assert.ok("problem" in logSettings.log.parse(address), address);
  }
  for (
    const address of [
      "embedded:data",
      "kafka://a:9092",
      "kafka://a:9092,b:9092/t/",
      "kafka://a:9092/t?group=g",
    ]
  ) {
    assert.ok(!("problem" in logSettings.log.parse(address)), address);
  }
});
