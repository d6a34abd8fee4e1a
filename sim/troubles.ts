/** What goes wrong in generated logs, by name: each trouble appends the records of one mistake, sound ones beside it. */
import { partitionOf } from "../core/murmur2.ts";
import { below, chance } from "../core/ports/random.ts";
import type { Generator } from "./generate.ts";
import { pick } from "./random.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What a sound device does: it sends what it measures, and some of what waits. */
export function live(g: Generator): void {
  const { device } = g;
  const measured = g.catchUp(1 + below(g.random, 6));
  // Half of the time a backlog goes on waiting.
  const backlog = chance(g.random, 1, 2) ? device.backlog.splice(0, 1 + below(g.random, 8)) : [];
  g.send([...backlog, ...measured].map((reading) => reading.json));
}

/** What goes wrong, by name. */
export const troubles: Readonly<Record<string, (g: Generator) => void>> = {
  live,

  resend(g) {
    const sent = g.device.sent.at(-1 - below(g.random, 12));
    if (sent !== undefined) g.append(sent.value);
  },

  resend_parts(g) {
    const parts = g.device.sent.slice(-6).flatMap((sent) =>
      sent.boot === g.device.boot ? sent.readings.filter(() => chance(g.random, 1, 2)) : []
    );
    if (parts.length > 0) g.send([...parts, ...g.catchUp(2).map((reading) => reading.json)]);
  },

  duplicates_in_batch(g) {
    const [reading] = g.catchUp(1);
    if (reading !== undefined) g.send([reading.json, reading.json, ...g.catchUp(1).map((m) => m.json)]);
  },

  disorder(g) {
    const readings = g.catchUp(8).map((reading) => reading.json);
    for (let i = readings.length - 1; i > 0; i--) {
      const j = below(g.random, i + 1);
      [readings[i], readings[j]] = [readings[j] as string, readings[i] as string];
    }
    g.send(readings);
  },

  backlog(g) {
    g.device.backlog.push(...g.catchUp(20));
    g.nowMs += below(g.random, 20 * MINUTE);
  },

  forgotten_backlog(g) {
    const readings = g.catchUp(4);
    g.nowMs += below(g.random, HOUR);
    g.device.nextMs = Math.max(g.device.nextMs, g.nowMs - MINUTE);
    g.send(g.catchUp(2).map((reading) => reading.json), { pending_since: null });
    g.send(readings.map((reading) => reading.json), { pending_since: null });
  },

  pending_odd(g) {
    const pending = pick(g.random, [
      0,
      g.nowMs - 8 * DAY,
      g.nowMs - 7 * DAY,
      g.nowMs + HOUR,
      g.nowMs - 90 * SECOND,
    ]);
    g.send(g.catchUp(2).map((reading) => reading.json), { pending_since: pending });
  },

  reboot(g) {
    const { device } = g;
    const previous = chance(g.random, 2, 3)
      ? { boot: device.boot, slots: device.seq + below(g.random, 3) }
      : undefined;
    device.boot = below(g.random, 2 ** 32) * 1_000_003;
    device.seq = 0;
    if (chance(g.random, 1, 2)) device.backlog = [];
    const readings = chance(g.random, 4, 5) || previous === undefined ? g.catchUp(3).map((m) => m.json) : [];
    g.send(readings, { previous });
  },

  lost(g) {
    const { device } = g;
    const from = chance(g.random, 1, 2) ? device.seq : below(g.random, device.seq + 1);
    const to = from + below(g.random, pick(g.random, [1, 5, 1_000_000]));
    if (from === device.seq && to < from + 10) device.seq = to + 1;
    const spans = [{ from, to, reason: "backlog_full" }, { from: from + 2, to: from + 3 }];
    const readings = chance(g.random, 1, 2) ? g.catchUp(2).map((m) => m.json) : [];
    g.send(readings, { lost: chance(g.random, 1, 2) ? spans : spans.slice(0, 1) });
  },

  out_of_range(g) {
    const { device } = g;
    const content = pick(g.random, [
      '"temperature_c":80',
      '"temperature_c":80.0004,"humidity_pct":40',
      '"temperature_c":80.0005',
      '"temperature_c":-40',
      '"temperature_c":-40.0005,"humidity_pct":40',
      '"humidity_pct":100.0004',
      '"humidity_pct":100.0005',
      '"humidity_pct":-0.0004',
      '"humidity_pct":-0.0005',
      '"temperature_c":-200.0,"humidity_pct":255.0',
      '"temperature_c":1e30',
    ]);
    const odd = g.reading({ seq: device.seq++, ts: device.nextMs }, content);
    device.nextMs += device.everyMs;
    g.send([...g.catchUp(1).map((m) => m.json), odd]);
  },

  corrected_out_of_range(g) {
    const { device } = g;
    const place = { seq: device.seq++, ts: device.nextMs };
    device.nextMs += device.everyMs;
    g.send([g.reading(place, '"temperature_c":999')]);
    g.send([g.reading(place, '"temperature_c":999')]);
    if (chance(g.random, 1, 2)) g.send([g.reading(place)]);
  },

  future(g) {
    const { device } = g;
    const ahead = pick(g.random, [5 * MINUTE - 1, 5 * MINUTE, 5 * MINUTE + 1, HOUR, 365 * DAY]);
    g.send([
      g.reading({ seq: device.seq++, ts: g.nowMs + ahead }),
      ...g.catchUp(1).map((reading) => reading.json),
    ]);
  },

  clock_never_set(g) {
    const { device } = g;
    const ts = pick(g.random, [0, 1_000, Date.UTC(2015, 0, 1) - 1, Date.UTC(2015, 0, 1), 946_684_800_000]);
    g.send([g.reading({ seq: device.seq++, ts })]);
  },

  clock_jumps(g) {
    g.device.nextMs += pick(g.random, [-HOUR, -3 * MINUTE, -40 * SECOND, 4 * MINUTE, -DAY]);
  },

  clock_uncertain(g) {
    g.send(g.catchUp(4).map((reading) => reading.json), { synced: false });
  },

  no_time(g) {
    const { device } = g;
    const numbered = chance(g.random, 1, 2) ? { seq: device.seq++ } : {};
    if (chance(g.random, 1, 2)) g.send([g.reading(numbered)]);
    else g.send([g.reading(numbered), ...g.catchUp(1).map((reading) => reading.json)]);
  },

  no_seq(g) {
    const { device } = g;
    const readings = Array.from({ length: 1 + below(g.random, 3) }, () => {
      const ts = device.nextMs;
      device.nextMs += device.everyMs;
      return g.reading({ ts });
    });
    g.send(readings, chance(g.random, 1, 2) ? { boot: undefined } : {});
  },

  no_boot(g) {
    g.send(g.catchUp(2).map((reading) => reading.json), { boot: undefined, lost: [{ from: 0, to: 3 }] });
  },

  separate_channels(g) {
    const { device } = g;
    const ts = device.nextMs;
    device.nextMs += device.everyMs;
    const contents = [
      '"temperature_c":21.5',
      '"humidity_pct":48',
      '"temperature_c":21.5,"humidity_pct":48',
      '"temperature_c":21.500,"humidity_pct":49',
      '"error":"timeout"',
    ];
    for (let i = 0; i < 3; i++) g.send([g.reading({ ts }, pick(g.random, contents))], { boot: undefined });
  },

  bare_reading(g) {
    const { device } = g;
    const ts = chance(g.random, 1, 2) ? undefined : device.nextMs;
    device.nextMs += device.everyMs;
    const boot = chance(g.random, 1, 3) ? { boot: device.boot, seq: device.seq++ } : {};
    g.append(g.reading({ device: device.name, ...boot, ts }));
  },

  conflict(g) {
    const { device } = g;
    const seq = below(g.random, device.seq + 1);
    const ts = device.nextMs - (device.seq - seq) * device.everyMs;
    g.send([g.reading({ seq, ts }), g.reading({ seq, ts: chance(g.random, 1, 2) ? ts : ts + 1 })]);
    if (chance(g.random, 1, 3)) g.send([g.reading({ seq })]);
  },

  conflict_unnumbered(g) {
    const ts = g.device.nextMs - below(g.random, 3) * g.device.everyMs;
    g.send([g.reading({ ts }), g.reading({ ts })]);
  },

  malformed(g) {
    const { device } = g;
    const place = `"seq":${device.seq++},"ts":${device.nextMs}`;
    device.nextMs += device.everyMs;
    const odd = pick(g.random, [
      `{${place}}`,
      `{${place},"temperature_c":"21.5"}`,
      `{${place},"temperature_c":21.5,"error":"checksum"}`,
      `{${place},"error":"Check Sum"}`,
      `{${place},"temperature_c":true}`,
      `{"seq":-1,"ts":${device.nextMs},"temperature_c":1}`,
      `{"seq":1.5,"ts":${device.nextMs},"temperature_c":1}`,
      `{"seq":10000000000,"ts":${device.nextMs},"temperature_c":1}`,
      `{"seq":${device.seq++},"ts":-5,"temperature_c":1}`,
      `{"seq":${device.seq++},"ts":10000000000000,"temperature_c":1}`,
      `{"seq":"7","ts":"x","temperature_c":1}`,
      "7",
      "null",
      "[]",
      '"text"',
      `{${place},"temperature_c":null,"humidity_pct":null}`,
      `{${place},"temperature_c":1,"flag":"Odd!","note":"${"x".repeat(1_100)}"}`,
    ]);
    g.send(chance(g.random, 1, 2) ? [odd, odd] : [odd, ...g.catchUp(1).map((reading) => reading.json)]);
  },

  undecodable(g) {
    const name = JSON.stringify(g.device.name);
    const reading = `{"ts":${g.nowMs},"temperature_c":1}`;
    g.append(pick<Uint8Array | string>(g.random, [
      "",
      "not json",
      "[]",
      "null",
      "7",
      "{}",
      new Uint8Array([0x7b, 0xff, 0x7d]),
      `{"device":"","readings":[${reading}]}`,
      `{"device":7,"readings":[${reading}]}`,
      `{"device":"a\\u0000b","readings":[${reading}]}`,
      `{"device":"\\ud800","readings":[${reading}]}`,
      `{"device":"${"x".repeat(129)}","readings":[${reading}]}`,
      `{"device":${name},"readings":[]}`,
      `{"device":${name},"readings":{}}`,
      `{"device":${name},"readings":null}`,
      `{"device":${name},"boot":-1,"readings":[${reading}]}`,
      `{"device":${name},"boot":9007199254740992,"readings":[${reading}]}`,
      `{"device":${name},"every_ms":99,"readings":[${reading}]}`,
      `{"device":${name},"every_ms":86400001,"readings":[${reading}]}`,
      `{"device":${name},"synced":1,"readings":[${reading}]}`,
      `{"device":${name},"pending_since":-1,"readings":[${reading}]}`,
      `{"device":${name},"previous":{"boot":1},"readings":[${reading}]}`,
      `{"device":${name},"lost":[{"from":3,"to":2}],"readings":[${reading}]}`,
      `{"device":${name},"lost":[{"from":1,"to":2,"reason":"No!"}],"readings":[${reading}]}`,
      `{"device":${name},"lost":{},"readings":[${reading}]}`,
      `{"device":${name},"lost":[${
        Array.from({ length: 257 }, () => '{"from":1,"to":1}').join(",")
      }],"readings":[${reading}]}`,
    ]));
  },

  nulls_for_absent(g) {
    const fields = { every_ms: null, synced: null, previous: null, lost: null, pending_since: null };
    g.send(g.catchUp(2).map((reading) => reading.json), fields);
  },

  wrong_partition(g) {
    const partition = (partitionOf(g.device.name, g.partitions) + 1) % g.partitions;
    const [reading] = g.catchUp(1);
    const text = `{"device":${JSON.stringify(g.device.name)},"readings":[${reading?.json},7]}`;
    g.append(text, { partition });
    if (chance(g.random, 1, 2)) g.append(text, { partition });
  },

  foreign_key(g) {
    const [reading] = g.catchUp(1);
    const text = `{"device":${
      JSON.stringify(g.device.name)
    },"boot":${g.device.boot},"readings":[${reading?.json}]}`;
    g.append(text, { key: pick(g.random, [null, "somebody else"]), headers: { traceparent: "00-1-1-00" } });
  },

  tick(g) {
    const partition = below(g.random, g.partitions);
    g.nowMs += below(g.random, 2 * MINUTE);
    if (chance(g.random, 1, 2)) g.append(null, { key: null, partition });
    else g.append(null, { key: null, partition, headers: { isotherm: "1.3", "isotherm-kind": "tick" } });
  },

  tombstone(g) {
    g.append(null);
  },

  owner(g) {
    const headers = { isotherm: "1", "isotherm-kind": "owner" };
    const value = chance(g.random, 1, 8) ? "?" : JSON.stringify({ worker: `w${below(g.random, 3)}` });
    g.append(value, { key: null, partition: below(g.random, g.partitions), headers });
  },

  device_record(g) {
    const headers = { "isotherm-kind": "device" };
    const value = pick<string | null>(g.random, [
      '{"action":"retire"}',
      '{"action":"rename","name":"North wall"}',
      '{"action":"rename","name":""}',
      '{"action":"explode"}',
      "{",
      null,
    ]);
    const key = pick(g.random, [g.device.name, g.device.name, g.device.name, null, "", "stranger"]);
    g.append(value, { key, headers });
  },

  release(g) {
    const { device } = g;
    const sent = device.sent.at(-1 - below(g.random, 4));
    if (sent === undefined) return;
    const index = below(g.random, sent.readings.length + 1);
    let reading = sent.readings[index] ?? "7";
    if (chance(g.random, 2, 3)) {
      reading = reading.replace(/"(temperature_c|humidity_pct)":[^,}]+/g, '"$1":20.25');
    }
    const boot = chance(g.random, 3, 4) ? sent.boot : null;
    const name = chance(g.random, 1, 12) ? "stranger" : device.name;
    const text = `{"device":${
      JSON.stringify(name)
    },"offset":${sent.offset},"index":${index},"boot":${boot},"reading":${reading}}`;
    g.append(chance(g.random, 1, 12) ? "{" : text, { headers: { "isotherm-kind": "release" } });
  },

  append_clock_steps_back(g) {
    const [reading] = g.catchUp(1);
    const text = `{"device":${
      JSON.stringify(g.device.name)
    },"boot":${g.device.boot},"readings":[${reading?.json}]}`;
    g.append(text, { stampMs: g.nowMs - below(g.random, HOUR) });
  },

  silence(g) {
    const { idleMs } = g.config;
    g.nowMs += pick(g.random, [idleMs - 1, idleMs, idleMs + 1, 6 * MINUTE, HOUR, 25 * HOUR]);
    for (const device of g.devices) {
      device.nextMs = Math.max(device.nextMs, g.nowMs - below(g.random, MINUTE));
    }
  },

  long_silence(g) {
    g.nowMs += pick(g.random, [8 * DAY, 29 * DAY, 30 * DAY, 31 * DAY, 32 * DAY, 400 * DAY]);
    for (const device of g.devices) device.nextMs = Math.max(device.nextMs, g.nowMs - below(g.random, HOUR));
  },

  after_expiry(g) {
    const { device } = g;
    const sent = pick(g.random, device.sent.length > 0 ? device.sent : [undefined]);
    const old = device.nextMs - 40 * DAY + below(g.random, HOUR);
    g.nowMs += chance(g.random, 1, 4) ? 31 * DAY : 0;
    if (sent !== undefined) g.append(sent.value);
    g.send([g.reading({ seq: device.seq++, ts: old }), g.reading({ ts: old + 1 })]);
  },

  expiry_edge(g) {
    const { device } = g;
    const sent = device.sent[0];
    if (sent === undefined) return;
    const keptUntilMs = (Math.floor(sent.appendMs / DAY) + 1) * DAY + g.config.retentionMs;
    if (keptUntilMs <= g.nowMs) return;
    // The last moment at which it is kept, or the first at which it isn't.
    g.nowMs = keptUntilMs - below(g.random, 2);
    for (const other of g.devices) other.nextMs = Math.max(other.nextMs, g.nowMs - MINUTE);
    g.append(sent.value);
    g.send([g.reading({ seq: device.seq++, ts: sent.nextMs - device.everyMs + 1 })]);
  },

  shared_name(g) {
    const { device } = g;
    const mine = { boot: device.boot, seq: device.seq };
    device.boot = 4_711;
    device.seq = 100_000 + device.sent.length * 10;
    const nextMs = device.nextMs;
    g.send(g.catchUp(2).map((reading) => reading.json));
    device.nextMs = nextMs;
    device.boot = mine.boot;
    device.seq = mine.seq;
  },

  edges(g) {
    const { device } = g;
    const [spec] = g.config.windows;
    const sizeMs = spec?.kind === "fixed" ? spec.hopMs : DAY;
    const endMs = (Math.floor(device.nextMs / sizeMs) + 1) * sizeMs;
    // The window's last and first moment, and the two moments at which the watermark is just short of it and at it.
    const edge = pick(g.random, [
      endMs - 1,
      endMs,
      endMs + g.config.outOfOrderMs - 1,
      endMs + g.config.outOfOrderMs,
    ]);
    device.nextMs = Math.max(device.nextMs, edge);
    g.nowMs = Math.max(g.nowMs, edge - MINUTE);
    g.send([g.reading({ seq: device.seq++, ts: edge })], { pending_since: null });
  },

  seq_jumps(g) {
    g.device.seq += pick(g.random, [1, 2, 100, 1_000_000]);
  },

  interval_changes(g) {
    g.device.everyMs = pick(g.random, [1_000, 5_000, 30_000]);
  },

  flood(g) {
    const { device } = g;
    const readings = Array.from({ length: 60 }, () => {
      const ts = device.nextMs;
      device.nextMs += 20;
      return g.reading({ seq: device.seq++, ts });
    });
    g.send(readings);
  },
};
