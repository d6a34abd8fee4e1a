import assert from "node:assert/strict";
import { parseExportOptions } from "./options.ts";
import { progressText } from "./progress.ts";

Deno.test("a folder is enough: both views of the folder data, all days", () => {
  assert.deepEqual(parseExportOptions(["out"]), {
    kind: "options",
    options: { target: "out", data: "data", views: ["windows", "readings"], fromDay: null, toDay: null },
  });
  assert.deepEqual(
    parseExportOptions([
      "--data",
      "d",
      "--only",
      "readings",
      "--from",
      "2026-01-31",
      "--to",
      "2026-02-28",
      "o",
    ]),
    {
      kind: "options",
      options: { target: "o", data: "d", views: ["readings"], fromDay: "2026-01-31", toDay: "2026-02-28" },
    },
  );
  assert.deepEqual(parseExportOptions(["--help"]), { kind: "help" });
  assert.deepEqual(parseExportOptions([]), { kind: "help" });
});

Deno.test("every problem is told at once", () => {
  assert.deepEqual(
    parseExportOptions(["a", "b", "--only", "devices", "--from", "2026-02-30", "--to", "today"]),
    {
      kind: "problems",
      problems: [
        "give one folder, not 2",
        "--only must be windows or readings, not devices",
        "--from must be a day as 2026-01-31, not 2026-02-30",
        "--to must be a day as 2026-01-31, not today",
      ],
    },
  );
});

Deno.test("the bar follows the rows", () => {
  assert.equal(
    progressText({ rows: 250_000, rowsTotal: 1_000_000, files: 1, filesTotal: 4 }),
    "██████░░░░░░░░░░░░░░░░░░  25 %  1 of 4 files, 250,000 rows",
  );
  assert.equal(
    progressText({ rows: 0, rowsTotal: 0, files: 0, filesTotal: 0 }),
    "████████████████████████ 100 %  0 of 0 files, 0 rows",
  );
});
