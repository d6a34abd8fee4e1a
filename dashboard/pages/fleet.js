/**
 * The fleet as the overview holds it: rows of the files, moved on by events of the stream. Pure but for being a store.
 *
 * Made for ten thousand devices on a page that must stay free: a device is one object that changes in place, an event
 * touches one of them, and what passes with time alone (a device falling silent) is looked at in portions.
 */
import { trendOf } from "./spark.js";
import { stateOf } from "./states.js";

/** Taken from the files only; the rest the stream knows better, once it has spoken. */
const fileOnly = ["firstHeardMs", "received", "expected", "faults", "trendText"];

export function createFleet() {
  const byName = new Map();
  const all = [];
  /** How many are in each state. */
  const counts = new Map();
  let swept = 0;

  const judge = (device, time) => {
    const state = stateOf(device, time);
    if (state === device.state) return;
    if (device.state !== null) counts.set(device.state, counts.get(device.state) - 1);
    counts.set(state, (counts.get(state) ?? 0) + 1);
    device.state = state;
  };
  const deviceOf = (name) => {
    const known = byName.get(name);
    if (known !== undefined) return known;
    const device = emptyDevice(name, all.length);
    byName.set(name, device);
    all.push(device);
    return device;
  };

  return {
    /** All devices, in the order in which they became known: that of the files, by name. */
    all,
    counts,
    /** A page of `/api/fleet`. */
    load({ columns, devices, trend }, time) {
      for (const row of devices) {
        const device = deviceOf(row[0]);
        const isAhead = device.eventMs !== null &&
          device.eventMs >= (row[columns.indexOf("lastHeardMs")] ?? 0);
        columns.forEach((name, index) => {
          if (!isAhead || fileOnly.includes(name)) device[name] = row[index] ?? null;
        });
        device.trendCount = trend.count;
        rename(device, device.displayName);
        judge(device, time);
      }
    },
    /** A `device` event. */
    apply(event, time) {
      const device = deviceOf(event.device);
      moveOn(device, event);
      judge(device, time);
    },
    /** Looks at the next `portion` devices for what has changed by time alone. */
    sweep(portion, time) {
      for (let left = Math.min(portion, all.length); left > 0; left--) {
        swept = (swept + 1) % all.length;
        judge(all[swept], time);
      }
    },
  };
}

function emptyDevice(device, rank) {
  return {
    device,
    rank,
    displayName: device,
    search: device.toLowerCase(),
    everyMs: null,
    firstHeardMs: null,
    lastHeardMs: null,
    valueMs: null,
    pendingSinceMs: null,
    watermarkMs: null,
    retired: false,
    sharedName: false,
    temperatureC: null,
    humidityPct: null,
    received: null,
    expected: null,
    faults: null,
    newestReadings: null,
    newestFaults: null,
    quarantined: null,
    quarantinedRecently: 0,
    quarantinedAtMs: null,
    trendText: null,
    trendCount: 0,
    eventMs: null,
    state: null,
  };
}

function rename(device, displayName) {
  const name = displayName ?? device.device;
  if (name === device.displayName) return;
  device.displayName = name;
  device.search = `${name} ${device.device}`.toLowerCase();
}

function moveOn(device, event) {
  const heardMs = Date.parse(event.last_heard);
  if (device.quarantined !== null && event.quarantined > device.quarantined) {
    device.quarantinedRecently++;
    device.quarantinedAtMs = heardMs;
  }
  rename(device, event.display_name);
  device.quarantined = event.quarantined;
  device.everyMs = event.every_ms;
  device.lastHeardMs = heardMs;
  device.pendingSinceMs = event.pending_since === null ? null : Date.parse(event.pending_since);
  device.watermarkMs = event.watermark === null ? null : Date.parse(event.watermark);
  device.retired = event.retired;
  device.sharedName = event.shared_name;
  device.eventMs = heardMs;
  const reading = event.last_reading;
  if (reading === null) return;
  const isFault = reading.fault !== null;
  device.newestReadings = isFault ? 0 : 1;
  device.newestFaults = isFault ? 1 : 0;
  if (isFault) return;
  device.valueMs = Date.parse(reading.ts);
  device.temperatureC = reading.temperature_c ?? device.temperatureC;
  device.humidityPct = reading.humidity_pct ?? device.humidityPct;
}

/** The values of a device's trend; made when it comes into sight, of ten thousand most never do. */
export const trendValues = (device) => trendOf(device.trendText, device.trendCount);
