import assert from "node:assert/strict";
import { SeldomMap } from "./seldom_map.ts";

Deno.test("it holds what a map holds, and may be emptied while it is iterated", () => {
  const [seldom, map] = [new SeldomMap<number, string>(), new Map<number, string>()];
  const same = () => {
    assert.deepEqual([...seldom], [...map]);
    assert.deepEqual([...seldom.values()], [...map.values()]);
    assert.equal(seldom.size, map.size);
    for (const key of [1, 2, 3]) {
      assert.deepEqual([seldom.has(key), seldom.get(key)], [map.has(key), map.get(key)]);
    }
  };
  same();
  for (const each of [seldom, map]) each.delete(1);
  same();
  for (const [key, value] of [[2, "b"], [1, "a"], [2, "c"], [3, "d"]] as const) {
    for (const each of [seldom, map]) each.set(key, value);
    same();
  }
  const seen: number[] = [];
  for (const [key] of seldom) {
    seen.push(key);
    seldom.delete(key);
  }
  assert.deepEqual(seen, [2, 1, 3]);
  map.clear();
  same();
  for (const each of [seldom, map]) each.set(1, "again");
  same();
  for (const each of [seldom, map]) {
    each.set(2, "stays");
    each.delete(1);
  }
  same();
});
