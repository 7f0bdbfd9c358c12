import { deepEqual, equal, ok } from "node:assert/strict";
import { flagOf, settings } from "../../src/config/schema.ts";
import type { Config } from "../../src/config/schema.ts";
import { defaultConfig } from "./support.ts";

/** True only for types that are the same, so that `any` and wider types are caught by the type checker. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

Deno.test("the configuration's types follow from the declarations", () => {
  const checks: [
    Same<Config["training"]["learningRate"], number>,
    Same<Config["training"]["policyType"], "gating" | "react" | "traversal">,
    Same<Config["training"]["objective"], "auto" | "reinforce" | "direct" | "doubly_robust" | "soft">,
    Same<Config["training"]["normalizeAdvantage"], boolean>,
    Same<Config["gatingPolicy"]["hiddenDim"], number>,
    Same<Config["gatingPolicy"]["experts"], readonly string[]>,
    Same<Config["gatingPolicy"]["inputScale"], number | "auto">,
    Same<Config["checkpoint"]["keepLastN"], number>,
    Same<Config["database"]["url"], string | null>,
    Same<Config["compute"]["backend"], "auto" | "webgpu" | "simd" | "wasm" | "cpu">,
    Same<Config["logging"]["level"], "debug" | "info" | "warning" | "error">,
  ] = [true, true, true, true, true, true, true, true, true, true, true];
  ok(checks.every((check) => check));
});

Deno.test("the defaults are the specification's, and ours beneath", () => {
  deepEqual(defaultConfig(), {
    training: {
      policyType: "gating",
      minFeedback: 10,
      maxEpisodes: 1000,
      batchSize: 32,
      learningRate: 0.0001,
      entropyCoef: 0.01,
      clipGradNorm: 1,
      objective: "auto",
      epochs: "auto",
      seed: 0,
      weightDecay: 0.01,
      baselineDecay: 0.95,
      normalizeAdvantage: true,
      minVariance: 0.1,
      importanceClip: 20,
      residualClip: 3,
      feedbackWeighting: "authority",
      discountContradictions: true,
      scoring: "given",
    },
    gatingPolicy: {
      inputDim: 768,
      hiddenDim: 256,
      numExperts: 4,
      experts: ["literal", "systemic", "principles", "precedent"],
      inputScale: "auto",
    },
    reactPolicy: {
      stateDim: 1024,
      numActions: 7,
      hiddenDim: 256,
      gamma: 0.99,
      gaeLambda: 0.95,
      clipRatio: 0.2,
      numEpochs: 4,
      stepPenalty: -0.05,
      actions: [
        "search_knowledge_graph",
        "read_article",
        "get_related_articles",
        "search_precedents",
        "extract_principle",
        "final_answer",
        "stop_and_summarize",
      ],
      inputScale: "auto",
      learningRate: 0.0003,
      minibatchSize: "auto",
      valueCoef: 0.5,
      maxGradNorm: 0.5,
      targetKl: 0.01,
    },
    traversalPolicy: {
      hiddenDim: 128,
      relations: [
        "RIFERIMENTO",
        "CITATO_DA",
        "MODIFICA",
        "MODIFICATO_DA",
        "DEROGA",
        "DEROGATO_DA",
        "ABROGATO_DA",
        "ABROGA",
        "INTERPRETED_BY",
        "RELATED_TO",
        "APPLIES_TO",
      ],
      inputScale: "auto",
    },
    checkpoint: { directory: "models/policies", saveFrequency: 100, keepLastN: 5, activate: "gated" },
    database: { url: null, lookbackDays: 30, poolSize: 4 },
    evaluation: { enabled: true, holdoutRatio: 0.2, minHoldout: 5, levelMargin: 0.05 },
    compute: { backend: "auto" },
    logging: { level: "info" },
  });
});

Deno.test("every default is a value that its own setting takes", () => {
  for (const [key, setting] of settings) deepEqual(setting.read(setting.default), setting.default, key);
});

Deno.test("every setting has a one-line help and a flag of its own", () => {
  for (const [key, { help, wanted }] of settings) {
    ok(help.length > 5 && help.length < 90 && !help.includes("\n"), `${key}: ${help}`);
    ok(wanted.length > 0, key);
  }
  const flags = [...settings.keys()].map(flagOf);
  equal(new Set(flags).size, flags.length);
  equal(flagOf("training.max_episodes"), "--max-episodes");
  equal(flagOf("database.url"), "--database");
});
