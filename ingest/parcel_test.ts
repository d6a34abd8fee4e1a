/** A parcel from the scanner's columns says what one of a decoded batch says, and both what the judge would say. */
import assert from "node:assert/strict";
import { decodeBatchClosely } from "../core/schema.ts";
import { parcelOf, readParcel } from "./parcel.ts";

const TS = 1_763_950_000_000;
const encoder = new TextEncoder();

/** Readings of a batch, and whether none is quarantined by itself. */
const cases: readonly (readonly [name: string, fields: string, isClean: boolean, latestMs: number])[] = [
  ["an ordinary one", `"readings":[{"seq":0,"ts":${TS},"temperature_c":21.4,"humidity_pct":48.2}]`, true, TS],
  [
    "the latest is not the last",
    `"readings":[{"ts":${TS + 9},"temperature_c":1},{"ts":${TS},"humidity_pct":1}]`,
    true,
    TS + 9,
  ],
  ["one without a time, alone", `"temperature_c":21`, true, 0],
  ["one without a time, in a list of one", `"readings":[{"temperature_c":21}]`, true, 0],
  [
    "one without a time among two",
    `"readings":[{"ts":${TS},"temperature_c":1},{"temperature_c":1}]`,
    false,
    TS,
  ],
  ["a clock at the bound of 2015", `"ts":1420070400000,"temperature_c":1`, true, 1_420_070_400_000],
  ["a clock before it", `"ts":1420070399999,"temperature_c":1`, false, 1_420_070_399_999],
  ["as cold as a DHT22 goes", `"ts":${TS},"temperature_c":-40`, true, TS],
  ["colder", `"ts":${TS},"temperature_c":-40.001`, false, TS],
  ["as hot as it goes", `"ts":${TS},"temperature_c":80`, true, TS],
  ["hotter", `"ts":${TS},"temperature_c":80.001`, false, TS],
  ["as dry as it goes", `"ts":${TS},"humidity_pct":0`, true, TS],
  ["as damp as it goes", `"ts":${TS},"humidity_pct":100`, true, TS],
  ["damper", `"ts":${TS},"humidity_pct":100.001`, false, TS],
  [
    "the first of two out of range",
    `"readings":[{"ts":${TS},"temperature_c":99},{"ts":${TS},"humidity_pct":1}]`,
    false,
    TS,
  ],
];

for (const [name, fields, isClean, latestMs] of cases) {
  Deno.test(`a parcel knows what can be said of its readings: ${name}`, () => {
    const value = encoder.encode(`{"device":"desk","boot":1,${fields}}`);
    const read = readParcel(value);
    assert.ok(read.kind === "parcel");
    const readings = fields.split("},{").length;
    assert.deepEqual(read.parcel, { device: "desk", value, readings, isClean, latestMs });
    // An unknown member sends it the other way.
    const other = encoder.encode(`{"device":"desk","x":0,"boot":1,${fields}}`);
    assert.deepEqual(readParcel(other), { kind: "parcel", parcel: { ...read.parcel, value: other } });
    const decoded = decodeBatchClosely(value);
    assert.ok(decoded.kind === "batch");
    assert.deepEqual(parcelOf(decoded.batch, value), read.parcel);
  });
}

Deno.test("a parcel after a larger one has nothing of it, and what is no batch leaves nothing behind", () => {
  const many = Array.from({ length: 500 }, (_, i) => `{"seq":${i},"ts":${TS + i},"temperature_c":99}`);
  assert.ok(readParcel(encoder.encode(`{"device":"a","readings":[${many}]}`)).kind === "parcel");
  assert.ok(readParcel(encoder.encode(`{"device":"a","readings":[${many},7`)).kind === "problems");
  const read = readParcel(encoder.encode(`{"device":"b","ts":${TS},"temperature_c":1}`));
  assert.ok(read.kind === "parcel");
  const { device, readings, isClean, latestMs } = read.parcel;
  assert.deepEqual({ device, readings, isClean, latestMs }, {
    device: "b",
    readings: 1,
    isClean: true,
    latestMs: TS,
  });
});
