import assert from "node:assert/strict";
import { durabilityOf } from "./server.ts";

const durability = (version: string, config: Record<string, string>) =>
  durabilityOf(
    "log readings on Redis a:1",
    version,
    new Map(Object.entries({ appendonly: "yes", ...config })),
  );

Deno.test("what a 2xx survives follows from appendfsync and, from Redis 7.2 on, WAITAOF", () => {
  const cases: [string, string, "disk" | "process", boolean][] = [
    ["7.0.15", "always", "disk", false],
    ["7.2.4", "always", "disk", false],
    ["7.0.15", "everysec", "process", false],
    ["7.1.9", "everysec", "process", false],
    ["7.2.0", "everysec", "disk", true],
    ["8.0.1", "everysec", "disk", true],
    ["8.0.1", "no", "process", false],
  ];
  for (const [version, appendfsync, kind, waits] of cases) {
    const found = durability(version, { appendfsync });
    assert.deepEqual([found.kind, found.waits], [kind, waits], `${version} ${appendfsync}`);
  }
  assert.match(
    durability("7.0.15", { appendfsync: "everysec" }).sentence,
    /a power cut of its machine loses what was acknowledged in its last seconds .*: set appendfsync always with CONFIG SET/,
  );
});

Deno.test("settings that lose acknowledged readings or evict streams are refused, with what to set", () => {
  assert.throws(
    () => durability("8.0.1", { appendonly: "no", appendfsync: "always" }),
    /^LogRefused: log readings on Redis a:1 has appendonly=no, .*: set appendonly yes and appendfsync always with CONFIG SET/,
  );
  assert.throws(
    () => durability("8.0.1", { appendfsync: "always", "maxmemory-policy": "allkeys-lru" }),
    /has maxmemory-policy=allkeys-lru, so that streams would be evicted: set maxmemory-policy noeviction/,
  );
  for (const policy of ["noeviction", "volatile-lru", "volatile-ttl"]) {
    assert.equal(durability("8.0.1", { appendfsync: "always", "maxmemory-policy": policy }).kind, "disk");
  }
});
