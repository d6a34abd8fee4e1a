/**
 * Carries out a scenario on a simulator that speaks Wokwi's protocol: the offline one, or Wokwi's cloud.
 *
 * The simulator owns time. Whatever a step waits for becomes a pause point there, so a result depends on no latency. The
 * time-out of the whole run is the first point that is added: at a tie it wins over what a step waits for, as under
 * wokwi-cli. The time-out of one step is added before the step's own point and wins likewise.
 */
import type { APIClient, APIEvent } from "@wokwi/client";
import { ByteTail } from "./byte_tail.ts";
import { durationText } from "./duration.ts";
import type { WokwiProject } from "../project.ts";
import type { Scenario, Step } from "./scenario.ts";
import { samePicture } from "./screenshot.ts";
import { lastLine, stepText } from "./step_text.ts";
import { followWeather, sensorPart } from "./weather.ts";
import type { WeatherSample } from "../weather_samples.ts";

export interface RunOptions {
  /** Simulated time that the scenario may take, in nanoseconds; 0: no bound. */
  readonly timeoutNanos: number;
  /** Weather for a simulator that has none of its own, in order; empty: as the diagram and the scenario say. */
  readonly weather: readonly WeatherSample[];
  readonly files: ScenarioFiles;
  /** Told of each step when it is over. */
  readonly onStep?: (outcome: StepOutcome) => void;
  /** Told of what the board prints. */
  readonly onSerial?: (bytes: Uint8Array) => void;
}

/** Pictures that a scenario saves or compares with; paths are relative to the scenario. */
export interface ScenarioFiles {
  read(path: string): Promise<Uint8Array>;
  write(path: string, content: Uint8Array): Promise<void>;
}

export interface StepOutcome {
  readonly step: Step;
  /** From 0. */
  readonly index: number;
  readonly result: "passed" | "failed" | "timed out";
  /** Why it did not pass. */
  readonly sentence: string | null;
  /** Simulated nanoseconds since the start. */
  readonly fromNanos: number;
  readonly toNanos: number;
}

export type Verdict =
  | { readonly kind: "passed" }
  /** A step did not come true. */
  | { readonly kind: "failed"; readonly sentence: string }
  /** The run's time was over. */
  | { readonly kind: "timed out"; readonly sentence: string }
  /** The simulator refused, failed or went away. */
  | { readonly kind: "broken"; readonly sentence: string };

export interface ScenarioResult {
  readonly verdict: Verdict;
  /** Steps that were begun. */
  readonly steps: readonly StepOutcome[];
  /** Simulated nanoseconds at the end. */
  readonly nanos: number;
  /** What the board printed; only the end of it, if it was more than {@link serialBytesMax}. */
  readonly serial: Uint8Array;
  /** Changes of the wires, for a viewer; null if there are none. */
  readonly vcd: string | null;
}

/** Serial output that is kept: days of our firmware; of more, the end. */
export const serialBytesMax = 16 * 2 ** 20;

/** Runs on a fresh connection, which stays open. Never rejects: what goes wrong is in the verdict. */
export async function runScenario(
  client: APIClient,
  project: WokwiProject,
  scenario: Scenario,
  options: RunOptions,
): Promise<ScenarioResult> {
  return await new ScenarioRun(client, project, scenario, options).run();
}

/** The whole run's time is over. */
class TimedOut extends Error {}
/** A step did not come true. */
class StepFailed extends Error {}

type Point = Parameters<APIClient["addPausePoint"]>[0];
/** The offline simulator's own kind of pause point. */
type PinPoint = { readonly type: "pin"; readonly part: string; readonly pin: string; readonly value: 0 | 1 };

class ScenarioRun {
  readonly #client: APIClient;
  readonly #project: WokwiProject;
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #serial = new ByteTail(serialBytesMax);
  readonly #steps: StepOutcome[] = [];
  /** Rejects when the run can't go on: its time is over, or the simulator is gone. */
  readonly #end = Promise.withResolvers<never>();
  #broken: Error | null = null;
  /** Controls of the sensor that the scenario has set. */
  readonly #held = new Set<string>();

  constructor(client: APIClient, project: WokwiProject, scenario: Scenario, options: RunOptions) {
    this.#client = client;
    this.#project = project;
    this.#scenario = scenario;
    this.#options = options;
    this.#end.promise.catch(() => {});
    client.onError = ({ message }) => this.#break(new Error(message));
  }

  async run(): Promise<ScenarioResult> {
    const verdict = await this.#verdict();
    return {
      verdict,
      steps: this.#steps,
      nanos: this.#client.lastNanos,
      serial: this.#serial.bytes(),
      vcd: await this.#vcd(),
    };
  }

  async #verdict(): Promise<Verdict> {
    try {
      await this.#orEnd(this.#start());
      for (const [index, step] of this.#scenario.steps.entries()) await this.#step(step, index);
      return { kind: "passed" };
    } catch (error) {
      const sentence = error instanceof Error ? error.message : String(error);
      if (error instanceof TimedOut) return { kind: "timed out", sentence };
      return { kind: error instanceof StepFailed ? "failed" : "broken", sentence };
    }
  }

  async #start(): Promise<void> {
    const client = this.#client;
    const { weather, onSerial } = this.#options;
    await client.connected;
    client.listen("serial-monitor:data", ({ payload }: APIEvent<{ readonly bytes: readonly number[] }>) => {
      const bytes = new Uint8Array(payload.bytes);
      this.#serial.push(bytes);
      onSerial?.(bytes);
    });
    await client.fileUpload("diagram.json", this.#project.diagram);
    for (const [name, content] of this.#project.files) await client.fileUpload(name, content);
    await client.serialMonitorListen();
    await this.#addTimeout();
    await followWeather(client, weather, (channel) => this.#held.has(channel), (error) => this.#break(error));
    const { firmware } = this.#project;
    await client.simStart({ firmware, elf: firmware, chips: [], pause: true });
  }

  async #addTimeout(): Promise<void> {
    const nanos = this.#scenario.timeoutNanos ?? this.#options.timeoutNanos;
    if (nanos === 0) return;
    const point = await this.#client.addPausePoint({ type: "time-absolute", nanos });
    point.promise.then(() => {
      this.#end.reject(new TimedOut(`${durationText(nanos)} of simulated time are over`));
    });
  }

  #break(error: Error): void {
    this.#broken ??= error;
    this.#end.reject(error);
  }

  async #orEnd<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#end.promise]);
  }

  async #step(step: Step, index: number): Promise<void> {
    const fromNanos = this.#client.lastNanos;
    const over = (result: StepOutcome["result"], sentence: string | null) => {
      const outcome = { step, index, result, sentence, fromNanos, toNanos: this.#client.lastNanos };
      this.#steps.push(outcome);
      this.#options.onStep?.(outcome);
    };
    try {
      await this.#orEnd(this.#within(step));
      over("passed", null);
    } catch (error) {
      if (error instanceof TimedOut) {
        over("timed out", `${this.#unmet(step)}${error.message}`);
        throw error;
      }
      const sentence = error instanceof Error ? error.message : String(error);
      over("failed", sentence);
      // A refused command fails its step; a simulator that is gone ends the run.
      throw this.#broken ?? new StepFailed(sentence);
    }
  }

  /** The step, within its own time-out if it has one. */
  async #within(step: Step): Promise<void> {
    const { timeoutNanos } = step;
    if (timeoutNanos === null) return await this.#do(step);
    const point = await this.#client.addPausePoint({ type: "time-relative", nanos: timeoutNanos });
    const late = point.promise.then(() => {
      throw new StepFailed(
        `${this.#unmet(step)}${durationText(timeoutNanos)} of simulated time, the step's own, are over`,
      );
    });
    late.catch(() => {});
    await Promise.race([this.#do(step), late]);
    await this.#client.removePausePoint(point);
  }

  async #do(step: Step): Promise<void> {
    const client = this.#client;
    switch (step.kind) {
      case "delay":
        return await this.#until({ type: "time-relative", nanos: step.nanos });
      case "wait-serial":
        return await this.#until({ type: "serial-bytes", bytes: [...step.bytes] });
      case "wait-pin":
        return await this.#until({ type: "pin", part: step.part, pin: step.pin, value: step.value });
      case "write-serial":
        return void await client.serialMonitorWrite(step.bytes);
      case "set-control":
        if (step.part === sensorPart) this.#held.add(step.control);
        return void await client.controlSet(step.part, step.control, step.value);
      case "expect-pin": {
        // wokwi-cli looks only whether the value is truthy; one client has numbers, another booleans.
        const level = (await client.pinRead(step.part, step.pin)).value ? 1 : 0;
        if (level === step.value) return;
        throw new StepFailed(`pin ${step.pin} of ${step.part} is ${level}, not ${step.value}`);
      }
      case "expect-chip-output":
        return await this.#untilChipSays(step.text);
      case "take-screenshot":
        return await this.#screenshot(step.part, step.saveTo, step.compareWith);
      case "touch": {
        const { part, x, y, durationNanos, wait } = step;
        await client.touchEvent(part, x, y, "press", { releaseAfter: durationNanos });
        return wait ? await this.#until({ type: "time-relative", nanos: durationNanos }) : undefined;
      }
      case "touch-press":
        return void await client.touchEvent(step.part, step.x, step.y, "press");
      case "touch-move":
        return void await client.touchEvent(step.part, step.x, step.y, "move");
      case "touch-release":
        return void await client.touchEvent(step.part, 0, 0, "release");
      default:
        return unreachable(step);
    }
  }

  async #until(point: Point | PinPoint): Promise<void> {
    const added = await this.#client.addPausePoint(point as Point, true);
    await added.promise;
  }

  /** A chip's word is no pause point: the simulation is stopped as soon as it has come. */
  async #untilChipSays(text: string): Promise<void> {
    const client = this.#client;
    await client.waitForChipOutput(text);
    const paused = client.pausedPromise;
    await client.simPause();
    await paused;
  }

  async #screenshot(part: string, saveTo: string | null, compareWith: string | null): Promise<void> {
    const { png } = await this.#client.framebufferRead(part);
    const picture = Uint8Array.from(atob(png), (char) => char.charCodeAt(0));
    const { files } = this.#options;
    if (saveTo !== null) await files.write(saveTo, picture);
    if (compareWith === null) return;
    const difference = samePicture(picture, await files.read(compareWith));
    if (difference !== null) {
      throw new StepFailed(`the screen of ${part} is not ${compareWith}: ${difference}`);
    }
  }

  /** What the step still waited for, with the board's last words; for the message of a time-out. */
  #unmet(step: Step): string {
    const last = lastLine(this.#serial.bytes());
    const said = last === "" ? "the board has said nothing" : `the board's last line is ${last}`;
    return step.kind === "wait-serial" ? `${stepText(step)} did not come true (${said}): ` : "";
  }

  /** Also after a failure: it shows what was on the wire. */
  async #vcd(): Promise<string | null> {
    if (this.#broken !== null) return null;
    try {
      const { vcd, sampleCount } = await Promise.race([this.#client.readVCD(), this.#brokenLater()]);
      return sampleCount > 0 ? vcd : null;
    } catch {
      // The verdict stands, with or without it.
      return null;
    }
  }

  #brokenLater(): Promise<never> {
    return new Promise((_resolve, reject) =>
      this.#client.onError = ({ message }) => reject(new Error(message))
    );
  }
}

function unreachable(step: never): never {
  throw new Error(`no such step: ${JSON.stringify(step)}`);
}
