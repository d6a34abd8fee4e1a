/** PySpark in a virtual environment and the jars of `spark/pom.xml`, fetched where they aren't there yet; runs the job. */
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const VERSION = "4.1.1";

export interface Spark {
  /** Runs `spark/job.py`; rejects with its output when it fails. */
  job(args: readonly string[]): Promise<void>;
  /** Asks a file of H2. */
  h2(url: string, sql: string): Promise<string>;
}

/** Installs what is missing into `.cache/` (about 500 MB, from PyPI and Maven Central). */
export async function getSpark(): Promise<Spark> {
  const python = `${root}.cache/pyspark-${VERSION}`;
  const jars = `${root}.cache/spark-jars-${VERSION}`;
  await Promise.all([
    once(python, async () => {
      await run("python3", ["-m", "venv", python]);
      await run(`${python}/bin/pip`, ["install", "--quiet", `pyspark==${VERSION}`]);
    }),
    once(jars, async () => {
      const args = ["-q", "-B", "-ntp", "-f", "spark/pom.xml", "dependency:copy-dependencies"];
      await run("mvn", [...args, "-DincludeScope=runtime", `-DoutputDirectory=${jars}`]);
    }),
  ]);
  return {
    async job(args) {
      const settings = [
        "spark.ui.enabled=false",
        "spark.sql.shuffle.partitions=2",
        "spark.driver.host=127.0.0.1",
      ];
      await run(`${python}/bin/spark-submit`, [
        ...["--master", "local[2]", "--driver-memory", "1g", "--driver-class-path", `${jars}/*`],
        ...settings.flatMap((setting) => ["--conf", setting]),
        ...["spark/job.py", ...args],
      ], { PYSPARK_PYTHON: `${python}/bin/python`, SPARK_LOCAL_IP: "127.0.0.1" });
    },
    h2: (url, sql) => run("java", ["-cp", `${jars}/*`, "org.h2.tools.Shell", "-url", url, "-sql", sql]),
  };
}

async function once(folder: string, install: () => Promise<void>): Promise<void> {
  const done = `${folder}/complete`;
  if (await Deno.stat(done).then(() => true, () => false)) return;
  await install();
  await Deno.writeTextFile(done, "");
}

async function run(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd: root, env })
    .output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Error(
    `${command} ${args.join(" ")}:\n${decoder.decode(stdout)}${decoder.decode(stderr)}`.slice(0, 6_000),
  );
}
