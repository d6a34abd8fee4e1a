import assert from "node:assert/strict";
import { murmur2, partitionOf } from "./murmur2.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

// Made with org.apache.kafka.common.utils.Utils of kafka-clients 4.3.1:
// murmur2(UTF-8), then toPositive(hash) % 3, % 12 and % 64.
const vectors: readonly (readonly [string, number, number, number, number])[] = [
  ["", 275646681, 0, 9, 25],
  ["a", 2731586172, 1, 4, 60],
  ["ab", 316155434, 2, 2, 42],
  ["abc", 479470107, 0, 3, 27],
  ["abcd", 2971317748, 2, 8, 52],
  ["desk", 3934541356, 2, 8, 44],
  ["greenhouse-3", 492581733, 0, 9, 37],
  ["21", 3321034988, 0, 0, 44],
  ["foobar", 3504634814, 0, 6, 62],
  ["a-little-bit-long-string", 3308985760, 2, 8, 32],
  ["a-little-bit-longer-string", 2808662467, 2, 11, 3],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 4236069325, 2, 5, 13],
  ["Küche", 3450710630, 0, 6, 38],
  ["温室-三号", 66990686, 2, 2, 30],
  ["🌡️ Dach", 982989758, 2, 2, 62],
  ["Ωmega/ñandú", 2897379561, 1, 1, 41],
  ["\u00e9", 186971271, 0, 3, 7],
  ["e\u0301", 2644422939, 1, 7, 27],
];

Deno.test("a device's hash and partition are those of Kafka's Java client, also beyond ASCII", () => {
  for (const [device, hash, of3, of12, of64] of vectors) {
    assert.equal(murmur2(bytesOf(device)), hash, device);
    assert.deepEqual([3, 12, 64].map((count) => partitionOf(device, count)), [of3, of12, of64], device);
    assert.equal(partitionOf(device, 1), 0);
  }
});

Deno.test("every byte value hashes as in Kafka's Java client", () => {
  assert.equal(murmur2(Uint8Array.from({ length: 256 }, (_, i) => i)), 2346620022);
});

Deno.test("ten thousand devices lie where Kafka's Java client puts them", () => {
  let sum = 0n;
  for (let i = 0; i < 10_000; i++) {
    const device = `device-${i}${i % 7 === 0 ? "-ü" : ""}${i % 11 === 0 ? "温" : ""}`;
    sum = (sum * 31n + BigInt(partitionOf(device, 64))) % 2147483647n;
  }
  assert.equal(sum, 2102972284n);
});
