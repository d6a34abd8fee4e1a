/** Steps and serial output in words. */
import { durationText } from "./duration.ts";
import type { Step } from "./scenario.ts";

/** What a step does, for people: its name, or its action. */
export function stepText(step: Step): string {
  return step.name ?? actionText(step);
}

function actionText(step: Step): string {
  switch (step.kind) {
    case "delay":
      return `wait ${durationText(step.nanos)}`;
    case "wait-serial":
      return `wait for ${shown(step.text)}`;
    case "write-serial":
      return `write ${shown(step.text)}`;
    case "set-control":
      return `set ${step.control} of ${step.part} to ${step.value}`;
    case "expect-pin":
      return `pin ${step.pin} of ${step.part} is ${step.value}`;
    case "wait-pin":
      return `wait for pin ${step.pin} of ${step.part} to become ${step.value}`;
    case "expect-chip-output":
      return `wait for a chip to say ${shown(step.text)}`;
    case "take-screenshot":
      return `screenshot of ${step.part}`;
    case "touch":
    case "touch-press":
    case "touch-move":
      return `${step.kind} ${step.part} at ${step.x}, ${step.y}`;
    case "touch-release":
      return `${step.kind} ${step.part}`;
  }
}

/** On one line, with its quotes as they are. */
const shown = (text: string): string => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');

/** Of a line no more than this is quoted. */
const LINE_LENGTH_MAX = 300;

/** The last line that isn't empty, however unfinished. */
export function lastLine(serial: Uint8Array): string {
  const end = new TextDecoder().decode(serial.subarray(Math.max(0, serial.length - 4 * LINE_LENGTH_MAX)));
  const line = end.split(/[\r\n]+/).filter((each) => each.trim() !== "").at(-1) ?? "";
  return line.length > LINE_LENGTH_MAX ? `${line.slice(0, LINE_LENGTH_MAX)}…` : line;
}
