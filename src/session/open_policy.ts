/**
 * A stored version as a policy that can route.
 *
 * @module
 */
import { messageOf, RlcfError } from "../base/errors.ts";
import { DISK, type Disk } from "../checkpoint/files.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import type { EngineEntry } from "../engine/create.ts";
import type { BackendName } from "../engine/engine.ts";
import { GatingPolicy } from "../policy/gating_policy.ts";
import type { PolicyCheckpoint, RLCFPersistence } from "../store/persistence.ts";
import { type SavedPolicy, unpackPolicy } from "./saved_policy.ts";

/** A stored version and what its checkpoint holds. */
export interface StoredPolicy {
  /** Its row in the database. */
  readonly checkpoint: PolicyCheckpoint;
  /** What {@link openPolicy} takes. */
  readonly saved: SavedPolicy;
}

/** Reads the checkpoint of a row and verifies its hashes. */
export async function readStoredPolicy(
  checkpoint: PolicyCheckpoint,
  root: string,
  disk: Disk = DISK,
): Promise<StoredPolicy> {
  if (checkpoint.stateDictPath === null) {
    throw new RlcfError("checkpoint", `Policy checkpoint not found: ${checkpoint.version} has no files on record`);
  }
  const loaded = await loadCheckpoint(root, checkpoint.stateDictPath, checkpoint.manifestSha256 ?? undefined, disk);
  return { checkpoint, saved: unpackPolicy(loaded) };
}

/**
 * The version asked for, or the active one, read and verified.
 *
 * @param root the checkpoint directory, `models/policies` unless configured otherwise
 * @param policyType `gating` or `react`
 * @throws RlcfError("checkpoint") if there is no such version, or its files are missing or do not match their hashes
 */
export async function findStoredPolicy(
  store: RLCFPersistence,
  root: string,
  policyType: string,
  version?: string,
): Promise<StoredPolicy> {
  const checkpoint = version === undefined
    ? await store.getActivePolicy(policyType)
    : await store.getPolicyCheckpoint(version, policyType);
  if (checkpoint === null) {
    const wanted = version === undefined
      ? `no ${policyType} policy is active`
      : `${policyType} has no version ${version}`;
    throw new RlcfError("checkpoint", `Policy checkpoint not found: ${wanted} in ${store.location}`, {
      hint: version === undefined
        ? "Train one (rlcf train), or make a stored version active: rlcf policy list, rlcf policy activate VERSION"
        : "rlcf policy list shows the versions that there are.",
    });
  }
  return await readStoredPolicy(checkpoint, root);
}

/**
 * A policy with the stored weights and moments, on the backend asked for.
 *
 * @param engines the engines to choose from, best first; those of this build by default
 */
export async function openPolicy(
  saved: SavedPolicy,
  backend: BackendName | "auto",
  engines?: readonly EngineEntry[],
): Promise<GatingPolicy> {
  const { experts, shape: { inputDim, hiddenDim, inputScale } } = saved;
  const policy = await GatingPolicy.create({ inputDim, hiddenDim, inputScale, experts, backend, engines });
  try {
    await policy.engine.load(saved.state);
    return policy;
  } catch (thrown) {
    await policy.close();
    throw new RlcfError("checkpoint", `cannot load the stored weights: ${messageOf(thrown)}`, { cause: thrown });
  }
}
