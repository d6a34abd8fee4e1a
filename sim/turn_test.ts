import assert from "node:assert/strict";
import { Gate, Turns } from "./turn.ts";

/** A call that takes no real time, or some. */
type Call = () => Promise<void>;

/** In which order the calls of two flows are made: one that thinks for long between its calls, and one that doesn't. */
async function orderOf(first: Call, second: Call): Promise<string> {
  const gate = new Gate();
  const made: string[] = [];
  const flow = async (name: string, call: Call, microtasks: number) => {
    for (let i = 1; i <= 3; i++) {
      await gate.run(name, () => {
        made.push(`${name}${i}`);
        return call();
      });
      for (let j = 0; j < microtasks; j++) await undefined;
    }
  };
  await Promise.all([flow("a", first, 40), flow("b", second, 1)]);
  await gate.settle();
  gate.close();
  return made.join(" ");
}

Deno.test("calls take turns as their flows come to them, whether they take real time or none", async () => {
  const turns = new Turns();
  const atOnce = () => Promise.resolve();
  const later = () => turns.next();
  for (const first of [atOnce, later]) {
    for (const second of [atOnce, later]) assert.equal(await orderOf(first, second), "a1 b1 a2 b2 a3 b3");
  }
  turns.close();
});
