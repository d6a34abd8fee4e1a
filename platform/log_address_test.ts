import assert from "node:assert/strict";
import { logSettings, parseKafkaAddress, parseRedisAddress, shownAddress } from "./log_address.ts";

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

Deno.test("an address of Redis may name a user, a password, a log and options, and is shown without the password", () => {
  assert.deepEqual(parseRedisAddress("redis://127.0.0.1:6379"), {
    host: "127.0.0.1",
    port: 6_379,
    name: "readings",
  });
  const address = "redis://me:p%40ss@[::1]:1/t.x?group=g-1&session_ms=1500&retention_ms=86400000";
  assert.deepEqual(parseRedisAddress(address), {
    host: "::1",
    port: 1,
    username: "me",
    password: "p@ss",
    name: "t.x",
    group: "g-1",
    sessionMs: 1_500,
    retentionMs: 86_400_000,
  });
  assert.deepEqual(parseRedisAddress("redis://:pass@a:1")?.username, undefined);
  assert.equal(
    shownAddress(address),
    "redis://me:…@[::1]:1/t.x?group=g-1&session_ms=1500&retention_ms=86400000",
  );
  assert.equal(shownAddress("redis://:pass@a:1/x"), "redis://:…@a:1/x");
  assert.equal(shownAddress("kafka://a:9092"), "kafka://a:9092");
});

Deno.test("an address with an unknown option, without a port, or of another kind is no address", () => {
  const bad = [
    "kafka://a",
    "kafka://a:9092/t?colour=red",
    "kafka://a:9092/t?group=",
    "kafka://a:9092/t?group=g&",
    "kafka://a:9092/t?session_ms=10",
    "kafka://a:9092/a b",
    "redis://a",
    "redis://a:1,b:1",
    "redis://a:1/t?replicas=3",
    "redis://pass@a:1",
    "redis://a:1/a:b",
    "embedded:",
    "",
  ];
  for (const address of bad) {
    assert.equal(parseKafkaAddress(address), null, address);
    assert.equal(parseRedisAddress(address), null, address);
    assert.ok("problem" in logSettings.log.parse(address), address);
  }
  for (
    const address of [
      "embedded:data",
      "kafka://a:9092",
      "kafka://a:9092,b:9092/t/",
      "kafka://a:9092/t?group=g",
      "redis://a:6379",
      "redis://u:p@a:6379/t/?group=g",
    ]
  ) {
    assert.ok(!("problem" in logSettings.log.parse(address)), address);
  }
});
