/** `diagram.json`: which parts lie on the desk, and what is wired to what. */

export interface DiagramPart {
  readonly type: string;
  readonly id: string;
  /** Texts, as the editor writes them. */
  readonly attrs: Readonly<Record<string, unknown>>;
  /** The part as the file has it, for the rules. */
  readonly given: Readonly<Record<string, unknown>>;
}

export interface Diagram {
  readonly parts: readonly DiagramPart[];
  /** Pairs of `part:pin`. */
  readonly connections: readonly (readonly [string, string])[];
}

/** Parts and connections of a diagram; what is larger isn't drawn by hand. */
export const diagramItemsMax = 10_000;

/** A diagram, or a sentence that says why this is none. */
export function readDiagram(text: string): Diagram | string {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    return `is not JSON: ${(error as Error).message}`;
  }
  if (!isObject(given)) return "must hold one object";
  const { parts, connections } = given;
  if (!Array.isArray(parts)) return "lacks parts, a list";
  if (!Array.isArray(connections)) return "lacks connections, a list";
  if (parts.length + connections.length > diagramItemsMax) return `has more than ${diagramItemsMax} entries`;
  const read: DiagramPart[] = [];
  for (const [index, part] of parts.entries()) {
    if (!isObject(part) || typeof part.type !== "string" || typeof part.id !== "string") {
      return `part ${index} needs a type and an id, both texts`;
    }
    const { type, id, attrs = {} } = part;
    if (!isObject(attrs)) return `attrs of part ${id} must be an object`;
    read.push({ type, id, attrs, given: part });
  }
  const wires: [string, string][] = [];
  for (const [index, connection] of connections.entries()) {
    const [from, to] = Array.isArray(connection) ? connection : [];
    if (typeof from !== "string" || typeof to !== "string") {
      return `connection ${index} needs two ends, both texts`;
    }
    wires.push([from, to]);
  }
  return { parts: read, connections: wires };
}

/** `part:pin` in its two halves; the pin is empty if there is no colon. */
export function endOf(text: string): { readonly part: string; readonly pin: string } {
  const colon = text.indexOf(":");
  return colon < 0 ? { part: text, pin: "" } : { part: text.slice(0, colon), pin: text.slice(colon + 1) };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
