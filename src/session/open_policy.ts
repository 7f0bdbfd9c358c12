/**
 * A stored version as a policy that can route.
 *
 * @module
 */
import { messageOf, RlcfError } from "../base/errors.ts";
import { DISK, type Disk } from "../checkpoint/files.ts";
import type { LoadedCheckpoint } from "../checkpoint/checkpoint.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import type { EngineEntry } from "../engine/create.ts";
import type { BackendName } from "../engine/engine.ts";
import { GatingPolicy } from "../policy/gating_policy.ts";
import type { PolicyCheckpoint, RLCFPersistence } from "../store/persistence.ts";
import { ReActPolicy } from "../policy/react_policy.ts";
import { TraversalPolicy } from "../policy/traversal_policy.ts";
import { type SavedPolicy, unpackPolicy } from "./saved_policy.ts";
import { type SavedReAct, unpackReAct } from "./saved_react.ts";

/** A stored version of any type and what its checkpoint holds. */
export interface Stored<Saved> {
  /** Its row in the database. */
  readonly checkpoint: PolicyCheckpoint;
  /** What its checkpoint holds. */
  readonly saved: Saved;
}

/** A stored version of a policy that routes, and what {@link openPolicy} takes. */
export type StoredPolicy = Stored<SavedPolicy>;

/** A stored version of a ReActPolicy, and what {@link openReActPolicy} takes. */
export type StoredReAct = Stored<SavedReAct>;

/** Reads the checkpoint of a row and verifies its hashes. */
export function readStoredPolicy(
  checkpoint: PolicyCheckpoint,
  root: string,
  disk: Disk = DISK,
): Promise<StoredPolicy> {
  return readStored(checkpoint, root, unpackPolicy, disk);
}

/** Reads the checkpoint of a row, verifies its hashes, and unpacks it as its type does. */
export async function readStored<Saved>(
  checkpoint: PolicyCheckpoint,
  root: string,
  unpack: (checkpoint: LoadedCheckpoint) => Saved,
  disk: Disk = DISK,
): Promise<Stored<Saved>> {
  if (checkpoint.stateDictPath === null) {
    throw new RlcfError("checkpoint", `Policy checkpoint not found: ${checkpoint.version} has no files on record`);
  }
  const loaded = await loadCheckpoint(root, checkpoint.stateDictPath, checkpoint.manifestSha256 ?? undefined, disk);
  return { checkpoint, saved: unpack(loaded) };
}

/**
 * The version asked for, or the active one, read and verified.
 *
 * @param root the checkpoint directory, `models/policies` unless configured otherwise
 * @param policyType `gating`; or `traversal`, of which this gives the decision between following and leaving
 * @throws RlcfError("checkpoint") if there is no such version, or its files are missing or do not match their hashes
 */
export async function findStoredPolicy(
  store: RLCFPersistence,
  root: string,
  policyType: string,
  version?: string,
): Promise<StoredPolicy> {
  return await readStoredPolicy(await findCheckpoint(store, policyType, version), root);
}

/**
 * The version of a ReActPolicy asked for, or the active one, read and verified; {@link openReActPolicy} takes what it holds.
 *
 * @param root the checkpoint directory, `models/policies` unless configured otherwise
 * @throws RlcfError("checkpoint") if there is no such version, or its files are missing or do not match their hashes
 */
export async function findStoredReAct(store: RLCFPersistence, root: string, version?: string): Promise<StoredReAct> {
  return await readStored(await findCheckpoint(store, "react", version), root, unpackReAct);
}

/** The row of the version asked for, or of the active one; throws RlcfError("checkpoint") if there is none. */
export async function findCheckpoint(
  store: RLCFPersistence,
  policyType: string,
  version?: string,
): Promise<PolicyCheckpoint> {
  const checkpoint = version === undefined
    ? await store.getActivePolicy(policyType)
    : await store.getPolicyCheckpoint(version, policyType);
  if (checkpoint === null) {
    const wanted = version === undefined
      ? `no ${policyType} policy is active`
      : `${policyType} has no version ${version}`;
    const type = policyType === "gating" ? "" : ` --policy-type ${policyType}`;
    throw new RlcfError("checkpoint", `Policy checkpoint not found: ${wanted} in ${store.location}`, {
      hint: version === undefined
        ? `Train one (rlcf train${type}), or make a stored version active: rlcf policy list${type}, ` +
          `rlcf policy activate${type} VERSION`
        : `rlcf policy list${type} shows the versions that there are.`,
    });
  }
  return checkpoint;
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
  return await loaded(policy, () => policy.engine.load(saved.state));
}

/** A traversal policy with the stored weights and moments, on the backend asked for. */
export async function openTraversalPolicy(
  saved: SavedPolicy,
  backend: BackendName | "auto",
): Promise<TraversalPolicy> {
  const { relations, shape: { inputDim, hiddenDim, inputScale } } = saved;
  if (relations === undefined) {
    throw new RlcfError("checkpoint", "cannot open the traversal policy: its checkpoint names no relations");
  }
  const policy = await TraversalPolicy.create({
    inputDim: inputDim - relations.length,
    hiddenDim,
    inputScale,
    relations,
    backend,
  });
  return await loaded(policy, () => policy.decision.engine.load(saved.state));
}

/**
 * A ReActPolicy with the stored weights and moments of actor and critic, on the backend asked for.
 *
 * @param engines the engines to choose from, best first; those of this build by default
 */
export async function openReActPolicy(
  saved: SavedReAct,
  backend: BackendName | "auto",
  engines?: readonly EngineEntry[],
): Promise<ReActPolicy> {
  const { actions, shape: { inputDim: stateDim, hiddenDim, inputScale } } = saved;
  const policy = await ReActPolicy.create({ stateDim, hiddenDim, inputScale, actions, backend, engines });
  return await loaded(policy, async () => {
    await policy.actor.load(saved.actor);
    await policy.critic.load(saved.critic);
  });
}

/** The policy with its weights; released where they cannot be loaded. */
async function loaded<P extends { close(): Promise<void> }>(policy: P, load: () => Promise<void>): Promise<P> {
  try {
    await load();
    return policy;
  } catch (thrown) {
    await policy.close();
    throw new RlcfError("checkpoint", `cannot load the stored weights: ${messageOf(thrown)}`, { cause: thrown });
  }
}
