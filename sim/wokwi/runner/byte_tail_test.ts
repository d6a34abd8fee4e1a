import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteTail } from "./byte_tail.ts";

Deno.test("the last bytes are kept, in order, and the dropped ones counted", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 9 })),
      fc.integer({ min: 1, max: 20 }),
      (parts, bytesMax) => {
        const tail = new ByteTail(bytesMax);
        for (const part of parts) tail.push(part);
        const all = parts.flatMap((part) => [...part]);
        assert.deepEqual([...tail.bytes()], all.slice(Math.max(0, all.length - bytesMax)));
        assert.equal(tail.dropped, Math.max(0, all.length - bytesMax));
      },
    ),
  );
});
