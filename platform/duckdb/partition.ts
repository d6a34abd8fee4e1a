/** A partition's store and its publisher, as a service opens them. */
import type { Publisher } from "../../core/ports/publisher.ts";
import type { Store } from "../../core/ports/store.ts";
import { openPublisher } from "./publisher.ts";
import { openStore, type StoreOptions } from "./store.ts";

/** Throws `StoreRefused` or `StoreUnavailable`. Close the publisher before the store. */
export async function openStoredPartition(
  options: StoreOptions,
): Promise<{ readonly store: Store; readonly publisher: Publisher }> {
  const store = await openStore(options);
  try {
    return { store, publisher: await openPublisher(store) };
  } catch (error) {
    await store.close();
    throw error;
  }
}
