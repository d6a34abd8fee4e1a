/**
 * What a device is like at a moment, in one word. Pure; the order of the questions is the order of importance.
 *
 * The age of a value and the age of the last word are different things: a board that was offline is heard from again
 * long before its newest reading is of now.
 */

/** In the order in which they ask for attention. `glyph` is a shape: states differ without colour. */
export const states = {
  faulty: {
    label: "Sensor fault",
    glyph: "triangle",
    tone: "bad",
    about: "It sends, but the sensor gives no value.",
  },
  quarantined: {
    label: "Quarantined",
    glyph: "diamond",
    tone: "odd",
    about: "Its newest readings were not counted; each has a reason.",
  },
  silent: {
    label: "Silent",
    glyph: "slash",
    tone: "bad",
    about: "Nothing has been heard although it should have.",
  },
  stale: {
    label: "Catching up",
    glyph: "half",
    tone: "warn",
    about: "It is heard, but its values are old: it has a backlog to send.",
  },
  waiting: { label: "Not due yet", glyph: "ring", tone: "calm", about: "Its next reading is not due yet." },
  live: { label: "Live", glyph: "dot", tone: "good", about: "Heard, and up to date." },
  retired: {
    label: "Retired",
    glyph: "line",
    tone: "calm",
    about: "Taken out of service: nothing is expected.",
  },
};

const MINUTE = 60_000;
/** A board may miss one batch and a reconnection before anybody should look. */
const patienceMs = (everyMs) => Math.max(2 * MINUTE, 3 * (everyMs ?? MINUTE) + MINUTE);

/** One of the keys of {@link states}. */
export function stateOf(device, nowMs) {
  if (device.retired) return "retired";
  const everyMs = device.everyMs ?? null;
  const heardMs = nowMs - (device.lastHeardMs ?? 0);
  if (heardMs > patienceMs(everyMs)) return "silent";
  if (isRefused(device, everyMs)) return "quarantined";
  if (device.newestFaults > 0 && device.newestReadings === 0) return "faulty";
  if (device.valueMs !== null && nowMs - device.valueMs > patienceMs(everyMs)) return "stale";
  if (device.valueMs === null && everyMs !== null) return "waiting";
  if (heardMs > 2 * MINUTE) return "waiting";
  return "live";
}

/** Its newest record brought something that was not counted. */
function isRefused(device, everyMs) {
  if (!device.quarantinedRecently || device.quarantinedAtMs === null) return false;
  return (device.lastHeardMs ?? 0) - device.quarantinedAtMs < 2 * (everyMs ?? MINUTE);
}

/** 0 … 1, null when nobody knows how many readings there should be. */
export function completenessOf(device) {
  if (!device.expected) return null;
  return Math.min(1, ((device.received ?? 0) + (device.faults ?? 0)) / device.expected);
}

/** Why a window has no reading, for people. */
export const absences = {
  sensor_fault: { label: "sensor fault", about: "The board sampled, but its sensor gave no value." },
  offline: { label: "offline", about: "The device has not been heard since." },
  never_heard: { label: "never came", about: "The device was heard later, but these readings never came." },
  not_due_yet: { label: "not due yet", about: "These readings may still come." },
  lost: { label: "given up", about: "The device said that it had to give these readings up." },
  retired: { label: "retired", about: "The device was taken out of service." },
  before_first: { label: "before its first reading", about: "The device wasn't known yet." },
  unknown_device: { label: "unknown device", about: "No record names this device." },
};

/** Why a reading was not counted, for people. */
export const reasons = {
  future: "Its time lies ahead of the log's",
  out_of_range: "Outside what the sensor can measure",
  no_time: "Without a usable time",
  conflict: "The same slot had another value before",
  undecidable: "Too old to tell whether it is new",
  wrong_partition: "Written to another device's partition",
  malformed: "Not readable as a reading",
};
