import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { mapPoints, timestampMs } from "./influx.ts";
import { parseLines } from "./line_protocol.ts";
import { inWorld, START_MS, type World } from "./testing/world.ts";

const map = (text: string, precision = "ms") => {
  const { parcels, problems } = mapPoints(parseLines(text).points, precision);
  return {
    batches: parcels.map(({ value }) => JSON.parse(new TextDecoder().decode(value))),
    problems: problems.map(({ line, message }) => `${line}: ${message}`),
  };
};

Deno.test("temperature and humidity of one time become one reading, in one point or two", () => {
  const together = map(`dht22,device=desk temperature=21.4,humidity=48.2 ${START_MS}`);
  const apart = map(
    `temperature,device=desk value=21.4 ${START_MS}\nhumidity,device=desk value=48.2 ${START_MS}`,
  );
  const expected = [{
    device: "desk",
    readings: [{ ts: START_MS, temperature_c: 21.4, humidity_pct: 48.2 }],
  }];
  assert.deepEqual(together.batches, expected);
  assert.deepEqual(apart.batches, expected);
});

Deno.test("points of several devices become a batch each; a channel that comes twice is a second reading", () => {
  const { batches } = map(
    `m,device=a t=1 5\nm,device=b t=2 5\nm,device=a t=3 6\nm,device=a t=4 6\nm,device=a h=5 6`,
  );
  assert.deepEqual(batches, [
    {
      device: "a",
      readings: [{ ts: 5, temperature_c: 1 }, { ts: 6, temperature_c: 3 }, {
        ts: 6,
        temperature_c: 4,
        humidity_pct: 5,
      }],
    },
    { device: "b", readings: [{ ts: 5, temperature_c: 2 }] },
  ]);
});

Deno.test("points without timestamp are dated by the log, each reading in a batch of its own", () => {
  const { batches } = map("m,device=a temp=1\nm,device=a hum=2\nm,device=a temp=3");
  assert.deepEqual(batches, [
    { device: "a", temperature_c: 1, humidity_pct: 2 },
    { device: "a", temperature_c: 3 },
  ]);
});

Deno.test("shapes of known writers name device and channels", () => {
  const shapes:
    readonly (readonly [who: string, line: string, device: string, reading: Record<string, number>])[] = [
      ["Telegraf", "dht22,host=pi4,sensor=attic temperature=21.4,humidity=48.2", "attic", {
        temperature_c: 21.4,
        humidity_pct: 48.2,
      }],
      ["Telegraf, its own host", "dht22,host=pi4 temperature=21.4", "pi4", { temperature_c: 21.4 }],
      [
        "Arduino client",
        "environment,device=ESP32,SSID=home temperature=21.40,humidity=48.20,rssi=-60i",
        "ESP32",
        {
          temperature_c: 21.4,
          humidity_pct: 48.2,
        },
      ],
      ["ESPHome lambda", "temperature,device=greenhouse value=21.4", "greenhouse", { temperature_c: 21.4 }],
      [
        "Home Assistant",
        '°C,domain=sensor,entity_id=attic_temperature value=21.4,friendly_name_str="Attic, north"',
        "attic",
        {
          temperature_c: 21.4,
        },
      ],
      ["Home Assistant", "%,domain=sensor,entity_id=attic_humidity value=48.2", "attic", {
        humidity_pct: 48.2,
      }],
    ];
  for (const [who, line, device, reading] of shapes) {
    const { batches, problems } = map(line);
    assert.deepEqual(problems, [], who);
    assert.deepEqual(batches, [{ device, ...reading }], who);
  }
});

Deno.test("a point that is no reading is a problem of its line, never a guess", () => {
  const { batches, problems } = map([
    "cpu,host=pi4 usage=3",
    "m temperature=1",
    "%,entity_id=phone_battery value=80",
    "m,device=a temperature_f=70",
    "°F,entity_id=attic_temperature value=70",
    "m,device=a\u0001b t=1",
    "m,device=a t=1 -5",
    "m,device=a t=1 99999999999999999999",
  ].join("\n"));
  assert.deepEqual(batches, []);
  const tags = "device, device_id, sensor, sensor_id, node, id, name, entity_id, host";
  assert.deepEqual(problems, [
    "1: it has no field temperature or humidity",
    `2: no tag names the device (${tags}), or its name is missing: name the device, for instance "greenhouse-3"`,
    "3: it has no field temperature or humidity",
    "4: temperatures are taken in °C only",
    "5: temperatures are taken in °C only",
    `6: no tag names the device (${tags}), or its name must not contain control characters`,
    "7: the timestamp is out of range: check the precision",
    "8: the timestamp is out of range: check the precision",
  ]);
});

Deno.test("timestamps of every precision become milliseconds, rounded down", () => {
  const table: readonly (readonly [string, string, number | null])[] = [
    ["1763950000123999999", "ns", 1_763_950_000_123],
    ["1763950000123999", "us", 1_763_950_000_123],
    ["1763950000123", "ms", 1_763_950_000_123],
    ["1763950000", "s", 1_763_950_000_000],
    ["29399166", "m", 1_763_949_960_000],
    ["489986", "h", 1_763_949_600_000],
    ["0", "ns", 0],
    ["-1", "ms", null],
  ];
  for (const [digits, precision, ms] of table) assert.equal(timestampMs(digits, precision), ms);
});

const write = ({ ingest }: World, path: string, body: BodyInit, headers: Record<string, string> = {}) =>
  Promise.resolve(ingest.app.request(path, { method: "POST", body, headers }));

Deno.test("a write is answered with 204 once it is in the log, gzip as Telegraf sends it", async () => {
  await inWorld(async (world) => {
    const line = `dht22,device=desk temperature=21.4 ${START_MS}000000\n`;
    const plain = await write(world, "/api/v2/write?org=home&bucket=b", line);
    assert.equal(plain.status, 204);
    const zipped = new Uint8Array(gzipSync(line));
    const headers = { "content-encoding": "gzip", "content-type": "text/plain; charset=utf-8" };
    assert.equal((await write(world, "/write?db=home", zipped, headers)).status, 204);
    assert.equal(
      (await write(world, "/write?db=home&precision=s", `dht22,device=desk temperature=21.4 1767225600`))
        .status,
      204,
    );
    assert.deepEqual(
      new Set(world.values()),
      new Set([`{"device":"desk","readings":[{"ts":${START_MS},"temperature_c":21.4}]}`]),
    );
  });
});

Deno.test("a partial write stores the good points and tells of the others as InfluxDB does", async () => {
  await inWorld(async (world) => {
    const response = await write(
      world,
      "/api/v2/write",
      `m,device=a t=1 ${START_MS}000000\nbroken\nm,device=a x=1`,
    );
    assert.equal(response.status, 400);
    assert.deepEqual(await response.json(), {
      code: "invalid",
      message:
        "partial write: line 2: it has no fields; line 3: it has no field temperature or humidity; dropped=2",
    });
    assert.equal(world.records().length, 1);
  });
});

Deno.test("what can't be written is refused in InfluxDB's words", async () => {
  const authority = {
    check: (secret: string | null) =>
      secret === "right" ? { key: "k", isAdmin: false, allows: (device: string) => device === "desk" } : null,
  };
  await inWorld(async (world) => {
    const line = "m,device=desk t=1";
    const outcome = async (path: string, body: string, headers: Record<string, string> = {}) => {
      const response = await write(world, path, body, headers);
      return [response.status, response.status === 204 ? null : await response.json()];
    };
    const token = { authorization: "Token right" };
    assert.deepEqual(await outcome("/api/v2/write", line), [401, {
      code: "unauthorized",
      message: "the request has no valid key",
    }]);
    assert.deepEqual(await outcome("/write", line), [401, { error: "the request has no valid key" }]);
    assert.deepEqual(await outcome("/api/v2/write", line, token), [204, null]);
    assert.deepEqual(await outcome("/write", line, { authorization: `Basic ${btoa("user:right")}` }), [
      204,
      null,
    ]);
    assert.deepEqual(await outcome("/write?u=user&p=right", line), [204, null]);
    assert.equal((await outcome("/write", line, { authorization: "Basic !" }))[0], 401);
    assert.equal((await outcome("/api/v2/write", "m,device=other t=1", token))[0], 403);
    assert.equal((await outcome("/api/v2/write?precision=days", line, token))[0], 400);
    assert.equal((await outcome("/api/v2/write", "", token))[0], 400);
    assert.equal((await outcome("/api/v2/write", line.padEnd(5_000_000), token))[0], 413);
    world.log.setDown(true);
    await outcome("/api/v2/write", line, token);
    const down = await write(world, "/api/v2/write", line, token);
    assert.equal(down.status, 503);
    assert.ok(Number(down.headers.get("retry-after")) >= 1);
  }, { authority });
});

Deno.test("what clients ask before they write is answered", async () => {
  await inWorld(async ({ ingest }) => {
    const ping = await ingest.app.request("/ping");
    assert.equal(ping.status, 204);
    assert.ok(ping.headers.has("x-influxdb-version"));
    assert.equal((await (await ingest.app.request("/health")).json()).status, "pass");
    const created = await ingest.app.request("/query?q=CREATE%20DATABASE%20%22telegraf%22", {
      method: "POST",
    });
    assert.equal(created.status, 200);
    assert.equal((await ingest.app.request("/query?q=SELECT%201")).status, 400);
  });
});
