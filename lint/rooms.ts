/**
 * Which room of the house a file belongs to. Rules speak of rooms, not of paths; the root is this folder's parent, so
 * it does not matter where the repository lies or from where the linter was started.
 */
const root = decodeURIComponent(new URL("../", import.meta.url).pathname);

/** A file of the project: `path` is relative to the root with `/`, `room` its first folder ("" for a file at the root). */
export interface Place {
  readonly path: string;
  readonly room: string;
  /** `*_test.ts`, or a helper of tests in a folder `testing`. */
  readonly isTest: boolean;
  /** A test that needs real services (`*_live_test.ts`), run by `deno task test:live` only. */
  readonly isLiveTest: boolean;
  /** The one file of a room that joins it with `platform/`. */
  readonly isMain: boolean;
}

/** The place of a file that is named by an absolute path, or by one relative to the root. Null outside the project. */
export function placeOf(filename: string): Place | null {
  const slashed = filename.replaceAll("\\", "/");
  const isAbsolute = slashed.startsWith("/") || /^[A-Za-z]:\//.test(slashed);
  if (isAbsolute && !slashed.startsWith(root)) return null;
  const path = isAbsolute ? slashed.slice(root.length) : slashed;
  return {
    path,
    room: path.includes("/") ? path.slice(0, path.indexOf("/")) : "",
    isTest: /_test\.ts$/.test(path) || path.split("/").includes("testing"),
    isLiveTest: /_live_test\.ts$/.test(path),
    isMain: /(^|\/)main\.ts$/.test(path),
  };
}

/** The place that a relative import points to. */
export function placeOfImport(from: Place, specifier: string): Place | null {
  const resolved = new URL(specifier, new URL(from.path, "file:///")).pathname;
  return placeOf(decodeURIComponent(resolved).slice(1));
}
