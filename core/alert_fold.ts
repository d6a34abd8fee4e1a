/**
 * Alerts as a part of the fold: what a rule says is decided by the records of one partition and by the rules that were
 * recorded in it, so whoever reads the log again finds the same alerts with the same ids.
 *
 * - A window is judged once, at the moment it closes and as it is then; windows of one size in order of their start, an
 *   older one that closes after a newer one is passed over. A late reading revises the row, not the alert. Rejected:
 *   judging the rows of a transaction, whose newest versions depend on how many records it took; and taking an alert
 *   back weeks later, when somebody has long acted on it.
 * - Silence is measured in append time, from a device's last batch. Like a silent window it is found by the device's own
 *   next record or by any record before (a tick, if nobody sends), with the same outcome.
 * - Rules come by record. One that is changed or taken away ends what it had fired; one that stays as it is keeps its
 *   state. What a new rule finds of the time before it is marked as past.
 *
 * Without rules it costs one comparison a record.
 */
import type { WindowState } from "./accumulator.ts";
import { type AlertRule, concerns, definitionOf, parseRule, rulesText } from "./alert_rules.ts";
import { assert } from "./assert.ts";
import type { WindowSpec } from "./config.ts";
import { DueQueue } from "./due_queue.ts";
import type { AlertChanges, StoredAlerts } from "./ports/store.ts";
import type { AlertRow, AlertRuleRow, AlertStateRow } from "./rows.ts";
import { measure, type Measured, type Previous } from "./alert_measure.ts";

/** A device, as far as rules look at it. */
export interface AlertDevice {
  readonly device: string;
  readonly lastAppendMs: number;
  readonly retired: boolean;
}

/** A rule in force. */
export interface AlertRuleInForce {
  readonly rule: AlertRule;
  readonly definition: string;
  /** Append time of the record that brought it. */
  readonly sinceMs: number;
  /** Its place among the rules, from 0. */
  readonly position: number;
}

/** What is remembered of one device. */
interface Watched {
  readonly source: AlertDevice;
  /** Rules about it, of windows and of silence. */
  ofWindows: readonly AlertRuleInForce[];
  ofSilence: readonly AlertRuleInForce[];
  /** By label of size: start of the newest window judged. */
  readonly judgedTo: Map<string, number>;
  /** By name of rule: since when it fires. */
  readonly firing: Map<string, number>;
  /** By name of rule: the newest window with a value, for the rate. */
  readonly previous: Map<string, Previous>;
  dirty: boolean;
}

/** An alert whose place in its record isn't settled yet. */
type Found = Omit<AlertRow, "partition" | "offset" | "index" | "appendMs"> & { readonly position: number };

interface StateText {
  readonly to: Readonly<Record<string, number>>;
  readonly firing: Readonly<Record<string, number>>;
  readonly last: Readonly<Record<string, readonly [startMs: number, sum: number, count: number]>>;
}

export class AlertFold {
  /** Whether {@link begin}, {@link closing}, {@link judge}, {@link heard} and {@link end} have to be called. */
  isActive = false;
  #rules: readonly AlertRuleInForce[] = [];
  readonly #watched = new Map<string, Watched>();
  #due = new DueQueue<Watched>();
  /** Window specs that a rule looks at. */
  #specs: ReadonlySet<number> = new Set();
  #shortestSilenceMs = Infinity;
  #appendMs = 0;
  #offset = 0;
  #closing: WindowState[] = [];
  #found: Found[] = [];
  // What the next transaction appends.
  #alerts: AlertRow[] = [];
  /** How many of them were there when they were put in order last. */
  #ordered = 0;
  #ruleRows: AlertRuleRow[] = [];
  #dirty: Watched[] = [];

  constructor(readonly windows: readonly WindowSpec[], readonly partition: number) {}

  /** Rebuilds the state that a store holds, of devices as they are stored. */
  static restore(
    windows: readonly WindowSpec[],
    partition: number,
    stored: StoredAlerts,
    devices: Iterable<AlertDevice>,
  ): AlertFold {
    const fold = new AlertFold(windows, partition);
    const rows = stored.rules.filter(({ definition }) => definition !== null);
    fold.#rules = rows.toSorted((a, b) => a.position - b.position).map((row) => {
      const rule = parseRule(JSON.parse(row.definition!));
      assert(typeof rule !== "string", "a stored rule is one that was accepted");
      return { rule, definition: row.definition!, sinceMs: row.sinceMs, position: row.position };
    });
    fold.#noteRules();
    if (!fold.isActive) return fold;
    const states = new Map(stored.states.map(({ device, state }) => [device, state]));
    for (const device of devices) fold.#watch(device, states.get(device.device));
    return fold;
  }

  get rules(): readonly AlertRuleInForce[] {
    return this.#rules;
  }
  /** The rules in force as the text of a record. */
  get text(): string {
    return rulesText(this.#rules.map(({ definition }) => definition));
  }

  /** What fires now. */
  *firing(): Generator<{ readonly rule: string; readonly device: string; readonly sinceMs: number }> {
    for (const { source, firing } of this.#watched.values()) {
      for (const [rule, sinceMs] of firing) yield { rule, device: source.device, sinceMs };
    }
  }

  // --- a record ----------------------------------------------------------------------------------------------------

  /** Before a record is folded: devices that are silent at its append time by now. */
  begin(appendMs: number, offset: number): void {
    this.#appendMs = appendMs;
    this.#offset = offset;
    this.#passTime();
  }

  /** A window has just closed for the first time; {@link judge} follows, before anything changes it. */
  closing(window: WindowState): void {
    if (this.#specs.has(window.spec)) this.#closing.push(window);
  }

  /** Judges the device's windows that are {@link closing}. */
  judge(device: AlertDevice): void {
    if (this.#closing.length === 0) return;
    const watched = this.#of(device);
    const closing = this.#closing.sort((a, b) => a.startMs - b.startMs || a.spec - b.spec);
    this.#closing = [];
    for (const window of closing) this.#judge(watched, window, this.windows[window.spec]!.label);
  }

  /** The device is known from now on, by a batch or by what was said of it: from here its silence counts. */
  met(device: AlertDevice): void {
    this.#watch(device, undefined);
  }

  /** The device has sent a batch. */
  heard(device: AlertDevice): void {
    const watched = this.#of(device);
    if (watched.ofSilence.length === 0) return;
    for (const { rule } of watched.ofSilence) {
      if (watched.firing.has(rule.name)) this.#endSilence(watched, rule, "heard again");
    }
    this.#schedule(watched);
  }

  /** The device is no longer expected to send. */
  retired(device: AlertDevice): void {
    const watched = this.#of(device);
    for (const { rule } of watched.ofSilence) {
      if (watched.firing.has(rule.name)) this.#endSilence(watched, rule, "it was retired");
    }
  }

  /** Rules are in force from this record on; `devices` are all of the partition. */
  setRules(
    rules: readonly AlertRule[],
    devices: Iterable<AlertDevice>,
    appendMs: number,
    offset: number,
  ): void {
    this.#appendMs = appendMs;
    this.#offset = offset;
    const before = new Map(this.#rules.map((rule) => [rule.rule.name, rule]));
    const after = rules.map((rule, position): AlertRuleInForce => {
      const definition = definitionOf(rule);
      const known = before.get(rule.name);
      const sinceMs = known?.definition === definition ? known.sinceMs : appendMs;
      return { rule, definition, sinceMs, position };
    });
    const kept = new Map(after.map((rule) => [rule.rule.name, rule]));
    for (const { rule: { name }, definition, position } of before.values()) {
      const now = kept.get(name);
      if (now?.definition === definition) continue;
      this.#forget(name, position, now === undefined ? "the rule was taken away" : "the rule was changed");
      if (now === undefined) this.#noteRule(name, position, null, appendMs);
    }
    for (const { rule: { name }, definition, position, sinceMs } of after) {
      const known = before.get(name);
      if (known?.definition === definition && known.position === position) continue;
      this.#noteRule(name, position, definition, sinceMs);
    }
    this.#rules = after;
    this.#noteRules();
    this.#due = new DueQueue();
    for (const device of devices) this.#watch(device, undefined);
    this.#passTime();
    this.isActive = true; // until the record ends
  }

  /** After a record is folded: what was found gets its place. */
  end(): void {
    this.isActive = this.#rules.length > 0;
    if (!this.isActive) this.#watched.clear();
    if (this.#found.length === 0) return;
    const found = this.#found.sort((a, b) =>
      a.atMs - b.atMs || (a.device < b.device ? -1 : a.device > b.device ? 1 : a.position - b.position)
    );
    const { partition } = this;
    const [offset, appendMs] = [this.#offset, this.#appendMs];
    for (const [index, { position: _, ...alert }] of found.entries()) {
      this.#alerts.push({ ...alert, partition, offset, index, appendMs });
    }
    this.#found = [];
  }

  /** After records that were folded in another order than the log's: their alerts are in the log's. */
  endRun(): void {
    if (this.#alerts.length === this.#ordered) return;
    this.#alerts.sort((a, b) => a.offset - b.offset || a.index - b.index);
    this.#ordered = this.#alerts.length;
  }

  /** The shortest silence that any rule is about, in ms; Infinity if none is. */
  get shortestSilenceMs(): number {
    return this.#shortestSilenceMs;
  }

  /** When silence will next fire, in append time; Infinity if nothing waits for it. */
  nextDueMs(): number {
    for (let top = this.#due.peek(); top !== undefined; top = this.#due.peek()) {
      const dueMs = silenceDueMs(top.item);
      if (dueMs <= top.dueMs) return dueMs;
      this.#schedule(this.#due.pop()!);
    }
    return Infinity;
  }

  // --- out ---------------------------------------------------------------------------------------------------------

  /** Everything that changed since the last call, for one transaction. */
  takeChanges(): AlertChanges {
    if (this.#alerts.length + this.#ruleRows.length + this.#dirty.length === 0) return noAlertChanges;
    const changes = { alerts: this.#alerts, rules: this.#ruleRows, states: this.#dirty.map(stateRow) };
    for (const watched of this.#dirty) watched.dirty = false;
    [this.#alerts, this.#ruleRows, this.#dirty] = [[], [], []];
    this.#ordered = 0;
    return changes;
  }

  /** All state as comparable text, for tests that rebuild it. */
  describe(): string[] {
    const lines = this.#rules.map(({ definition, sinceMs, position }) =>
      `rule ${position} since ${sinceMs} ${definition}`
    );
    for (const watched of this.#watched.values()) {
      const { device, state } = stateRow(watched);
      if (state !== NOTHING) lines.push(`alerts ${JSON.stringify(device)} ${state}`);
    }
    return lines;
  }

  // --- devices -----------------------------------------------------------------------------------------------------

  #of(device: AlertDevice): Watched {
    return this.#watched.get(device.device) ?? this.#watch(device, undefined);
  }

  /** Finds the rules about a device, with what was stored of it, and sees to it that its silence is noticed. */
  #watch(source: AlertDevice, stored: string | undefined): Watched {
    let watched = this.#watched.get(source.device);
    if (watched === undefined) {
      const state = JSON.parse(stored ?? NOTHING) as StateText;
      watched = {
        source,
        ofWindows: [],
        ofSilence: [],
        judgedTo: new Map(Object.entries(state.to)),
        firing: new Map(Object.entries(state.firing)),
        previous: new Map(
          Object.entries(state.last).map(([rule, [startMs, sum, count]]) => [rule, { startMs, sum, count }]),
        ),
        dirty: false,
      };
      this.#watched.set(source.device, watched);
    }
    const about = this.#rules.filter(({ rule }) => concerns(rule, source.device));
    watched.ofWindows = about.filter(({ rule }) => rule.when.kind !== "silence");
    watched.ofSilence = about.filter(({ rule }) => rule.when.kind === "silence");
    for (const label of watched.judgedTo.keys()) {
      if (watched.ofWindows.some(({ rule }) => rule.windowSize === label)) continue;
      watched.judgedTo.delete(label);
      this.#touch(watched);
    }
    this.#schedule(watched);
    return watched;
  }

  #touch(watched: Watched): void {
    if (watched.dirty) return;
    watched.dirty = true;
    this.#dirty.push(watched);
  }

  // --- rules -------------------------------------------------------------------------------------------------------

  #noteRules(): void {
    const sizes = new Set(
      this.#rules.flatMap(({ rule: { when, windowSize } }) => when.kind === "silence" ? [] : [windowSize]),
    );
    this.#specs = new Set(this.windows.flatMap(({ label }, spec) => sizes.has(label) ? [spec] : []));
    this.#shortestSilenceMs = Math.min(
      ...this.#rules.map(({ rule: { when } }) => when.kind === "silence" ? when.forMs : Infinity),
    );
    this.isActive = this.#rules.length > 0;
  }

  #noteRule(name: string, position: number, definition: string | null, sinceMs: number): void {
    this.#ruleRows.push({ partition: this.partition, name, position, definition, sinceMs });
  }

  /** Ends what a rule has fired, and forgets what it has seen. */
  #forget(name: string, position: number, sentence: string): void {
    for (const watched of this.#watched.values()) {
      if (watched.previous.delete(name)) this.#touch(watched);
      if (!watched.firing.delete(name)) continue;
      this.#touch(watched);
      const { device } = watched.source;
      const at = { atMs: this.#appendMs, windowSize: null, startMs: null, previousStartMs: null };
      const isPast = false;
      this.#found.push({
        ...{ kind: "cleared", rule: name, device, ...at, valueMilli: null, sentence, isPast, position },
      });
    }
  }

  // --- windows -----------------------------------------------------------------------------------------------------

  #judge(watched: Watched, window: WindowState, label: string): void {
    const judgedTo = watched.judgedTo.get(label);
    if (judgedTo !== undefined && window.startMs <= judgedTo) return;
    let isLooked = false;
    for (const one of watched.ofWindows) {
      if (one.rule.windowSize !== label) continue;
      isLooked = true;
      const { name } = one.rule;
      const measured = measure(one.rule.when, window, watched.previous.get(name) ?? null);
      if (measured === null) continue;
      if (measured.previous !== null) watched.previous.set(name, measured.previous);
      if (measured.verdict === "between" || (measured.verdict === "bad") === watched.firing.has(name)) {
        continue;
      }
      this.#decide(watched, one, window, label, measured);
    }
    if (!isLooked) return;
    watched.judgedTo.set(label, window.startMs);
    this.#touch(watched);
  }

  #decide(
    watched: Watched,
    { rule, sinceMs, position }: AlertRuleInForce,
    window: WindowState,
    windowSize: string,
    { verdict, valueMilli, sentence, previousStartMs }: Measured,
  ): void {
    const kind = verdict === "bad" ? "fired" : "cleared";
    if (kind === "fired") watched.firing.set(rule.name, window.endMs);
    else watched.firing.delete(rule.name);
    const { device } = watched.source;
    const row = { windowSize, startMs: window.startMs, previousStartMs };
    const [atMs, isPast] = [window.endMs, window.endMs < sinceMs];
    this.#found.push({
      ...{ kind, rule: rule.name, device, atMs, ...row, valueMilli, sentence, isPast, position },
    });
  }

  // --- silence -----------------------------------------------------------------------------------------------------

  #schedule(watched: Watched): void {
    const dueMs = silenceDueMs(watched);
    if (dueMs !== Infinity) this.#due.bring(dueMs, watched);
  }

  #passTime(): void {
    for (
      let top = this.#due.peek();
      top !== undefined && top.dueMs <= this.#appendMs;
      top = this.#due.peek()
    ) {
      const watched = this.#due.pop()!;
      const { source, ofSilence, firing } = watched;
      for (const one of ofSilence) {
        const atMs = source.lastAppendMs + forMsOf(one);
        if (source.retired || firing.has(one.rule.name) || atMs > this.#appendMs) continue;
        firing.set(one.rule.name, atMs);
        this.#touch(watched);
        const sentence = `nothing heard for ${forMsOf(one) / 1_000} s`;
        this.#foundSilence(watched, one, "fired", atMs, sentence, atMs < one.sinceMs);
      }
      this.#schedule(watched);
    }
  }

  #endSilence(watched: Watched, rule: AlertRule, sentence: string): void {
    watched.firing.delete(rule.name);
    this.#touch(watched);
    const one = watched.ofSilence.find((each) => each.rule === rule)!;
    this.#foundSilence(watched, one, "cleared", this.#appendMs, sentence, false);
  }

  #foundSilence(
    { source: { device } }: Watched,
    one: AlertRuleInForce,
    kind: "fired" | "cleared",
    atMs: number,
    sentence: string,
    isPast: boolean,
  ): void {
    const { rule: { name: rule }, position } = one;
    const row = { windowSize: null, startMs: null, previousStartMs: null };
    this.#found.push({
      ...{ kind, rule, device, atMs, ...row, valueMilli: forMsOf(one), sentence, isPast, position },
    });
  }
}

export const noAlertChanges: AlertChanges = { alerts: [], rules: [], states: [] };

/** The state of a device of which nothing is remembered. */
const NOTHING = '{"to":{},"firing":{},"last":{}}';

function stateRow({ source: { device }, judgedTo, firing, previous }: Watched): AlertStateRow {
  const sorted = <T>(map: ReadonlyMap<string, T>) =>
    Object.fromEntries([...map].sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0));
  const last = new Map(
    [...previous].map(([rule, { startMs, sum, count }]) => [rule, [startMs, sum, count] as const]),
  );
  const state: StateText = { to: sorted(judgedTo), firing: sorted(firing), last: sorted(last) };
  return { device, state: JSON.stringify(state) };
}

function forMsOf({ rule: { when } }: AlertRuleInForce): number {
  assert(when.kind === "silence", "a rule of silence");
  return when.forMs;
}

/** When the next rule of silence will fire for a device; Infinity if none will. */
function silenceDueMs({ source, ofSilence, firing }: Watched): number {
  if (source.retired) return Infinity;
  let dueMs = Infinity;
  for (const one of ofSilence) {
    if (!firing.has(one.rule.name)) dueMs = Math.min(dueMs, source.lastAppendMs + forMsOf(one));
  }
  return dueMs;
}
