/** Kafka's murmur2 of a text, in arbitrary-precision integers: slow, and plain to compare with the specification. */
const MASK = 0xffffffffn;
const M = 0x5bd1e995n;

export function murmur2(text: string): number {
  const bytes = [...new TextEncoder().encode(text)].map(BigInt);
  let h = (0x9747b28cn ^ BigInt(bytes.length)) & MASK;
  while (bytes.length >= 4) {
    const [a = 0n, b = 0n, c = 0n, d = 0n] = bytes.splice(0, 4);
    let k = a + b * 0x100n + c * 0x10000n + d * 0x1000000n;
    k = (k * M) & MASK;
    k ^= k >> 24n;
    k = (k * M) & MASK;
    h = ((h * M) & MASK) ^ k;
  }
  if (bytes.length > 0) {
    bytes.forEach((byte, i) => h ^= byte << BigInt(8 * i));
    h = (h * M) & MASK;
  }
  h ^= h >> 13n;
  h = (h * M) & MASK;
  h ^= h >> 15n;
  return Number(h);
}

/** The partition that the Java client's default partitioner gives a key. */
export const partitionOf = (device: string, partitions: number): number =>
  (murmur2(device) % 0x80000000) % partitions;
