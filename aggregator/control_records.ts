/** The records that a worker itself puts into its partition: who owns it, the time, the rules of alerts. */
import type { LogWriter } from "../core/ports/log.ts";
import { formatVersion, headerNames } from "../core/schema.ts";

/** Where a record has come to lie. */
export interface Appended {
  readonly offset: number;
  readonly appendMs: number;
}

export class ControlRecords {
  constructor(private readonly writer: LogWriter, private readonly partition: number) {}

  /** Says that the worker of this name owns the partition from here on. */
  owner(worker: string): Promise<Appended> {
    return this.#append("owner", JSON.stringify({ worker }));
  }

  /** Says nothing but what time it is. */
  tick(): Promise<Appended> {
    return this.#append("tick", null);
  }

  /** Says which rules of alerts hold from here on. */
  rules(text: string): Promise<Appended> {
    return this.#append("rules", text);
  }

  async #append(kind: "owner" | "tick" | "rules", text: string | null): Promise<Appended> {
    const value = text === null ? null : new TextEncoder().encode(text);
    const headers = { [headerNames.version]: formatVersion, [headerNames.kind]: kind };
    const [appended] = await this.writer.append([{ partition: this.partition, key: null, value, headers }]);
    return appended!;
  }
}
