/** Value change dump, the text that logic analysers exchange (IEEE 1364-2005, clause 18), of digital lines. */
import type { Samples } from "./pin_monitor.ts";

export interface VcdChannel {
  /** Letters, digits and underscores: viewers stop at blanks. */
  readonly name: string;
  readonly gpio: number;
  /** Level before the first change. */
  readonly initial: 0 | 1;
}

export interface Vcd {
  readonly text: string;
  readonly channelCount: number;
  /** Changes in the text, initial levels not counted. */
  readonly sampleCount: number;
}

/** Identifiers of one printable character each, from `!` on. */
const identifier = (index: number) => String.fromCharCode(33 + index);

/** `endNanos`: up to when the lines are known; viewers show the last level until then. */
export function writeVcd(
  scope: string,
  channels: readonly VcdChannel[],
  { nanos, gpios, levels }: Samples,
  { endNanos, comment }: { readonly endNanos: number; readonly comment: string },
): Vcd {
  const lines = [
    `$comment ${comment} $end`,
    "$timescale 1ns $end",
    `$scope module ${plain(scope)} $end`,
    ...channels.map(({ name }, index) => `$var wire 1 ${identifier(index)} ${plain(name)} $end`),
    "$upscope $end",
    "$enddefinitions $end",
    "#0",
    "$dumpvars",
    ...channels.map(({ initial }, index) => `${initial}${identifier(index)}`),
    "$end",
  ];
  const identifiersOf = new Map<number, string[]>();
  for (const [index, { gpio }] of channels.entries()) {
    identifiersOf.set(gpio, [...identifiersOf.get(gpio) ?? [], identifier(index)]);
  }
  let sampleCount = 0;
  let lastNanos = 0;
  for (const [index, atNanos] of nanos.entries()) {
    const ids = identifiersOf.get(gpios[index] as number);
    if (ids === undefined) continue;
    if (atNanos !== lastNanos) lines.push(`#${atNanos}`);
    lastNanos = atNanos;
    for (const id of ids) lines.push(`${levels[index]}${id}`);
    sampleCount += ids.length;
  }
  if (endNanos > lastNanos) lines.push(`#${endNanos}`);
  return { text: lines.join("\n") + "\n", channelCount: channels.length, sampleCount };
}

const plain = (name: string) => name.replaceAll(/[^A-Za-z0-9_]/g, "_");
