/**
 * What this machine can compute on, and whether all of it computes the same.
 *
 * @module
 */
import { type Answers, answersOf, compareAnswers } from "../bench/agreement.ts";
import { chooseVariants, type Variant } from "../bench/variants.ts";
import { messageOf } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import type { BackendStatus } from "../engine/create.ts";
import { listBackends } from "../engine/create.ts";
import { defaultInputScale, initialState } from "../engine/network.ts";
import type { Check, Finding } from "./finding.ts";

/** The check. */
export const backendsCheck: Check = {
  area: "backends",
  needsTables: false,
  examine: async ({ config }): Promise<Finding[]> => {
    const statuses = await listBackends();
    const asked = config.compute.backend;
    const { variants } = await chooseVariants(
      statuses.filter(({ name, available, software }) => available && (!software || name === asked))
        .map(({ name }) => name),
    );
    return [...availability(statuses, asked), ...await agreementFindings(variants, config)];
  },
};

/** What is not there, or is only an imitation. */
export function availability(statuses: readonly BackendStatus[], asked: Config["compute"]["backend"]): Finding[] {
  return statuses.flatMap(({ name, available, software, device }): Finding[] => {
    if (available && !software) return [];
    if (!available && name === asked) {
      return [{
        area: "backends",
        severity: "error",
        code: "backend",
        what: `the backend ${name}, which compute.backend asks for, is not available`,
        cause: device,
        mend: "rlcf train --backend auto",
      }];
    }
    return [{
      area: "backends",
      severity: "note",
      what: available ? `${name} has only an imitation of a GPU` : `${name} is not available`,
      cause: available ? `${device}: auto never takes it; --backend ${name} does.` : device,
      mend: null,
    }];
  });
}

/** What differs, by three training steps and 64 queries on each variant, compared with float64 and with simd. */
export async function agreementFindings(
  variants: readonly Pick<Variant, "name" | "create">[],
  config: Config,
): Promise<Finding[]> {
  const { inputDim, hiddenDim, experts } = config.gatingPolicy;
  const shape = { inputDim, hiddenDim, outputs: experts.length, inputScale: defaultInputScale(inputDim) };
  const state = initialState(shape, 0);
  const [answers, findings]: [Answers[], Finding[]] = [[], []];
  for (const { name, create } of variants) {
    try {
      await using engine = await create(shape);
      answers.push(await answersOf(name, engine, state));
    } catch (thrown) {
      findings.push({
        area: "backends",
        severity: "error",
        code: "backend",
        what: `${name} is there but does not work`,
        cause: messageOf(thrown),
        mend: "rlcf train --backend simd",
      });
    }
  }
  const reference = answers.find(({ backend }) => backend.startsWith("simd"))?.backend ?? "";
  for (const { backend, against, max_rel_error, agrees, not_compared } of compareAnswers(answers, state, reference)) {
    if (not_compared !== undefined) {
      findings.push({
        area: "backends",
        severity: "note",
        what: `${backend} and ${against} were compared by their answers alone`,
        cause: not_compared,
        mend: null,
      });
    }
    if (agrees) continue;
    findings.push({
      area: "backends",
      severity: "error",
      code: "backend",
      what: `${backend} computes something else than ${against}`,
      cause: `The relative error is ${max_rel_error.toExponential(1)}, wanted at most 1.0e-5.`,
      mend: "Do not train on it, and report it: rlcf bench --json",
    });
  }
  return findings;
}
