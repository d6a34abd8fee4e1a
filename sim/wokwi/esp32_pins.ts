/** Names of the ESP32's pins on the boards that Wokwi knows. */

/** GPIOs that the WROOM-32 module brings out, but for those of its own flash (ESP32-WROOM-32 datasheet, table 2). */
export const gpioNumbers: readonly number[] = [
  0,
  1,
  2,
  3,
  4,
  5,
  12,
  13,
  14,
  15,
  16,
  17,
  18,
  19,
  21,
  22,
  23,
  25,
  26,
  27,
  32,
  33,
  34,
  35,
  36,
  39,
]; // deno-fmt-ignore

const common = new Map(Object.entries({ TX: 1, RX: 3, TX0: 1, RX0: 3, VP: 36, VN: 39 }));
/** The DevKitC v4 brings the flash's pins out under their names on that bus. */
const flashPins = new Map(Object.entries({ CLK: 6, D0: 7, D1: 8, D2: 9, D3: 10, CMD: 11 }));
const doit = new Map(Object.entries({ TX2: 17, RX2: 16 }));

/** What a pin of a board is. */
export type BoardPin =
  | { readonly kind: "gpio"; readonly gpio: number }
  /** A supply, with its volts; EN counts as one that is high. */
  | { readonly kind: "supply"; readonly volts: number };

/** The pin that `name` means on a board of type `boardType`; null if it has none of that name. */
export function boardPin(boardType: string, name: string): BoardPin | null {
  const supply = /^(3V3|EN)(\.\d+)?$/.test(name)
    ? 3.3
    : /^(5V|VIN)(\.\d+)?$/.test(name)
    ? 5
    : /^GND(\.\d+)?$/.test(name)
    ? 0
    : null;
  if (supply !== null) return { kind: "supply", volts: supply };
  const gpio = gpioOf(boardType.includes("devkit-c-v4"), name);
  return gpio === null ? null : { kind: "gpio", gpio };
}

function gpioOf(isDevKitC: boolean, name: string): number | null {
  const named = common.get(name) ?? (isDevKitC ? flashPins : doit).get(name);
  if (named !== undefined) return named;
  const digits = (isDevKitC ? /^(?:GPIO)?(\d{1,2})$/ : /^(?:GPIO|D)?(\d{1,2})$/).exec(name)?.[1];
  const gpio = Number(digits);
  return digits !== undefined && gpioNumbers.includes(gpio) ? gpio : null;
}
