import assert from "node:assert/strict";
import { parseWindows } from "./windows_config.ts";

Deno.test("windows are read in any order and come finest first", () => {
  assert.deepEqual(parseWindows("1d@Europe/Berlin, 1h,10m/1m,30s"), {
    kind: "ok",
    windows: [
      { kind: "fixed", label: "30s", sizeMs: 30_000, hopMs: 30_000 },
      { kind: "fixed", label: "10m/1m", sizeMs: 600_000, hopMs: 60_000 },
      { kind: "fixed", label: "1h", sizeMs: 3_600_000, hopMs: 3_600_000 },
      { kind: "local_day", label: "1d@Europe/Berlin", zone: "Europe/Berlin" },
    ],
  });
});

Deno.test("every problem of the list is told at once", () => {
  assert.deepEqual(parseWindows("1m,1x,,2h@Europe/Berlin,1d@Atlantis,32d,999ms,10m/3m,1h/1s,1m"), {
    kind: "problems",
    problems: [
      '"1x" must be a size like 1m, a size and a hop like 10m/1m, or 1d@Zone',
      '"" must be a size like 1m, a size and a hop like 10m/1m, or 1d@Zone',
      '"2h@Europe/Berlin" must be 1d@Zone: only days follow a zone',
      '"1d@Atlantis" names no IANA time zone, for instance 1d@Europe/Berlin',
      '"32d" must be from 1s to 31d long',
      '"999ms" must be a size like 1m, a size and a hop like 10m/1m, or 1d@Zone',
      '"10m/3m" must have a hop of at least 1s that divides its size',
      '"1h/1s" must hop so that a reading is in at most 60 windows',
      "there are 10 kinds, at most 8 are possible",
      '"1m" comes twice',
    ],
  });
});

Deno.test("sizes and overlaps hold at their bounds and not one further", () => {
  for (const text of ["1s", "31d", "60m/1m", "1m/1s", "1d@UTC", "1d@Asia/Kathmandu"]) {
    assert.equal(parseWindows(text).kind, "ok", text);
  }
  for (const text of ["0s", "2678401s", "61m/1m", "1m/2m", "1d@", "1d@@UTC", "1m/1m/1m", "-1m", "1.5m"]) {
    assert.equal(parseWindows(text).kind, "problems", text);
  }
});
