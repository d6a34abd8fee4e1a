/**
 * A MicroPython project as one `main.py`, for tools that send nothing else: wokwi-cli, its GitHub action and the editor's
 * extension upload what `wokwi.toml` names as firmware, and no module beside it. The one file puts the others into the
 * board's file system, then runs the program.
 */
import type { WokwiProject } from "./project.ts";

/** Name of the project's own `main.py` on the board: `main` is taken by the bundle. */
const programName = "isotherm_main.py";

export const bundledToml = `# Made by \`deno task wokwi bundle\`.
[wokwi]
version = 1
firmware = 'main.py'
elf = 'main.py'
`;

/** The bundle's `main.py`. Throws on files that are no UTF-8 text of the basic plane. */
export function bundleText({ files }: WokwiProject): string {
  const entries = [...files].map(([name, content]) => {
    const path = name === "main.py" ? programName : name;
    return `_put(${pythonText(path)}, ${pythonText(textOf(name, content))})`;
  });
  return `"""The firmware in one file: made by \`deno task wokwi bundle\`, to be changed in its modules."""


def _put(path, text):
    """Writes a file, unless it is there already: flash wears out."""
    try:
        with open(path) as file:
            if file.read() == text:
                return
    except OSError:
        pass
    with open(path, "w") as file:
        file.write(text)


${entries.join("\n")}
del _put
__import__(${pythonText(programName.slice(0, -".py".length))})
`;
}

function textOf(name: string, content: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    throw new Error(`${name} is no UTF-8 text`);
  }
}

/** A Python literal in ASCII. JSON's escapes are Python's, but for pairs of surrogates. */
function pythonText(text: string): string {
  if (/[\ud800-\udfff]/.test(text)) throw new Error("characters beyond the basic plane can't be bundled");
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
