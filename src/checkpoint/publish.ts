/**
 * Writing a checkpoint so that it is either there, whole and on the disk, or not there at all: into a temporary
 * directory, every file synced, the manifest last, then one rename. The row in the database, inserted afterwards by the
 * caller, is what makes the version known; a crash in between leaves a directory that nothing refers to.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { dirname, join } from "node:path";
import { messageOf, RlcfError } from "../base/errors.ts";
import {
  type CheckpointContent,
  directoryName,
  MANIFEST_FILE,
  POLICY_FILE,
  TEMPORARY_PREFIX,
  TRAINER_FILE,
} from "./checkpoint.ts";
import { codeOf, DISK, type Disk, onDisk, syncDirectory, unlessMissing, writeDurably } from "./files.ts";
import { decodeManifest, encodeManifest, type FileSeal, sealOf, sha256Hex } from "./manifest.ts";
import { encodeSafetensors } from "./safetensors.ts";
import { encodeTrainer } from "./trainer.ts";

/** Where a checkpoint was published. */
export interface PublishedCheckpoint {
  /** Name of its directory inside the checkpoint directory: the value for `policy_checkpoints.state_dict_path`. */
  readonly path: string;
  /** SHA-256 of its manifest, 64 hexadecimal digits. */
  readonly sha256: string;
}

/**
 * Publishes a checkpoint. When this returns, the version is on the disk under its final name.
 *
 * @param root the checkpoint directory; created if it is not there
 * @param disk what is written to; the real one by default
 * @throws RlcfError `checkpoint` when the version exists already or the disk fails (nothing is left then), or for content
 * that could not be read back; `usage` when policy type or version cannot name a directory
 */
export async function publishCheckpoint(
  root: string,
  content: CheckpointContent,
  disk: Disk = DISK,
): Promise<PublishedCheckpoint> {
  const path = directoryName(content.policyType, content.version);
  const files = encodeFiles(content);
  const seals: Record<string, FileSeal> = {};
  for (const [name, bytes] of files) seals[name] = sealOf(bytes);
  const manifest = encodeManifest({ ...content, files: seals });
  // Better to refuse now than to publish what cannot be loaded.
  decodeManifest(manifest, `the manifest of ${path}`);

  await createRoot(root, disk);
  const target = join(root, path);
  if (await exists(target, disk)) throw alreadyThere(target);
  const temporary = join(root, `${TEMPORARY_PREFIX}${path}-${crypto.randomUUID().slice(0, 8)}`);
  let renamed = false;
  try {
    await onDisk("create directory", temporary, () => disk.mkdir(temporary));
    // Side by side, and both to their end even if one fails: nothing may still be writing when the rest is discarded.
    const writes = files.map(([name, bytes]) => writeDurably(join(temporary, name), bytes, disk));
    await Promise.allSettled(writes);
    await Promise.all(writes);
    await writeDurably(join(temporary, MANIFEST_FILE), manifest, disk);
    await syncDirectory(temporary, disk);
    await rename(temporary, target, disk);
    renamed = true;
    await syncDirectory(root, disk);
  } catch (thrown) {
    await discard(temporary, renamed ? target : undefined, disk);
    throw thrown;
  } finally {
    // Versions come faster than the collector looks for megabytes that nobody needs any more.
    for (const [, bytes] of files) bytes.buffer.transfer(0);
  }
  return { path, sha256: sha256Hex(manifest) };
}

function encodeFiles({ policyType, version, policy, trainer }: CheckpointContent): [string, Uint8Array<ArrayBuffer>][] {
  return [
    // "format: pt" is how other programs recognise torch's names and layout.
    [POLICY_FILE, encodeSafetensors(policy, { format: "pt", policy_type: policyType, version })],
    [TRAINER_FILE, encodeTrainer(trainer)],
  ];
}

/** Creates the checkpoint directory where it is missing, and syncs its parent as far as rlcf may read it. */
async function createRoot(root: string, disk: Disk): Promise<void> {
  if (await exists(root, disk)) return;
  await onDisk("create checkpoint directory", root, () => disk.mkdir(root, { recursive: true }));
  const parent = dirname(root);
  const permission = await Deno.permissions.query({ name: "read", path: parent });
  if (permission.state === "granted") await syncDirectory(parent, disk);
}

/** Renames a directory; one with files that holds the name already is an error of the system, never overwritten. */
async function rename(from: string, to: string, disk: Disk): Promise<void> {
  await onDisk("publish checkpoint", to, async () => {
    try {
      await disk.rename(from, to);
    } catch (thrown) {
      if (["ENOTEMPTY", "EEXIST"].includes(codeOf(thrown) ?? "")) throw alreadyThere(to);
      throw thrown;
    }
  });
}

async function exists(path: string, disk: Disk): Promise<boolean> {
  return await unlessMissing("look at", path, () => disk.lstat(path)) !== undefined;
}

/**
 * Removes what a failed publication left, after taking back the final name if it got that far. If this fails as well,
 * the sweep of temporary directories is the net.
 */
async function discard(directory: string, published: string | undefined, disk: Disk): Promise<void> {
  try {
    if (published !== undefined) await disk.rename(published, directory);
    await disk.remove(directory, { recursive: true });
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return;
    getLogger(["rlcf", "checkpoint"]).warn("could not remove {directory} after a failed publication: {cause}", {
      directory,
      cause: messageOf(thrown),
    });
  }
}

function alreadyThere(target: string): RlcfError {
  return new RlcfError("checkpoint", `cannot publish checkpoint ${target}: it exists already`, {
    hint: "Published versions are never overwritten: choose another version.",
  });
}
