/**
 * JavaScript Promise Integration (WebAssembly JSPI, phase 5), which TypeScript's library doesn't declare yet.
 */
// deno-lint-ignore no-explicit-any -- functions of many signatures
type AnyFunction = (...args: any[]) => any;

interface Jspi {
  /** An import that suspends its WebAssembly caller while the returned promise is pending. */
  readonly Suspending: new (call: AnyFunction) => AnyFunction;
  /** An export as a function that returns a promise, below which imports may suspend. */
  readonly promising: (call: AnyFunction) => AnyFunction;
}

export const { Suspending, promising } = WebAssembly as unknown as Jspi;
