/** Single modules of the firmware in an interpreter of their own, for tests that need no board. */
import { type Firmware, loadFirmware } from "../../sim/board/firmware.ts";
import { createRealm, type Realm } from "../../sim/board/realm.ts";
import { seededRandom } from "../../sim/random.ts";

export class PythonDesk {
  readonly #realm: Realm;
  readonly #printed: Uint8Array[];

  private constructor(realm: Realm, printed: Uint8Array[]) {
    this.#realm = realm;
    this.#printed = printed;
  }

  /** A new interpreter with the firmware's files. */
  static async create(firmware: Firmware = loadFirmware()): Promise<PythonDesk> {
    const printed: Uint8Array[] = [];
    const realm = await createRealm({
      nowMs: () => 0,
      ticksMs: () => 0,
      random: seededRandom("python desk"),
      output: (bytes) => void printed.push(bytes),
    });
    for (const [name, content] of firmware) realm.files.writeFile(`/${name}`, content);
    // This build has no sockets; a module may be imported all the same, as long as it opens none.
    realm.runNow("import sys\nsys.path[:] = ['', '.frozen']\nsys.modules['socket'] = object()");
    return new PythonDesk(realm, printed);
  }

  /** Runs code; throws what it raises. */
  run(code: string): void {
    this.#realm.runNow(code);
  }

  /** What was printed so far. */
  printed(): string {
    return this.#printed.map((bytes) => new TextDecoder().decode(bytes)).join("");
  }
}
