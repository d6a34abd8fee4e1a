/** Times under a chart: hours and minutes, and the day where it changes. */

const formats = new Map();
function format(name, options, utc, ms) {
  const key = `${name} ${utc}`;
  if (!formats.has(key)) {
    formats.set(
      key,
      new Intl.DateTimeFormat("en-GB", { ...options, hour12: false, ...utc ? { timeZone: "UTC" } : {} }),
    );
  }
  return formats.get(key).format(ms);
}

/** Texts for `ticks` (seconds) of a uPlot axis. */
export function axisTimes(u, ticks, utc) {
  const spanSeconds = u.scales.x.max - u.scales.x.min;
  const seconds = spanSeconds < 5 * 60 ? { second: "2-digit" } : {};
  let before = null;
  return ticks.map((tick) => {
    const ms = tick * 1_000;
    const day = format("day", { day: "numeric", month: "short" }, utc, ms);
    const time = format(
      `time ${spanSeconds < 5 * 60}`,
      { hour: "2-digit", minute: "2-digit", ...seconds },
      utc,
      ms,
    );
    const isNewDay = day !== before;
    before = day;
    if (time === "00:00" || spanSeconds > 12 * 86_400) return day;
    return isNewDay ? `${time}\n${day}` : time;
  });
}
