/**
 * A command line as a declared list of options, like the settings of a service: reading reports every problem at once
 * and touches nothing.
 */

/** What a task makes of its arguments. */
export type ParsedCommand<Options> =
  | { readonly kind: "options"; readonly options: Options }
  | { readonly kind: "help" }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

export interface CommandLine<Text extends string, Flag extends string> {
  /** `--name value` or `--name=value`; the last one counts. */
  readonly texts: Readonly<Partial<Record<Text, string>>>;
  /** `--name`. */
  readonly flags: ReadonlySet<Flag>;
  /** Words that are no options (no option has a blank in its name), and all after `--`. */
  readonly words: readonly string[];
  /** What can't be understood; the caller adds its own. */
  readonly problems: string[];
}

/** Reads arguments; null asks for help (`--help`, `-h`). */
export function readCommandLine<Text extends string, Flag extends string = never>(
  args: readonly string[],
  options: { readonly texts: readonly Text[]; readonly flags?: readonly Flag[] },
): CommandLine<Text, Flag> | null {
  const texts: Partial<Record<Text, string>> = {};
  const flags = new Set<Flag>();
  const words: string[] = [];
  const problems: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--") {
      words.push(...args.slice(at + 1));
      break;
    }
    if (arg === "-h" || arg === "--help") return null;
    const [, name, given] = /^--([^=\s]+)(?:=([^]*))?$/.exec(arg) ?? [];
    const text = options.texts.find((each) => each === name);
    const flag = options.flags?.find((each) => each === name);
    if (text !== undefined) {
      const value = given ?? (args[at + 1]?.startsWith("--") ? undefined : args[++at]);
      if (value === undefined) problems.push(`--${text} needs a value`);
      else texts[text] = value;
    } else if (flag !== undefined) {
      if (given === undefined) flags.add(flag);
      else problems.push(`--${flag} takes no value`);
    } else if (/^-[^-\d]\S*$/.test(arg) || name !== undefined) {
      problems.push(`there is no option ${arg.split("=", 1)[0]}`);
    } else words.push(arg);
  }
  return { texts, flags, words, problems };
}
