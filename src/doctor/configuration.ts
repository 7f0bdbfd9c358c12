/**
 * What the configuration holds in vain, and whether the active version fits it.
 *
 * @module
 */
import { loadCheckpoint } from "../checkpoint/load.ts";
import type { Check, Finding } from "./finding.ts";
import { type Patient, storeOf } from "./patient.ts";

/** The check of the configuration by itself. */
export const configurationCheck: Check = {
  area: "configuration",
  needsTables: false,
  examine: ({ notices }): Finding[] =>
    notices.map((notice) => ({
      area: "configuration",
      severity: "note",
      what: notice,
      cause: "It has no effect here; files of the original are read as they are.",
      mend: null,
    })),
};

/** The check of the configuration against the active version. */
export const activeFitCheck: Check = {
  area: "configuration",
  needsTables: true,
  examine: async (patient: Patient): Promise<Finding[]> => {
    const { gatingPolicy, checkpoint } = patient.config;
    const row = await storeOf(patient).getActivePolicy("gating");
    if (row === null || row.stateDictPath === null) return [];
    let network: Readonly<Record<string, unknown>>;
    try {
      network = (await loadCheckpoint(checkpoint.directory, row.stateDictPath, row.manifestSha256 ?? undefined))
        .manifest.network;
    } catch {
      // That it is broken is another check's finding.
      return [];
    }
    const pairs = [
      ["input_dim", gatingPolicy.inputDim],
      ["hidden_dim", gatingPolicy.hiddenDim],
      ["experts", gatingPolicy.experts],
    ] as const;
    const different = pairs.filter(([name, wanted]) => String(network[name]) !== String(wanted))
      .map(([name, wanted]) => `${name} is ${String(wanted)}, ${row.version} has ${String(network[name])}`);
    if (different.length === 0) return [];
    return [{
      area: "configuration",
      severity: "warning",
      what: `the active ${row.version} does not fit the configuration: ${different.join("; ")}`,
      cause: "The next training would start from fresh weights and could not be compared with the active version.",
      mend: "Set gating_policy to the version's values, if the change was not intended.",
    }];
  },
};
