/**
 * Windows as a chart's series: the grid has a place for every window, also for those in which nothing arrived, so a gap
 * is a break in the line and never a straight stroke or a zero. Pure.
 */

/** Rows of `/api/windows` as objects by start. */
export function windowsByStart({ columns, windows }) {
  return new Map(windows.map((row) => {
    const window = Object.fromEntries(columns.map((name, index) => [name, row[index]]));
    return [window.startMs, window];
  }));
}

/** A window of the live stream in the same form. */
export function windowOfEvent(event) {
  return {
    startMs: Date.parse(event.window_start),
    endMs: Date.parse(event.window_end),
    temperatureMean: event.temperature_c_mean,
    temperatureMin: event.temperature_c_min,
    temperatureMax: event.temperature_c_max,
    humidityMean: event.humidity_pct_mean,
    humidityMin: event.humidity_pct_min,
    humidityMax: event.humidity_pct_max,
    readings: event.readings,
    faults: event.sensor_faults,
    late: event.late,
    uncertain: event.time_uncertain,
    expected: event.expected,
    revision: event.revision,
    closedBy: event.closed_by,
  };
}

/**
 * Whether `next` counts rather than `old`: closed before open, of closed ones the higher revision, of open ones the later
 * word. So an event that comes twice, or a file that lags behind, changes nothing.
 */
export function counts(next, old) {
  if (old === undefined) return true;
  if (old.closedBy !== null) return next.closedBy !== null && next.revision >= old.revision;
  return true;
}

/**
 * Windows and absences on one grid: `x` in seconds at the middle of each window, one array for each series, `windows`
 * (null where nothing arrived), and `gaps`, stretches of one cause.
 */
export function chartData(windows, absences, sizeMs) {
  const causes = new Map(absences);
  const starts = [...new Set([...windows.keys(), ...causes.keys()])].sort((a, b) => a - b);
  const data = {
    x: [],
    windows: [],
    starts: [],
    temperature: [[], [], []],
    humidity: [[], [], []],
    gaps: [],
  };
  let gap = null;
  let before = null;
  const close = () => {
    if (gap !== null) data.gaps.push(gap);
    gap = null;
  };
  const put = (startMs, window) => {
    data.starts.push(startMs);
    data.x.push((startMs + sizeMs / 2) / 1_000);
    data.windows.push(window);
    for (const channel of ["temperature", "humidity"]) {
      ["Mean", "Min", "Max"].forEach((name, index) =>
        data[channel][index].push(window?.[channel + name] ?? null)
      );
    }
  };
  for (const startMs of starts) {
    // A hole that nobody has a word for, for instance between two files: still no line across it.
    if (before !== null && startMs - before > 1.5 * sizeMs) {
      close();
      put(before + sizeMs, null);
    }
    const window = windows.get(startMs) ?? null;
    const cause = window !== null && window.readings > 0
      ? null
      : window !== null && window.faults > 0
      ? "sensor_fault"
      : causes.get(startMs) ?? null;
    if (gap !== null && gap.cause === cause && gap.toMs === startMs) gap.toMs = startMs + sizeMs;
    else {
      close();
      if (cause !== null) gap = { fromMs: startMs, toMs: startMs + sizeMs, cause };
    }
    put(startMs, window);
    before = startMs;
  }
  close();
  return data;
}

/** The size to show a span with: the finest that stays readable, of those there are (finest first). */
export function sizeFor(spanMs, sizes, sizeMs) {
  return sizes.find((label) => spanMs / sizeMs(label) <= 1_500) ?? sizes.at(-1);
}

/** Indexes of points that have no neighbour: a line would not show them. */
export function lonely(values) {
  const found = [];
  values.forEach((value, index) => {
    if (value !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null) {
      found.push(index);
    }
  });
  return found;
}
