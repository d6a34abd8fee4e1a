/** The keys in force: who a secret belongs to, and what it may write. Replaced whole when the file changes. */
import type { Clock } from "../core/ports/clock.ts";
import type { Authority, Grant } from "./authority.ts";
import { covers, isAlive, type KeyEntry } from "./key_file.ts";

export interface KeyHashing {
  hashOf(key: string): Uint8Array;
  /** Compares two hashes in a time that doesn't depend on them. */
  isSame(a: Uint8Array, b: Uint8Array): boolean;
}

export interface KeyRing extends Authority {
  replace(keys: readonly KeyEntry[]): void;
}

interface Held {
  readonly hash: Uint8Array;
  readonly key: KeyEntry;
  readonly grant: Grant;
}

/** Longer secrets are wrong without being hashed. */
const SECRET_LENGTH_MAX = 512;

/**
 * Keys are found by the first two bytes of the secret's hash, which a guesser can't steer to learn anything, and then
 * compared in constant time.
 */
export function createKeyRing(hashing: KeyHashing, clock: Clock, keys: readonly KeyEntry[]): KeyRing {
  let held = new Map<number, Held[]>();
  const ring: KeyRing = {
    check(secret) {
      if (secret === null || secret.length > SECRET_LENGTH_MAX) return null;
      const hash = hashing.hashOf(secret);
      let found: Held | null = null;
      for (const candidate of held.get(bucketOf(hash)) ?? []) {
        if (hashing.isSame(candidate.hash, hash)) found = candidate;
      }
      return found !== null && isAlive(found.key, clock.nowMs()) ? found.grant : null;
    },
    replace(next) {
      held = new Map();
      for (const key of next) {
        const hash = bytesOf(key.hash);
        const grant: Grant = {
          key: key.name,
          isAdmin: key.may === "admin",
          allows: (device) => covers(key, device),
        };
        const bucket = bucketOf(hash);
        held.set(bucket, [...held.get(bucket) ?? [], { hash, key, grant }]);
      }
    },
  };
  ring.replace(keys);
  return ring;
}

const bucketOf = (hash: Uint8Array) => hash[0]! * 256 + hash[1]!;

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(
    { length: hex.length / 2 },
    (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}

/** The key that a setting gives: it may do everything. */
export function settingKey(secret: string, hashing: KeyHashing): KeyEntry {
  const hash = [...hashing.hashOf(secret)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { name: "setting", hash, may: "admin", devices: ["*"], createdMs: 0, expiresMs: null };
}
