/**
 * Lets Python suspend inside a call to JavaScript (JSPI), although every Python `try` is a C `setjmp`.
 *
 * The problem: this build calls a function under `setjmp` through an imported JavaScript function `invoke_<signature>`,
 * which catches what `longjmp` throws. JSPI refuses to suspend a stack with JavaScript frames on it.
 * The choice: two small WebAssembly modules do the same with wasm exception handling, so that only wasm frames lie
 * between the entry point and the suspending import. They are written here byte by byte, from the signatures that the
 * interpreter imports; nothing binary is checked in and no tool is needed.
 * Two modules, because of a cycle: the interpreter needs `invoke_*` before it exists, the catching code needs the
 * interpreter's table and stack pointer. *front* exports `invoke_*` and jumps through its own table; *back* is made
 * afterwards and fills that table.
 * Rejected: Asyncify (a rebuilt interpreter, slower), one worker a board with `Atomics.wait` (11.8 MB each, no order).
 */

/** The two modules; `front` is instantiated first, without imports. */
export interface Trampolines {
  readonly front: WebAssembly.Module;
  readonly back: WebAssembly.Module;
}

// WebAssembly binary format, core specification 3.0, chapter 5 (numbers of types, sections and instructions).
const TYPE = { i32: 0x7f, funcref: 0x70, exnref: 0x69, empty: 0x40, function: 0x60 } as const;
const SECTION = {
  types: 1,
  imports: 2,
  functions: 3,
  tables: 4,
  exports: 7,
  elements: 9,
  code: 10,
  tags: 13,
} as const;
const KIND = { function: 0, table: 1, tag: 4 } as const;
const OP = {
  block: 0x02,
  throw: 0x08,
  throwRef: 0x0a,
  end: 0x0b,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  tryTable: 0x1f,
  localGet: 0x20,
  localSet: 0x21,
  i32Const: 0x41,
} as const;
const CATCH = { tag: 0x00, allRef: 0x03 } as const;

type Bytes = readonly number[];

function unsigned(value: number): Bytes {
  const low = value & 0x7f;
  return value < 0x80 ? [low] : [low | 0x80, ...unsigned(value >>> 7)];
}
const vector = (items: readonly Bytes[]): Bytes => [...unsigned(items.length), ...items.flat()];
const name = (text: string): Bytes => vector([...new TextEncoder().encode(text)].map((byte) => [byte]));
const section = (id: number, items: readonly Bytes[]): Bytes => {
  const content = vector(items);
  return [id, ...unsigned(content.length), ...content];
};
const functionBody = (locals: readonly Bytes[], code: Bytes): Bytes => {
  const content = [...vector(locals), ...code, OP.end];
  return [...unsigned(content.length), ...content];
};
const localGet = (index: number): Bytes => [OP.localGet, ...unsigned(index)];

/** `iii`: returns i32, takes two. The first argument of `invoke_iii` itself is the table index of the callee. */
interface Signature {
  readonly text: string;
  readonly returns: boolean;
  readonly argumentCount: number;
}

/** The signatures of `invoke_*` that `interpreter` imports. Anything but i32 is refused: it needs new code here. */
export function signaturesOf(interpreter: WebAssembly.Module): Signature[] {
  const texts = WebAssembly.Module.imports(interpreter)
    .filter((entry) => entry.name.startsWith("invoke_"))
    .map((entry) => entry.name.slice("invoke_".length))
    .sort();
  return texts.map((text) => {
    if (!/^[iv]i*$/.test(text)) {
      throw new Error(`invoke_${text}: only 32-bit integers are handled; extend trampolines.ts`);
    }
    return { text, returns: text.startsWith("i"), argumentCount: text.length - 1 };
  });
}

/** Function types, each written once. */
class TypeTable {
  readonly entries: Bytes[] = [];
  readonly #indexOf = new Map<string, number>();

  index(argumentCount: number, returns: boolean): number {
    const key = `${argumentCount}${returns}`;
    const known = this.#indexOf.get(key);
    if (known !== undefined) return known;
    const parameters = vector(Array.from({ length: argumentCount }, () => [TYPE.i32]));
    this.entries.push([TYPE.function, ...parameters, ...vector(returns ? [[TYPE.i32]] : [])]);
    this.#indexOf.set(key, this.entries.length - 1);
    return this.entries.length - 1;
  }
}

const HEADER: Bytes = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const assemble = (types: TypeTable, sections: readonly Bytes[]): WebAssembly.Module =>
  new WebAssembly.Module(
    new Uint8Array([...HEADER, ...section(SECTION.types, types.entries), ...sections.flat()]),
  );

/** Writes both modules for `interpreter`. */
export function compileTrampolines(interpreter: WebAssembly.Module): Trampolines {
  const signatures = signaturesOf(interpreter);
  return { front: compileFront(signatures), back: compileBack(signatures) };
}

/** Exports the tag `longjmp`, the `table`, `_emscripten_throw_longjmp` and each `invoke_*`. */
function compileFront(signatures: readonly Signature[]): WebAssembly.Module {
  const types = new TypeTable();
  const nothing = types.index(0, false);
  const outer = signatures.map((s) => types.index(s.argumentCount + 1, s.returns));
  const jump = (s: Signature, slot: number): Bytes => [
    ...Array.from({ length: s.argumentCount + 1 }, (_, index) => localGet(index)).flat(),
    ...[OP.i32Const, ...unsigned(slot)],
    ...[OP.callIndirect, ...unsigned(outer[slot] as number), 0],
  ];
  return assemble(types, [
    section(SECTION.functions, [[nothing], ...outer.map((type) => [type])]),
    section(SECTION.tables, [[TYPE.funcref, 0, ...unsigned(signatures.length)]]),
    section(SECTION.tags, [[0, nothing]]),
    section(SECTION.exports, [
      [...name("longjmp"), KIND.tag, 0],
      [...name("table"), KIND.table, 0],
      [...name("_emscripten_throw_longjmp"), KIND.function, 0],
      ...signatures.map((s, slot) => [...name(`invoke_${s.text}`), KIND.function, ...unsigned(slot + 1)]),
    ]),
    section(SECTION.code, [
      functionBody([], [OP.throw, 0]),
      ...signatures.map((s, slot) => functionBody([], jump(s, slot))),
    ]),
  ]);
}

/** Fills the front's table with functions that call through the interpreter's table and catch. */
function compileBack(signatures: readonly Signature[]): WebAssembly.Module {
  const types = new TypeTable();
  const nothing = types.index(0, false);
  const [getsOne, takesOne, takesTwo] = [types.index(0, true), types.index(1, false), types.index(2, false)];
  const outer = signatures.map((s) => types.index(s.argumentCount + 1, s.returns));
  const inner = signatures.map((s) => types.index(s.argumentCount, s.returns));
  const importedCount = 3;
  const size = unsigned(signatures.length);
  return assemble(types, [
    section(SECTION.imports, [
      [...name("front"), ...name("longjmp"), KIND.tag, 0, nothing],
      [...name("front"), ...name("table"), KIND.table, TYPE.funcref, 0, ...size],
      [...name("interpreter"), ...name("__indirect_function_table"), KIND.table, TYPE.funcref, 0, 0],
      [...name("interpreter"), ...name("emscripten_stack_get_current"), KIND.function, getsOne],
      [...name("interpreter"), ...name("_emscripten_stack_restore"), KIND.function, takesOne],
      [...name("interpreter"), ...name("setThrew"), KIND.function, takesTwo],
    ]),
    section(SECTION.functions, outer.map((type) => [type])),
    section(SECTION.elements, [
      [0, OP.i32Const, 0, OP.end, ...vector(signatures.map((_, slot) => unsigned(slot + importedCount)))],
    ]),
    section(
      SECTION.code,
      signatures.map((s, slot) => functionBody([[1, TYPE.i32]], guarded(s, inner[slot] as number))),
    ),
  ]);
}

/**
 * One guarded call: on `longjmp`, restore the stack pointer, `setThrew(1, 0)`, return 0, as the JavaScript version does;
 * anything else (the power cut) restores the stack pointer and goes on.
 */
function guarded(s: Signature, calleeType: number): Bytes {
  const [getStack, restoreStack, setThrew] = [0, 1, 2];
  const stack = s.argumentCount + 1;
  const result = s.returns ? TYPE.i32 : TYPE.empty;
  const restore = [...localGet(stack), OP.call, restoreStack];
  return [
    ...[OP.call, getStack, OP.localSet, ...unsigned(stack)],
    ...[OP.block, TYPE.empty, OP.block, TYPE.exnref],
    ...[OP.tryTable, result, 2, CATCH.tag, 0, 1, CATCH.allRef, 0],
    ...Array.from({ length: s.argumentCount }, (_, index) => localGet(index + 1)).flat(),
    ...localGet(0),
    ...[OP.callIndirect, ...unsigned(calleeType), 1],
    ...[OP.end, OP.return, OP.end],
    ...restore,
    ...[OP.throwRef, OP.end],
    ...restore,
    ...[OP.i32Const, 1, OP.i32Const, 0, OP.call, setThrew],
    ...(s.returns ? [OP.i32Const, 0] : []),
  ];
}
