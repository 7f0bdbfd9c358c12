/**
 * Reading a checkpoint: nothing is decoded before its size and hash agree with the manifest, and every byte is read
 * once, so that what was verified is what is used.
 *
 * @module
 */
import { join, sep } from "node:path";
import { RlcfError } from "../base/errors.ts";
import {
  directoryName,
  directoryOf,
  type LoadedCheckpoint,
  MANIFEST_FILE,
  POLICY_FILE,
  TRAINER_FILE,
} from "./checkpoint.ts";
import { DISK, type Disk, onDisk, unlessMissing } from "./files.ts";
import { decodeManifest, type Manifest, sha256Hex } from "./manifest.ts";
import { decodeSafetensors } from "./safetensors.ts";
import { decodeTrainer } from "./trainer.ts";

const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Half a billion numbers; a sparse file that claims more must not fill the memory before its hash is known. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

/**
 * Reads a checkpoint after verifying all of its files.
 *
 * @param root the checkpoint directory
 * @param path `state_dict_path` of the database: the name of a directory inside `root`
 * @param wantedSha256 hash that the manifest must have, where the caller recorded it at publication
 * @throws RlcfError `checkpoint` when it is missing, broken, or outside `root`
 */
export async function loadCheckpoint(
  root: string,
  path: string,
  wantedSha256?: string,
  disk: Disk = DISK,
): Promise<LoadedCheckpoint> {
  const { loaded, problems } = await examine(disk, root, path, wantedSha256);
  if (loaded !== undefined) return loaded;
  throw new RlcfError("checkpoint", `cannot load policy checkpoint ${path}: ${problems.join("; ")}`, {
    hint: "Restore the directory from a backup, or go back to another version with: rlcf policy rollback",
  });
}

/**
 * Everything that is wrong with a checkpoint, one sentence each; empty when it can be loaded. Parameters as in
 * {@link loadCheckpoint}. Throws only for defects of rlcf.
 */
export async function verifyCheckpoint(
  root: string,
  path: string,
  wantedSha256?: string,
  disk: Disk = DISK,
): Promise<string[]> {
  try {
    return (await examine(disk, root, path, wantedSha256)).problems;
  } catch (thrown) {
    if (thrown instanceof RlcfError) return [thrown.message];
    throw thrown;
  }
}

interface Examination {
  /** Present exactly when there are no problems. */
  readonly loaded?: LoadedCheckpoint;
  readonly problems: string[];
}

async function examine(
  disk: Disk,
  root: string,
  path: string,
  wantedSha256: string | undefined,
): Promise<Examination> {
  const directory = await findDirectory(disk, root, path);
  const manifestFile = await readInside(disk, root, directory, MANIFEST_FILE);
  if (typeof manifestFile === "string") return { problems: [manifestFile] };
  const sha256 = sha256Hex(manifestFile);
  if (wantedSha256 !== undefined && sha256 !== wantedSha256) {
    return { problems: [`${MANIFEST_FILE} has SHA-256 ${sha256}, wanted ${wantedSha256}`] };
  }
  const manifest = decodeManifest(manifestFile, join(directory, MANIFEST_FILE));

  const problems = identityProblems(manifest, path);
  const verified = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of new Set([POLICY_FILE, TRAINER_FILE, ...Object.keys(manifest.files)])) {
    const file = await readSealed(disk, root, directory, name, manifest);
    if (typeof file === "string") problems.push(file);
    else verified.set(name, file);
  }
  if (problems.length > 0) return { problems };
  const policy = decodeSafetensors(verified.get(POLICY_FILE)!, join(directory, POLICY_FILE)).tensors;
  const trainer = decodeTrainer(verified.get(TRAINER_FILE)!, join(directory, TRAINER_FILE));
  return { problems, loaded: { path, sha256, manifest, policy, trainer } };
}

/** The checkpoint's directory, once it is known to exist and to lie inside the root. */
async function findDirectory(disk: Disk, root: string, path: string): Promise<string> {
  const directory = directoryOf(root, path);
  const info = await unlessMissing("look for checkpoint", directory, () => disk.stat(directory));
  if (info === undefined) {
    throw new RlcfError("checkpoint", `Policy checkpoint not found: ${path} in ${root}`, {
      hint:
        "rlcf policy list shows the versions and their directories; --config or RLCF_CHECKPOINT_DIR sets where to look.",
    });
  }
  if (!info.isDirectory) {
    throw new RlcfError("checkpoint", `cannot load policy checkpoint ${directory}: found a file, wanted a directory`);
  }
  if (!await isInside(disk, root, directory)) {
    throw new RlcfError("checkpoint", `cannot load policy checkpoint ${directory}: it is a link that leaves ${root}`);
  }
  return directory;
}

/** The content of a file that agrees with its seal, or the problem as a sentence. */
async function readSealed(
  disk: Disk,
  root: string,
  directory: string,
  name: string,
  manifest: Manifest,
): Promise<Uint8Array<ArrayBuffer> | string> {
  const seal = Object.hasOwn(manifest.files, name) ? manifest.files[name] : undefined;
  if (seal === undefined) return `${MANIFEST_FILE} does not list ${name}`;
  const bytes = await readInside(disk, root, directory, name, seal.bytes);
  if (typeof bytes === "string") return bytes;
  const sha256 = sha256Hex(bytes);
  return sha256 === seal.sha256 ? bytes : `${name} has SHA-256 ${sha256}, wanted ${seal.sha256}`;
}

/** The content of a file of the checkpoint, or the problem as a sentence; the size is judged before reading. */
async function readInside(
  disk: Disk,
  root: string,
  directory: string,
  name: string,
  wantedBytes?: number,
): Promise<Uint8Array<ArrayBuffer> | string> {
  const path = join(directory, name);
  const info = await unlessMissing("look for", path, () => disk.stat(path));
  if (info === undefined) return `${name} is missing`;
  if (!info.isFile) return `${name} is not a regular file`;
  if (!await isInside(disk, root, path)) return `${name} is a link that leaves ${root}`;
  const most = wantedBytes === undefined ? MAX_MANIFEST_BYTES : MAX_FILE_BYTES;
  if (info.size > most) return `${name} has ${info.size} bytes, wanted at most ${most}`;
  if (wantedBytes !== undefined && info.size !== wantedBytes) {
    return `${name} has ${info.size} bytes, wanted ${wantedBytes}`;
  }
  return await onDisk("read", path, () => disk.readFile(path));
}

/** A directory that was renamed or copied over another one holds the wrong version, however sound its files are. */
function identityProblems({ policyType, version }: Manifest, path: string): string[] {
  const found = `${MANIFEST_FILE} describes ${JSON.stringify(`${policyType}-${version}`)}`;
  try {
    return directoryName(policyType, version) === path ? [] : [`${found}, wanted ${path}`];
  } catch (thrown) {
    if (thrown instanceof RlcfError) return [`${found}: ${thrown.message}`];
    throw thrown;
  }
}

/** Whether a path, with every link in it followed, lies below the root. */
async function isInside(disk: Disk, root: string, path: string): Promise<boolean> {
  const realRoot = await onDisk("resolve", root, () => disk.realPath(root));
  const realPath = await onDisk("resolve", path, () => disk.realPath(path));
  return realPath.startsWith(realRoot.endsWith(sep) ? realRoot : `${realRoot}${sep}`);
}
