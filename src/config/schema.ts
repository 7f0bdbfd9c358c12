/**
 * Every setting of rlcf, declared once. The types of the configuration, the checks, the help texts and the table that
 * `train --dry-run` prints all come from here; each section lists the specification's keys first, then our own.
 *
 * @module
 */
import { REACT_ACTIONS, RELATION_TYPES } from "../trace/vocabulary.ts";
import {
  choice,
  decimal,
  decimalOrAuto,
  integer,
  integerOrAuto,
  layerWidth,
  secretUrl,
  text,
  textList,
  toggle,
} from "./setting.ts";
import type { Setting, SettingValue } from "./setting.ts";

const training = {
  policy_type: choice(["gating", "react", "traversal"], { default: "gating", help: "which policy to train" }),
  min_feedback: integer({
    default: 10,
    min: 1,
    unit: "feedbacks",
    help: "with fewer usable feedbacks nothing is trained",
  }),
  max_episodes: integer({ default: 1000, min: 1, unit: "episodes", help: "newest episodes taken into a session" }),
  batch_size: integer({ default: 32, min: 1, max: 65536, unit: "episodes", help: "episodes in one optimizer step" }),
  learning_rate: decimal({ default: 1e-4, above: 0, max: 1, help: "step size of AdamW" }),
  entropy_coef: decimal({
    default: 0.01,
    min: 0,
    max: 1e6,
    help: "exploration bonus: weight of the entropy in the loss",
  }),
  clip_grad_norm: decimal({
    default: 1,
    min: 0,
    max: 1e6,
    help: "longest gradient of a step (global L2 norm); 0 = no limit",
  }),
  objective: choice(["auto", "reinforce", "direct", "doubly_robust", "soft"], {
    default: "auto",
    help: "what is maximised; auto = doubly_robust or, for soft logs, direct",
  }),
  epochs: integerOrAuto({
    default: "auto",
    min: 1,
    max: 10_000,
    unit: "passes",
    help: "passes over the episodes; auto = enough for 900 steps (linear: 3000), at least 3",
  }),
  seed: integer({ default: 0, min: 0, max: 4294967295, help: "same seed, data and backend: same policy" }),
  weight_decay: decimal({ default: 0.01, min: 0, max: 100, help: "decoupled weight decay of AdamW" }),
  baseline_decay: decimal({ default: 0.95, min: 0, below: 1, help: "memory of the reward baseline (moving average)" }),
  normalize_advantage: toggle({ default: true, help: "divide advantages by the rewards' standard deviation" }),
  min_variance: decimal({
    default: 0.1,
    min: 1e-6,
    max: 1e6,
    help: "smallest standard deviation to divide by (the name is the original's)",
  }),
  importance_clip: decimal({ default: 20, min: 1, max: 1e6, help: "largest importance weight of an episode" }),
  residual_clip: decimal({
    default: 3,
    min: 0,
    max: 1e6,
    help: "largest importance weight of the reward model's error in doubly_robust",
  }),
  feedback_weighting: choice(["authority", "none"], {
    default: "authority",
    help: "authority = feedback counts by its author's authority",
  }),
  discount_contradictions: toggle({
    default: true,
    help: "users who contradict the others count less in training, never in evaluation",
  }),
  scoring: choice(["given", "merlt"], {
    default: "given",
    help: "given = mean of the scores given; merlt = the original's formula, for imported data",
  }),
} as const;

const gating_policy = {
  input_dim: integer({ default: 768, min: 1, max: 65536, unit: "numbers", help: "length of the query embeddings" }),
  hidden_dim: layerWidth({
    default: 256,
    max: 16384,
    unit: "units",
    help: "width of the hidden layer; 0 = a linear policy",
  }),
  num_experts: integer({
    default: 4,
    min: 2,
    max: 1024,
    unit: "experts",
    help: "how many experts there are; must agree with their names below",
  }),
  experts: textList({
    default: ["literal", "systemic", "principles", "precedent"],
    min: 2,
    max: 1024,
    help: "the experts' names, in the order of the network's outputs",
  }),
  input_scale: decimalOrAuto({
    default: "auto",
    min: 1e-6,
    max: 1e6,
    help: "embeddings are multiplied by it; auto = near sqrt(input_dim)",
  }),
} as const;

const react_policy = {
  state_dim: integer({
    default: 1024,
    min: 1,
    max: 65536,
    unit: "numbers",
    flag: "--react-state-dim",
    help: "length of the states that the agent logs",
  }),
  num_actions: integer({
    default: 7,
    min: 2,
    max: 1024,
    unit: "actions",
    flag: "--react-num-actions",
    help: "how many actions there are; must agree with their names below",
  }),
  hidden_dim: layerWidth({
    default: 256,
    max: 16384,
    unit: "units",
    flag: "--react-hidden-dim",
    help: "width of actor's and critic's hidden layers; 0 = linear",
  }),
  gamma: decimal({
    default: 0.99,
    min: 0,
    max: 1,
    flag: "--react-gamma",
    help: "discount of a reward one step later",
  }),
  gae_lambda: decimal({
    default: 0.95,
    min: 0,
    max: 1,
    flag: "--react-gae-lambda",
    help: "0 = advantages trust the critic, 1 = the rewards alone",
  }),
  clip_ratio: decimal({
    default: 0.2,
    above: 0,
    max: 1e6,
    flag: "--react-clip-ratio",
    help: "how far a probability may move in an update, as a share of the logged one",
  }),
  num_epochs: integer({
    default: 4,
    min: 1,
    max: 10_000,
    unit: "passes",
    flag: "--react-num-epochs",
    help: "passes over the steps in an update",
  }),
  step_penalty: decimal({
    default: -0.05,
    min: -1e6,
    max: 1e6,
    flag: "--react-step-penalty",
    help: "added to the reward of every step but an episode's last",
  }),
  actions: textList({
    default: REACT_ACTIONS,
    min: 2,
    max: 1024,
    flag: "--react-actions",
    help: "the actions' names, in the order of the network's outputs",
  }),
  input_scale: decimalOrAuto({
    default: "auto",
    min: 1e-6,
    max: 1e6,
    flag: "--react-input-scale",
    help: "states are multiplied by it; auto = near sqrt(state_dim)",
  }),
  learning_rate: decimal({
    default: 3e-4,
    above: 0,
    max: 1,
    flag: "--react-learning-rate",
    help: "step size of Adam for actor and critic",
  }),
  minibatch_size: integerOrAuto({
    default: "auto",
    min: 1,
    max: 1_000_000,
    unit: "steps",
    flag: "--react-minibatch-size",
    help: "steps of episodes in one optimizer step; auto = all",
  }),
  value_coef: decimal({
    default: 0.5,
    above: 0,
    max: 1e6,
    flag: "--react-value-coef",
    help: "weight of the critic's loss beside the actor's",
  }),
  max_grad_norm: decimal({
    default: 0.5,
    min: 0,
    max: 1e6,
    flag: "--react-max-grad-norm",
    help: "longest gradient of actor and critic together (L2 norm); 0 = no limit",
  }),
  target_kl: decimal({
    default: 0.01,
    min: 0,
    max: 1e6,
    unit: "nats",
    flag: "--react-target-kl",
    help: "no further pass once the policy has moved so far; 0 = no limit",
  }),
} as const;

const traversal_policy = {
  hidden_dim: layerWidth({
    default: 128,
    max: 16384,
    unit: "units",
    flag: "--traversal-hidden-dim",
    help: "width of the hidden layer; 0 = linear",
  }),
  relations: textList({
    default: RELATION_TYPES,
    min: 1,
    max: 1024,
    flag: "--traversal-relations",
    help: "the relations' names, in the order of the network's inputs",
  }),
  input_scale: decimalOrAuto({
    default: "auto",
    min: 1e-6,
    max: 1e6,
    flag: "--traversal-input-scale",
    help: "embeddings are multiplied by it; auto = near sqrt(input_dim)",
  }),
} as const;

const checkpoint = {
  directory: text({
    default: "models/policies",
    maxLength: 4096,
    environment: "RLCF_CHECKPOINT_DIR",
    flag: "--checkpoint-dir",
    help: "where checkpoints are kept",
  }),
  save_frequency: integer({
    default: 100,
    min: 1,
    unit: "episodes",
    help: "a checkpoint for every so many episodes of the log, spread over the passes",
  }),
  keep_last_n: integer({
    default: 5,
    min: 1,
    unit: "checkpoints",
    help: "how many of the newest checkpoints are kept",
  }),
  activate: choice(["gated", "always", "never"], {
    default: "gated",
    flag: "--no-activate",
    help: "gated = the new policy goes live if it proves no worse than the old",
  }),
} as const;

const database = {
  url: secretUrl({
    default: null,
    environment: "RLCF_ASYNC_DATABASE_URL",
    flag: "--database",
    fileBeforeEnvironment: true,
    help: "null = RLCF_ASYNC_DATABASE_URL, else SQLite in memory",
  }),
  lookback_days: integer({
    default: 30,
    min: 1,
    max: 36_500,
    unit: "days",
    help: "feedback older than so many days is left out",
  }),
  pool_size: integer({ default: 4, min: 1, max: 1000, unit: "connections", help: "PostgreSQL connections" }),
} as const;

const evaluation = {
  enabled: toggle({ default: true, help: "compare the new policy with the active one on a holdout" }),
  holdout_ratio: decimal({ default: 0.2, min: 0, below: 1, help: "share of the episodes held out" }),
  min_holdout: integer({ default: 5, min: 0, unit: "episodes", help: "at least so many are held out" }),
  level_margin: decimal({
    default: 0.05,
    min: 0,
    max: 1,
    help: "how far retrieval, reasoning or synthesis may fall while the total rises",
  }),
} as const;

/** The backends that can be asked for by name; here, and not beside the engines, so that asking loads none of them. */
export const BACKEND_NAMES = ["webgpu", "simd", "wasm", "cpu"] as const;

const compute = {
  backend: choice(["auto", ...BACKEND_NAMES], {
    default: "auto",
    environment: "RLCF_BACKEND",
    help: "auto = the GPU if there is one, else simd",
  }),
} as const;

const logging = {
  level: choice(["debug", "info", "warning", "error"], {
    default: "info",
    environment: "RLCF_LOG_LEVEL",
    flag: "--log-level",
    synonyms: { warn: "warning", critical: "error" },
    help: "least severe message that is shown",
  }),
} as const;

/** The sections and their settings, in the order of the file; names as in the file. */
export const schema = {
  training,
  gating_policy,
  react_policy,
  traversal_policy,
  checkpoint,
  database,
  evaluation,
  compute,
  logging,
} as const;

/** Sections of the original's file that may be there and that nothing here reads, with the keys they may have. */
export const unusedSections: Readonly<Record<string, readonly string[]>> = {
  curriculum: ["enabled", "initial_difficulty", "target_difficulty", "progression_rate"],
};

/** The declarations, as a type. */
export type Schema = typeof schema;

/** Name of a section in the file. */
export type SectionName = keyof Schema;

/** A setting's full name, e.g. `training.learning_rate`. */
export type SettingKey = { [S in SectionName]: `${S}.${keyof Schema[S] & string}` }[SectionName];

/** `learning_rate` to `learningRate`. */
export type CamelCase<Name extends string> = Name extends `${infer First}_${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

/** The configuration: a section and a setting in camelCase lead to its value, e.g. `config.training.learningRate`. */
export type Config = {
  readonly [S in SectionName as CamelCase<S>]: {
    readonly [K in keyof Schema[S] & string as CamelCase<K>]: Schema[S][K] extends Setting<infer T> ? T : never;
  };
};

/** The name of a section or key in code: `learning_rate` to `learningRate`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The settings by full name, in the order of the file. */
export const settings: ReadonlyMap<SettingKey, Setting<SettingValue>> = new Map(
  Object.entries(schema).flatMap(([section, keys]) =>
    Object.entries(keys).map(([key, setting]) =>
      [`${section}.${key}` as SettingKey, setting as Setting<SettingValue>] as const
    )
  ),
);

/** The declaration of a setting. */
export function settingOf(key: SettingKey): Setting<SettingValue> {
  return settings.get(key)!;
}

/** The command line flag of a setting, e.g. `--max-episodes`. */
export function flagOf(key: SettingKey): string {
  return settingOf(key).flag ?? `--${key.slice(key.indexOf(".") + 1).replaceAll("_", "-")}`;
}
