/**
 * Checkpoints: the versions of a policy as files on disk. This is the file to open first; it names everything that
 * the room leaves behind.
 *
 * Inside the checkpoint directory (`models/policies` unless configured otherwise):
 *
 * ```
 * gating-v1.0.2/                 one published version, never changed afterwards
 *   policy.safetensors           the weights alone, in torch's names and layout: load_state_dict(load_file(...))
 *   trainer.safetensors          what resuming needs besides: moments as tensors, counters and RNG as JSON metadata
 *   manifest.json                who made it from what, and the size and SHA-256 of the two files; written last
 * gating-v1.0.3-ep.300/          a periodic version, saved after 300 episodes of the session that leads to v1.0.3
 * .tmp-gating-v1.0.3-1f0c9a2e/   a version being written; only a crash leaves one behind, and the sweep removes it
 * .tmp-trash-gating-...-77b0d1/  a version being deleted; likewise
 * ```
 *
 * A directory without the `.tmp-` prefix is therefore complete. Files that the manifest does not list may lie in it
 * (a benchmark's result, say): they are no part of the checkpoint and are neither read nor verified.
 *
 * `publish.ts` writes a version, `load.ts` reads and verifies one, `retention.ts` deletes them, `version.ts` orders
 * their names; `safetensors.ts` and `manifest.ts` are the two file formats.
 *
 * @module
 */
import { join } from "node:path";
import { RlcfError } from "../base/errors.ts";
import type { JsonObject } from "../base/check.ts";
import type { Manifest } from "./manifest.ts";
import type { TensorMap } from "./safetensors.ts";
import { canonicalVersion } from "./version.ts";

/** The file of the weights. */
export const POLICY_FILE = "policy.safetensors";
/** The file of everything else that resuming needs. */
export const TRAINER_FILE = "trainer.safetensors";
/** The file that describes and seals the others. */
export const MANIFEST_FILE = "manifest.json";
/** How the name of every directory begins that is not a published checkpoint. */
export const TEMPORARY_PREFIX = ".tmp-";

/** What a trainer needs to go on bit for bit: arrays as float32 tensors, everything else as JSON. */
export interface TrainerState {
  /** Float32 arrays such as the optimizer's moments. */
  readonly tensors: TensorMap;
  /** Counters, baseline, random state, cursor. Numbers keep all 64 bits; one that is not finite is refused. */
  readonly state: JsonObject;
}

/** A checkpoint to publish: the manifest's description, and the tensors. */
export interface CheckpointContent extends Omit<Manifest, "files"> {
  /** The weights, by torch's names (`0.weight` [out, in], `0.bias` [out], `3.weight`, ...). */
  readonly policy: TensorMap;
  /** The trainer's state. */
  readonly trainer: TrainerState;
}

/** A checkpoint that was read and whose hashes hold. */
export interface LoadedCheckpoint {
  /** Name of its directory inside the checkpoint directory. */
  readonly path: string;
  /** SHA-256 of its manifest, 64 hexadecimal digits; through the manifest's hashes it stands for every file. */
  readonly sha256: string;
  /** What the manifest says. */
  readonly manifest: Manifest;
  /** The weights, by torch's names. */
  readonly policy: TensorMap;
  /** The trainer's state. */
  readonly trainer: TrainerState;
}

/**
 * The directory name of a version, `<policyType>-<version>`.
 *
 * @throws RlcfError `usage` when either part would not make a plain, portable directory name
 */
export function directoryName(policyType: string, version: string): string {
  if (!/^[a-z][a-z0-9_]{0,49}$/.test(policyType)) {
    throw new RlcfError(
      "usage",
      `cannot name a checkpoint: policy type ${JSON.stringify(policyType)}, wanted lower-case letters, digits and _`,
    );
  }
  const canonical = canonicalVersion(version);
  if (canonical !== version) {
    throw new RlcfError("usage", `cannot name a checkpoint: version ${version}, wanted it written ${canonical}`);
  }
  return `${policyType}-${version}`;
}

/**
 * The place of a checkpoint on disk. The path comes from a database that others write too, so it must be one plain
 * name: nothing absolute, no separators, no `..`, no temporary directory.
 *
 * @throws RlcfError `checkpoint` for any other path
 */
export function directoryOf(root: string, path: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$/.test(path)) {
    const shown = JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}...` : path);
    throw new RlcfError(
      "checkpoint",
      `cannot use checkpoint path ${shown}: wanted the name of a directory inside ${root}, such as gating-v1.0.1`,
      { hint: "Paths with folders are refused so that a database row cannot point outside the checkpoint directory." },
    );
  }
  return join(root, path);
}
