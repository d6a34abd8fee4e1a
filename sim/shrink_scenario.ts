/** Makes a failing scenario smaller while it still fails: fewer incidents, then rules, boards, workers, ingests and minutes. */
import type { Incident, Scenario } from "./scenario.ts";
import { shrinkAsync } from "./shrink.ts";

/** The smallest scenario found; `fails` runs one. `onStep` is told of each that still failed. */
export async function shrinkScenario(
  scenario: Scenario,
  fails: (scenario: Scenario) => Promise<boolean>,
  onStep: (scenario: Scenario) => void = () => {},
): Promise<Scenario> {
  let smallest = scenario;
  const accept = async (candidate: Scenario): Promise<boolean> => {
    if (!await fails(candidate)) return false;
    smallest = candidate;
    onStep(candidate);
    return true;
  };
  for (;;) {
    const before = JSON.stringify(smallest);
    await shrinkAsync(smallest.incidents, (incidents) => accept({ ...smallest, incidents }));
    if (smallest.rules !== undefined && !await accept(withoutRules(smallest))) {
      await shrinkAsync(smallest.rules, (rules) => accept({ ...smallest, rules }));
    }
    for (let i = smallest.boards.length - 1; i >= 0 && smallest.boards.length > 1; i--) {
      await accept(withoutBoard(smallest, i));
    }
    for (const part of ["workers", "ingests", "partitions"] as const) {
      while (smallest[part] > 1 && await accept({ ...smallest, [part]: smallest[part] - 1 }));
    }
    while (smallest.faultsMs > 120_000 && await accept(halfAsLong(smallest)));
    for (const [i, incident] of smallest.incidents.entries()) {
      if ((incident.count ?? 1) > 1) await accept(withIncident(smallest, i, { ...incident, count: 1 }));
    }
    if (JSON.stringify(smallest) === before) return smallest;
  }
}

function withoutRules({ rules: _, ...scenario }: Scenario): Scenario {
  return scenario;
}

function withoutBoard(scenario: Scenario, number: number): Scenario {
  return {
    ...scenario,
    boards: scenario.boards.filter((_, i) => i !== number),
    incidents: scenario.incidents.filter(({ board }) => board !== number)
      .map((incident) =>
        incident.board !== undefined && incident.board > number
          ? { ...incident, board: incident.board - 1 }
          : incident
      ),
  };
}

function halfAsLong(scenario: Scenario): Scenario {
  const faultsMs = Math.ceil(scenario.faultsMs / 2);
  return { ...scenario, faultsMs, incidents: scenario.incidents.filter(({ atMs }) => atMs < faultsMs) };
}

const withIncident = (scenario: Scenario, number: number, incident: Incident): Scenario => ({
  ...scenario,
  incidents: scenario.incidents.map((each, i) => i === number ? incident : each),
});
