/** Makes a failing list of things smaller while it still fails: halves first, then quarters, … then one by one. */

/** The smallest list found by dropping runs of `items` for which `fails` holds; `items` itself must fail. */
export function shrink<T>(items: readonly T[], fails: (items: readonly T[]) => boolean): readonly T[] {
  const search = shrinking(items);
  let step = search.next();
  while (!step.done) step = search.next(fails(step.value));
  return step.value;
}

/** The same where the question takes its time. */
export async function shrinkAsync<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  const search = shrinking(items);
  let step = search.next();
  while (!step.done) step = search.next(await fails(step.value));
  return step.value;
}

function* shrinking<T>(items: readonly T[]): Generator<readonly T[], readonly T[], boolean> {
  let kept = items;
  let run = Math.max(1, kept.length >> 1);
  for (;;) {
    let dropped = false;
    for (let at = 0; at < kept.length;) {
      const candidate = [...kept.slice(0, at), ...kept.slice(at + run)];
      if (yield candidate) {
        kept = candidate;
        dropped = true;
      } else at += run;
    }
    if (run === 1 && !dropped) return kept;
    if (run > 1) run >>= 1;
  }
}
