/**
 * Weights that were trained elsewhere become a version: files, a row, and the active policy if that is wanted.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { directoryName } from "../checkpoint/checkpoint.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import { publishCheckpoint } from "../checkpoint/publish.ts";
import { publishedVersions } from "../checkpoint/list.ts";
import type { TensorMap } from "../checkpoint/safetensors.ts";
import { canonicalVersion } from "../checkpoint/version.ts";
import type { Config } from "../config/schema.ts";
import type { NetworkShape } from "../engine/engine.ts";
import { defaultInputScale } from "../engine/network.ts";
import { importStateDict, type StateDict } from "../policy/state_dict.ts";
import type { PolicyCheckpoint, RLCFPersistence } from "../store/persistence.ts";
import { INITIAL_BASELINE } from "../train/baseline.ts";
import { networkToJson, packPolicy } from "./saved_policy.ts";
import { nextVersion, type PublishedVersion } from "./versions.ts";

/** Weights to register. */
export interface ForeignPolicy {
  /** By torch's names, for inputs that are not scaled. */
  readonly state: StateDict;
  /** The version to give them; the next free one if null. */
  readonly version: string | null;
  /** What it was trained with, for the row. */
  readonly config: JsonObject;
  /** What was measured, for the row. */
  readonly metrics: JsonObject;
  /** Episodes it was trained on. */
  readonly episodes: number;
}

/** What became of them. */
export interface RegisteredPolicy extends PublishedVersion {
  /** The version. */
  readonly version: string;
  /** `new` version, `files` for a row that had none, or `unchanged` where both were there with the same weights. */
  readonly outcome: "new" | "files" | "unchanged";
}

/**
 * Registers weights as a version of the gating policy, inactive, without a parent. The same weights under the same
 * version again change nothing, so that a run that was interrupted can be repeated.
 *
 * The input scale of the configuration is taken out of the first layer where it is a power of two, which changes no
 * bit of any output and lets `rlcf train` go on from the version; else the weights stay as they are, with scale 1.
 *
 * @param dryRun checks everything and writes nothing; the hash is then empty
 * @throws RlcfError `usage` if the weights are not those of the configured network, or the version holds others
 */
export async function registerPolicy(
  store: RLCFPersistence,
  config: Config,
  policy: ForeignPolicy,
  dryRun = false,
): Promise<RegisteredPolicy> {
  const { directory: root } = config.checkpoint;
  const { policyType } = config.training;
  const state = importStateDict(shapeFor(config, policy.state), policy.state);
  const version = policy.version === null
    ? await nextVersion(store, root, policyType, null)
    : canonicalVersion(policy.version);
  const row = await store.getPolicyCheckpoint(version, policyType);
  if (row !== null && row.stateDictPath !== null) {
    return { version, outcome: "unchanged", ...await sameWeights(root, row.stateDictPath, row, policy.state) };
  }
  const path = directoryName(policyType, version);
  const left = (await publishedVersions(root, policyType)).includes(version)
    // An earlier run published the files and did not come to the row.
    ? await sameWeights(root, path, row, policy.state)
    : undefined;
  const outcome = row === null ? "new" : "files";
  if (dryRun) return { version, outcome, path, sha256: left?.sha256 ?? "" };
  const published = left ?? await publishCheckpoint(root, {
    policyType,
    version,
    parentVersion: null,
    createdAt: new Date().toISOString(),
    sessionId: null,
    engine: { backend: "import", device: "trained elsewhere" },
    network: networkToJson({ shape: state.shape, experts: config.gatingPolicy.experts }),
    config: policy.config,
    metrics: policy.metrics,
    ...packPolicy(state, { ...INITIAL_BASELINE, numUpdates: 0 }, {}),
  });
  // If this fails the files stay: without a row they do not count, and the next run takes them.
  await storeRow(store, policyType, version, row, published, policy);
  return { version, outcome, ...published };
}

async function storeRow(
  store: RLCFPersistence,
  policyType: string,
  version: string,
  row: PolicyCheckpoint | null,
  { path, sha256 }: PublishedVersion,
  policy: ForeignPolicy,
): Promise<void> {
  if (row !== null) {
    if (await store.setPolicyFiles(version, policyType, { stateDictPath: path, manifestSha256: sha256 })) return;
    throw new RlcfError("usage", `cannot store the files of ${version}: another process has just done so`);
  }
  await store.savePolicyCheckpoint({
    version,
    policyType,
    stateDictPath: path,
    manifestSha256: sha256,
    config: policy.config,
    trainingMetrics: policy.metrics,
    trainingEpisodes: policy.episodes,
  });
}

/** The shape of the configured network with the sizes of the weights; throws where the two differ. */
function shapeFor(config: Config, state: StateDict): NetworkShape {
  const { inputDim, hiddenDim, experts, inputScale } = config.gatingPolicy;
  const found = sizesOf(state);
  const wanted = [inputDim, ...hiddenDim === 0 ? [] : [hiddenDim, hiddenDim >> 1], experts.length];
  if (String(found) !== String(wanted)) {
    throw new RlcfError(
      "usage",
      `cannot import the weights: found a network ${found.join("-") || "without layers"}, wanted ${wanted.join("-")} ` +
        `(gating_policy.input_dim, hidden_dim and the number of experts)`,
      { hint: "Import them with the configuration of the service that they were trained for: --config FILE" },
    );
  }
  const scale = inputScale === "auto" ? defaultInputScale(inputDim) : inputScale;
  const exact = Number.isInteger(Math.log2(scale));
  return { inputDim, hiddenDim, outputs: experts.length, inputScale: exact ? scale : 1 };
}

/** Inputs, then the outputs of every layer, as the weights' shapes say. */
function sizesOf(state: StateDict): number[] {
  const weights = Object.keys(state).filter((name) => name.endsWith(".weight"))
    .toSorted((a, b) => parseInt(a) - parseInt(b)).map((name) => state[name]!.shape);
  return [weights[0]?.[1], ...weights.map((shape) => shape[0])].filter((size) => size !== undefined);
}

/** The published checkpoint, if it holds these weights; throws if it holds others. */
async function sameWeights(
  root: string,
  path: string,
  row: PolicyCheckpoint | null,
  state: StateDict,
): Promise<PublishedVersion> {
  const { policy, sha256 } = await loadCheckpoint(root, path, row?.manifestSha256 ?? undefined);
  if (isSame(policy, state)) return { path, sha256 };
  throw new RlcfError("usage", `cannot import the weights as ${path}: this version exists with other weights`, {
    hint: "Name another one with --policy-version; published versions are never overwritten.",
  });
}

function isSame(a: TensorMap, b: TensorMap): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => {
    const [left, right] = [a[name]!.data, b[name]?.data];
    return left.length === right?.length && left.every((value, i) => value === right[i]);
  });
}
