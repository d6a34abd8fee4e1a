/**
 * MurmurHash2, 32 bits, with the seed of Kafka's Java client, so that a device's records land in the partition where
 * Kafka's own tools would put them. Algorithm: Austin Appleby, public domain; seed and sign handling as documented for
 * `org.apache.kafka.common.utils.Utils.murmur2` and the default partitioner (`toPositive(hash) % partitions`).
 */
const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;
const SHIFT = 24;
const encoder = new TextEncoder();

/** The hash of `bytes` as an unsigned 32-bit integer. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let hash = (SEED ^ length) | 0;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    k = Math.imul(k, MULTIPLIER);
    k ^= k >>> SHIFT;
    k = Math.imul(k, MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ k;
  }
  const rest = length - whole;
  if (rest === 3) hash ^= bytes[whole + 2]! << 16;
  if (rest >= 2) hash ^= bytes[whole + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[whole]!, MULTIPLIER);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MULTIPLIER);
  hash ^= hash >>> 15;
  return hash >>> 0;
}

/** The partition (0 … `partitions` − 1) that holds the records of `device`. */
export function partitionOf(device: string, partitions: number): number {
  return (murmur2(encoder.encode(device)) & 0x7fffffff) % partitions;
}
