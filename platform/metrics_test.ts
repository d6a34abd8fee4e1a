import assert from "node:assert/strict";
import { metricsRegistry } from "./metrics.ts";

Deno.test("counters and gauges are shown with their help, type and labels", () => {
  const metrics = metricsRegistry({ readings_total: "Readings taken." });
  metrics.count("readings_total", 2, { status: "202", "kind": "json" });
  metrics.count("readings_total", 3, { kind: "json", status: "202" });
  metrics.gauge("queue_bytes", 10);
  metrics.gauge("queue_bytes", 7);
  assert.equal(
    metrics.text(),
    `# HELP readings_total Readings taken.
# TYPE readings_total counter
readings_total{kind="json",status="202"} 5
# TYPE queue_bytes gauge
queue_bytes 7
`,
  );
});

Deno.test("a histogram's buckets are cumulative and end in +Inf", () => {
  const metrics = metricsRegistry();
  for (const seconds of [0.0005, 0.0006, 31]) metrics.observe("commit_seconds", seconds);
  const lines = metrics.text().split("\n");
  assert.equal(lines[1], 'commit_seconds_bucket{le="0.0005"} 1');
  assert.equal(lines[2], 'commit_seconds_bucket{le="0.001"} 2');
  assert.equal(lines.at(-5), 'commit_seconds_bucket{le="30"} 2');
  assert.equal(lines.at(-4), 'commit_seconds_bucket{le="+Inf"} 3');
  assert.equal(lines.at(-2), "commit_seconds_count 3");
});

Deno.test("label values are escaped and their number is bounded", () => {
  const metrics = metricsRegistry();
  metrics.count("seen_total", 1, { who: 'a"b\\c\nd' });
  assert.match(metrics.text(), /seen_total\{who="a\\"b\\\\c\\nd"\} 1/);
  for (let i = 0; i < 1_001; i++) metrics.count("seen_total", 1, { who: `device ${i}` });
  assert.match(metrics.text(), /isotherm_metrics_dropped_total 2\n/);
});
