/** What DuckDB's errors mean for the store: the world failed (again later), the data is wrong, or we are. */
import { StoreRefused, StoreUnavailable } from "../../core/ports/store.ts";
import { StoreDamaged } from "./damage.ts";

const unavailable =
  /no space left|disk quota|file too large|IO Error|I\/O error|Out of Memory|TransactionContext Error: Failed to commit|database has been invalidated|FATAL Error/i;
const damaged =
  /checksum|corrupt|not a valid DuckDB|not a DuckDB|Serialization Error|Invalid Parquet|magic bytes|Could not read enough bytes|reached the end of the file/i;
const locked = /Could not set lock on file|Conflicting lock/i;

/** The error as the store's callers know it; what is neither of the two kinds is our own mistake and stays as it is. */
export function storeError(action: string, error: unknown): unknown {
  if (error instanceof StoreRefused || error instanceof StoreUnavailable) return error;
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split("\n")[0]!;
  if (locked.test(text)) {
    return new StoreRefused(
      `${action}: another process has this data folder open (${line}): stop it, or choose another folder with --data`,
      { cause: error },
    );
  }
  if (damaged.test(text)) {
    return new StoreDamaged(`${action}: the stored data is damaged (${line})`, { cause: error });
  }
  if (unavailable.test(text) || error instanceof Deno.errors.PermissionDenied || isFull(error)) {
    return new StoreUnavailable(`${action}: ${line}`, { cause: error });
  }
  return error;
}

function isFull(error: unknown): boolean {
  return error instanceof Error && /os error (5|27|28|122)\b/.test(error.message);
}
