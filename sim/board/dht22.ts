/**
 * The DHT22 (AM2302) on its one wire: what the line does after a start pulse, and what the chip's C routine reads there.
 *
 * Timings: Aosong AM2302 product manual, table 6 "single bus signal characteristics", typical values; the manual's
 * limits stand beside them.
 */
export const dht22TimingUs = {
  /** The host pulls the line low to start: at least 0.8 ms, at most 20 ms; MicroPython's routine takes 18 ms. */
  start: 18_000,
  /** The host releases the line; the sensor answers 25–45 µs later. */
  release: 30,
  /** 75–85 µs each. */
  responseLow: 80,
  responseHigh: 80,
  /** Low before each bit, 48–55 µs. */
  bitLow: 50,
  /** High of a 0, 22–30 µs. */
  zeroHigh: 26,
  /** High of a 1, 68–75 µs. */
  oneHigh: 70,
  /** The sensor lets go, 45–55 µs. */
  releaseLow: 50,
} as const;

/** A stretch of constant level on the line. */
export interface Pulse {
  readonly level: 0 | 1;
  readonly us: number;
}

/** What can be wrong with a sensor. */
export type SensorFault =
  /** Unplugged, or hung: the line stays high. */
  | { readonly kind: "silent" }
  /** Stops after so many bits (0–39). */
  | { readonly kind: "short"; readonly bitCount: number }
  /** The high of bit `bit` (0–39) lasts `us` instead. */
  | { readonly kind: "lateEdge"; readonly bit: number; readonly us: number }
  /** These bits (0–39) arrive inverted. */
  | { readonly kind: "flippedBits"; readonly bits: readonly number[] }
  /** The same five bytes whatever the air does: a stuck sensor, or the famous 1 °C / 1 % frame. */
  | { readonly kind: "stuck"; readonly frame: Uint8Array };

/** Air at the sensor, in tenths: 215 is 21.5 °C, 482 is 48.2 %. */
export interface Climate {
  readonly temperatureTenthsC: number;
  readonly humidityTenthsPct: number;
}

/**
 * The 40 bits as five bytes: humidity (16 bits), temperature (sign and 15 bits of magnitude), sum of the four.
 * (AM2302 product manual, section 7.3; the temperature is sign and magnitude, not two's complement.)
 */
export function encodeFrame({ temperatureTenthsC, humidityTenthsPct }: Climate): Uint8Array {
  const magnitude = Math.abs(temperatureTenthsC) & 0x7fff;
  const signed = temperatureTenthsC < 0 ? magnitude | 0x8000 : magnitude;
  const bytes = [(humidityTenthsPct >> 8) & 255, humidityTenthsPct & 255, signed >> 8, signed & 255];
  return new Uint8Array([...bytes, bytes.reduce((sum, byte) => sum + byte, 0) & 255]);
}

/** The sensor's side of one exchange, from its release by the host on. */
export function sensorPulses(climate: Climate, fault: SensorFault | null): Pulse[] {
  if (fault?.kind === "silent") return [];
  const frame = fault?.kind === "stuck" ? fault.frame : encodeFrame(climate);
  const bitCount = fault?.kind === "short" ? fault.bitCount : 40;
  const flipped = fault?.kind === "flippedBits" ? fault.bits : [];
  const pulses: Pulse[] = [
    { level: 1, us: dht22TimingUs.release },
    { level: 0, us: dht22TimingUs.responseLow },
    { level: 1, us: dht22TimingUs.responseHigh },
  ];
  for (let bit = 0; bit < bitCount; bit++) {
    const sent = ((frame[bit >> 3] as number) >> (7 - (bit & 7))) & 1;
    const isOne = (sent === 1) !== flipped.includes(bit);
    const us = fault?.kind === "lateEdge" && fault.bit === bit
      ? fault.us
      : isOne
      ? dht22TimingUs.oneHigh
      : dht22TimingUs.zeroHigh;
    pulses.push({ level: 0, us: dht22TimingUs.bitLow }, { level: 1, us });
  }
  if (bitCount === 40) pulses.push({ level: 0, us: dht22TimingUs.releaseLow });
  return pulses;
}

/** Time-outs and threshold of MicroPython's `dht_readinto` (drivers/dht/dht.c), in microseconds. */
const routineUs = { answer: 100, response: 150, bit: 100, threshold: 48 } as const;

/** What the board lets pass in one read: 250 ms with the line high, 18 ms low, 5 ms of answer. */
export const DHT_READ_MS = 273;

/** Reads as the C routine does: high pulses longer than 48 µs are ones; null when a pulse doesn't come in time. */
export function decodePulses(pulses: readonly Pulse[]): Uint8Array | null {
  const [release, , response, ...bits] = pulses;
  if (release === undefined || release.us > routineUs.answer) return null;
  if (response === undefined || response.us > routineUs.response) return null;
  const highs = bits.filter((pulse) => pulse.level === 1).map((pulse) => pulse.us);
  const frame = new Uint8Array(5);
  for (let bit = 0; bit < 40; bit++) {
    const us = highs[bit];
    if (us === undefined || us > routineUs.bit) return null;
    const index = bit >> 3;
    frame[index] = ((frame[index] as number) << 1) | (us > routineUs.threshold ? 1 : 0);
  }
  return frame;
}
