/** Devices as the views hold them, from the files' answer and from the stream's events. Pure. */
import { trendOf } from "./spark.js";

/** The rows of `/api/fleet` as objects. */
export function fromFleet({ columns, devices, trend }) {
  return devices.map((row) => {
    const device = {};
    columns.forEach((name, index) => device[name] = row[index] ?? null);
    return withDerived(device, trend.count);
  });
}

/** `old` (or nothing) moved on by a `device` event. */
export function fromEvent(old, event) {
  const reading = event.last_reading;
  const isFault = reading !== null && reading.fault !== null;
  const refused = old?.quarantined !== undefined && event.quarantined > old.quarantined;
  const heardMs = ms(event.last_heard);
  const base = old ??
    withDerived({
      device: event.device,
      trendText: null,
      received: null,
      expected: null,
      faults: null,
      quarantinedRecently: 0,
      quarantinedAtMs: null,
      temperatureC: null,
      humidityPct: null,
      valueMs: null,
    }, 0);
  const device = {
    ...base,
    displayName: event.display_name ?? event.device,
    everyMs: event.every_ms,
    lastHeardMs: heardMs,
    pendingSinceMs: ms(event.pending_since),
    watermarkMs: ms(event.watermark),
    retired: event.retired,
    sharedName: event.shared_name,
    quarantined: event.quarantined,
    quarantinedRecently: base.quarantinedRecently + (refused ? 1 : 0),
    quarantinedAtMs: refused ? heardMs : base.quarantinedAtMs,
    newestReadings: reading === null ? base.newestReadings : isFault ? 0 : 1,
    newestFaults: reading === null ? base.newestFaults : isFault ? 1 : 0,
    valueMs: reading === null || isFault ? base.valueMs : ms(reading.ts),
    temperatureC: reading?.temperature_c ?? base.temperatureC,
    humidityPct: reading?.humidity_pct ?? base.humidityPct,
    eventMs: heardMs,
  };
  if (device.displayName !== base.displayName) device.search = searchText(device);
  return device;
}

const ms = (text) => text === null || text === undefined ? null : Date.parse(text);
const searchText = ({ device, displayName }) => `${displayName} ${device}`.toLowerCase();

function withDerived(device, trendCount) {
  device.displayName ??= device.device;
  device.search = searchText(device);
  // Made when a row comes into sight: of ten thousand most never do.
  device.trend = () => trendOf(device.trendText, trendCount);
  return device;
}
