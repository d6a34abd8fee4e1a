/** Pictures of a part's screen, compared pixel by pixel. */
import { Buffer } from "node:buffer";
import { PNG } from "pngjs";

interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue and alpha, a byte each. */
  readonly data: Uint8Array;
}

/** Null if two PNG files show the same; else how they differ, in words. */
export function samePicture(one: Uint8Array, other: Uint8Array): string | null {
  const [a, b] = [pixelsOf(one), pixelsOf(other)];
  if (a === null || b === null) return "one of the two is no PNG file";
  if (a.width !== b.width || a.height !== b.height) {
    return `it has ${a.width} × ${a.height} pixels, not ${b.width} × ${b.height}`;
  }
  let different = 0;
  for (let at = 0; at < a.data.length; at += 4) {
    if ([0, 1, 2, 3].some((channel) => a.data[at + channel] !== b.data[at + channel])) different++;
  }
  return different === 0 ? null : `${different} of ${a.width * a.height} pixels differ`;
}

function pixelsOf(png: Uint8Array): Pixels | null {
  try {
    return PNG.sync.read(Buffer.from(png)) as Pixels;
  } catch {
    return null;
  }
}
