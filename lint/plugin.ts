/** The project's own lint rules, loaded by `deno lint` through `lint.plugins` in `deno.json`. */
import { importDirections } from "./import_directions.ts";
import { noAmbientWorld } from "./no_ambient_world.ts";

const plugin: Deno.lint.Plugin = {
  name: "isotherm",
  rules: { "no-ambient-world": noAmbientWorld, "import-directions": importDirections },
};

export default plugin;
