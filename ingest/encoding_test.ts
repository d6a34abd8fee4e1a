import assert from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { encodingOf, expand, zstdProblem } from "./encoding.ts";
import { inWorld, START_MS } from "./testing/world.ts";

const encoder = new TextEncoder();
const body = (length: number) =>
  JSON.stringify({ device: "desk", temperature_c: 21.5, ts: START_MS }).padEnd(length);
const plain = (bytes: Uint8Array) => new Uint8Array(bytes);

Deno.test("gzip and zstd bodies are expanded, and the expanded bytes go into the log", async () => {
  for (
    const [encoding, compress] of [["gzip", gzipSync], ["x-gzip", gzipSync], [
      "zstd",
      zstdCompressSync,
    ]] as const
  ) {
    await inWorld(async ({ accepted, values }) => {
      const answer = await accepted(plain(compress(body(5_000))), { "content-encoding": encoding });
      assert.equal(answer.accepted, 1);
      assert.deepEqual(values(), [body(5_000)]);
    });
  }
});

Deno.test("a compression bomb is refused with 413, whatever it expands to", async () => {
  for (const [encoding, compress] of [["gzip", gzipSync], ["zstd", zstdCompressSync]] as const) {
    const bomb = plain(compress(new Uint8Array(100_000_000)));
    assert.ok(bomb.length < 100_000);
    await inWorld(async ({ post, records }) => {
      const response = await post(bomb, { "content-encoding": encoding });
      assert.equal(response.status, 413);
      const document = await response.json();
      assert.equal(document.detail, "the body expands to more than 900000 bytes: send smaller batches");
      assert.equal(
        (await post(bomb, { "content-encoding": encoding, "content-type": "application/x-ndjson" })).status,
        413,
      );
      assert.equal(records().length, 0);
    });
  }
});

Deno.test("the bound on what a body expands to holds at itself", () => {
  for (const [encoding, compress] of [["gzip", gzipSync], ["zstd", zstdCompressSync]] as const) {
    const expanded = expand(encoding, compress(new Uint8Array(1_000)), 1_000);
    assert.equal(expanded.kind === "expanded" && expanded.bytes.length, 1_000);
    assert.equal(expand(encoding, compress(new Uint8Array(1_001)), 1_000).kind, "refused");
  }
});

Deno.test("a body cut off anywhere is refused, never taken in part", () => {
  const text = Array.from({ length: 50 }, (_, i) => `{"device":"d${i}","temperature_c":${i}}`).join("\n");
  for (const [encoding, compress] of [["gzip", gzipSync], ["zstd", zstdCompressSync]] as const) {
    const whole = compress(encoder.encode(text));
    assert.equal(expand(encoding, whole, 1e6).kind, "expanded");
    for (let length = 0; length < whole.length; length++) {
      assert.equal(expand(encoding, whole.subarray(0, length), 1e6).kind, "refused", `${encoding} ${length}`);
    }
  }
});

Deno.test("zstd frames are walked: several, skippable ones, and windows that are too large", () => {
  const frame = plain(zstdCompressSync("hello"));
  const skippable = Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7);
  assert.equal(zstdProblem(Uint8Array.of(...frame, ...skippable, ...frame)), null);
  assert.equal(zstdProblem(Uint8Array.of(...frame, 1, 2, 3, 4, 5)), "a frame starts with other bytes");
  // Descriptor 0: no single segment, a window byte follows; exponent 14 is a window of 16 MiB.
  const wide = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 14 << 3, 1, 0, 0);
  assert.equal(zstdProblem(wide), "its window is larger than the 8 MiB of RFC 9659");
  const allowed = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3, 1, 0, 0);
  assert.equal(zstdProblem(allowed), null);
});

Deno.test("noise is refused as 400, unknown encodings as 415", async () => {
  assert.equal(encodingOf("br").kind, "refused");
  assert.equal(encodingOf("gzip, gzip").kind, "refused");
  assert.deepEqual(encodingOf(" GZIP "), { kind: "encoding", encoding: "gzip" });
  await inWorld(async ({ post }) => {
    for (const encoding of ["gzip", "zstd"]) {
      assert.equal((await post(body(100), { "content-encoding": encoding })).status, 400);
    }
  });
});
