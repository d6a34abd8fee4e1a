/** Thrown by {@link assert}: a mistake of ours, never of the input's. Nothing catches it. */
export class AssertionFailed extends Error {
  override name = "AssertionFailed";
}

/** Stops the process's work when `condition`, which our own code guarantees, does not hold. */
export function assert(condition: boolean, guarantee: string): asserts condition {
  if (!condition) throw new AssertionFailed(`broken guarantee: ${guarantee}`);
}

/** The end of an exhaustive `switch`; reached only if a case was forgotten. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable: ${JSON.stringify(value)}`);
}
