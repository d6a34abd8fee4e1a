/**
 * A file as a real DHT22 fleet of data loggers left it: devices take turns, a sensor that doesn't answer reads −200.0 °C
 * and 255.0 %, and once the time steps back by 83 days, when a second recording was appended to the first.
 */
export interface FleetShape {
  readonly devices: number;
  readonly rowsPerDevice: number;
  /** Row (0-based, of all devices) at which time steps back. */
  readonly stepBackAtRow: number;
  /** Every so many rows one is a fault. */
  readonly faultEvery: number;
  /** Unix seconds of the first row. */
  readonly startSeconds?: number;
}

export interface Fleet {
  readonly text: string;
  readonly rows: number;
  readonly faults: number;
  /** Event times in file order, Unix ms. */
  readonly tsByDevice: Readonly<Record<string, readonly number[]>>;
}

const stepBackSeconds = 83 * 86_400;
const everySeconds = 60;

/** The file of a fleet; the same shape gives the same bytes. */
export function fleetCsv(shape: FleetShape): Fleet {
  const lines = ["TIMESTAMP;DATE_TIME;ID_SENSOR;TEMPERATURE;HUMIDITY"];
  const tsByDevice: Record<string, number[]> = {};
  const rows = shape.devices * shape.rowsPerDevice;
  let faults = 0;
  for (let row = 0; row < rows; row++) {
    const turn = Math.floor(row / shape.devices);
    // One device's second after another's: the loggers are read out in turn.
    const seconds = (shape.startSeconds ?? 1_613_600_000) + turn * everySeconds + row % shape.devices -
      (row >= shape.stepBackAtRow ? stepBackSeconds : 0);
    const isFault = row % shape.faultEvery === 0;
    if (isFault) faults++;
    const tenthsC = 180 + (row * 7) % 90;
    const temperature = isFault ? "-200.0" : `${Math.floor(tenthsC / 10)}.${tenthsC % 10}`;
    const humidity = isFault ? "255.0" : `${40 + (row * 3) % 50}.${row % 10}`;
    const device = String(row % shape.devices + 9);
    const local = new Date((seconds - 3 * 3_600) * 1_000).toISOString().replace("T", " ").slice(0, 19);
    lines.push(`${seconds};${local};${device};${temperature};${humidity}`);
    (tsByDevice[device] ??= []).push(seconds * 1_000);
  }
  return { text: `${lines.join("\n")}\n`, rows, faults, tsByDevice };
}
