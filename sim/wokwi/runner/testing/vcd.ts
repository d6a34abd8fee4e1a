/** Reads a VCD file as a viewer does: IEEE 1364-2005, section 18, as far as scalar wires need it. */

export interface VcdChange {
  readonly nanos: number;
  readonly level: 0 | 1;
}

/** Changes by the wire's name; the first is the level at the beginning. Throws on anything that a viewer would refuse. */
export function readVcd(text: string): Map<string, VcdChange[]> {
  const end = text.indexOf("$enddefinitions");
  if (end < 0) throw new Error("no $enddefinitions");
  const head = text.slice(0, end);
  if (!/\$timescale\s+1\s*ns\s+\$end/.test(head)) throw new Error("the time scale is not 1 ns");
  const names = new Map<string, string>();
  for (const [, code = "", name = ""] of head.matchAll(/\$var\s+wire\s+1\s+(\S+)\s+(\S+)\s+\$end/g)) {
    names.set(code, name);
  }
  const changes = new Map<string, VcdChange[]>([...names.values()].map((name) => [name, []]));
  let nanos = -1;
  for (const token of text.slice(end).replace(/\$enddefinitions\s+\$end/, "").split(/\s+/)) {
    if (token === "" || token === "$dumpvars" || token === "$end") continue;
    if (token.startsWith("#")) {
      const next = Number(token.slice(1));
      if (!(next >= nanos)) throw new Error(`time goes back at ${token}`);
      nanos = next;
      continue;
    }
    const match = /^([01])(\S+)$/.exec(token);
    const wire = match === null ? undefined : changes.get(names.get(match[2] ?? "") ?? "");
    if (wire === undefined || nanos < 0) throw new Error(`${token} can't be read`);
    wire.push({ nanos, level: match?.[1] === "1" ? 1 : 0 });
  }
  return changes;
}

/** What a wire carries at a time: what changes then counts already. */
export function levelAt(changes: readonly VcdChange[], nanos: number): 0 | 1 {
  return changes.findLast((change) => change.nanos <= nanos)?.level ?? 0;
}
