import { equal } from "node:assert/strict";
import { progressText } from "./progress_bar.ts";

Deno.test("the bar shows the share of the file, the rate and the time left", () => {
  equal(
    progressText(250, 1_000, 5_000, 2_000),
    "██████░░░░░░░░░░░░░░░░░░  25 %  5,000 readings, 2,500/s, 6 s left",
  );
  equal(progressText(1_000, 1_000, 5_000, 2_000).startsWith("████████████████████████ 100 %"), true);
});

Deno.test("without a size there is a count and no bar", () => {
  equal(progressText(250, null, 5_000, 2_000), "5,000 readings, 2,500/s");
});
