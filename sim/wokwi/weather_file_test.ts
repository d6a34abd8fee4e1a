import assert from "node:assert/strict";
import { readWeather } from "./weather_file.ts";

const head = "seconds,temperature_c,humidity_pct\n";

Deno.test("weather is read with its times in nanoseconds", () => {
  assert.deepEqual(readWeather(`# a night\n${head}0,21.5,40\n\n7.25, -20.0, 99.9\r\n8,,1\n`), {
    kind: "weather",
    samples: [
      { atNanos: 0, temperatureTenthsC: 215, humidityTenthsPct: 400 },
      { atNanos: 7_250_000_000, temperatureTenthsC: -200, humidityTenthsPct: 999 },
      { atNanos: 8_000_000_000, humidityTenthsPct: 10 },
    ],
  });
});

Deno.test("the sensor's range is kept at its ends", () => {
  assert.equal(readWeather(`${head}0,-40,0\n1,80,100\n`).kind, "weather");
});

Deno.test("a wrong line is told by its number", () => {
  const cases: [string, RegExp][] = [
    ["", /line 1: needs seconds,temperature_c,humidity_pct/],
    [head, /line 1: needs/],
    ["time,temp,hum\n0,1,2", /line 1: must be seconds,temperature_c,humidity_pct/],
    [`${head}0,1`, /line 2: must have 3 cells/],
    [`${head}0,80.1,2`, /line 2: temperature_c must be a number from -40 to 80, not "80.1"/],
    [`${head}0,-40.1,2`, /line 2: temperature_c/],
    [`${head}0,1,100.1`, /line 2: humidity_pct/],
    [`${head}0,1,-0.1`, /line 2: humidity_pct/],
    [`${head}-1,1,1`, /line 2: seconds must be a number from 0/],
    [`${head},1,1`, /line 2: seconds/],
    [`${head}0,1e1,1`, /line 2: temperature_c/],
    [`${head}5,1,1\n5,2,2`, /line 3: seconds must grow/],
  ];
  for (const [text, message] of cases) {
    const read = readWeather(text);
    assert.match(read.kind === "problem" ? read.problem : "", message, text);
  }
});
