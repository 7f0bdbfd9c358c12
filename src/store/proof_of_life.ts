/**
 * Proof that the holder of a lease has died, for trainers on the same host: an empty file that the holder keeps locked.
 * The operating system lets go of the lock when the process ends, however it ends; whoever finds the file unlocked
 * knows that its holder is gone, and need not wait for the lease to expire.
 *
 * A process number would prove less: numbers are used again, two containers may share a host's name but not its
 * processes, and Deno lets nobody read `/proc` without `--allow-all`. Where the file cannot be made or is not found
 * (another host, another user, no `/tmp`), nothing is proved and the lease's expiry decides.
 *
 * On disk: `/tmp/rlcf-lease-<hash of the lease>`, readable by its owner only, removed when the lease is let go. Everyone
 * may write into `/tmp`, so nothing is believed, and nothing even opened, but a file that this user made.
 *
 * @module
 */
import type { LeaseHolder } from "./records.ts";

const DIRECTORY = "/tmp";
/** Only the owner of a file may remove or rename it in such a directory. */
const STICKY = 0o1000;
const WRITABLE_BY_OTHERS = 0o022;
const OPEN_TO_OTHERS = 0o077;

/** The lock that a living holder keeps. */
export class ProofOfLife {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Begins to prove that this process lives; undefined where that is not possible here. Never throws. */
  static async give(holder: LeaseHolder): Promise<ProofOfLife | undefined> {
    if (!mayUseFiles()) return undefined;
    const path = await proofPath(holder);
    const unlocked = temporaryPath(path);
    let file: Deno.FsFile | undefined;
    try {
      file = await Deno.open(unlocked, { createNew: true, read: true, write: true, mode: 0o600 });
      // Under its own name only once it is locked: unlocked it would prove a death.
      await file.lock(true);
      await Deno.rename(unlocked, path);
      return new ProofOfLife(path, file);
    } catch {
      file?.close();
      await Deno.remove(unlocked).catch(() => {});
      return undefined;
    }
  }

  /**
   * Ends the proof.
   *
   * @param released whether the database knows; otherwise the file stays, unlocked, and says it
   */
  async end(released: boolean): Promise<void> {
    if (released) await Deno.remove(this.#path).catch(() => {});
    this.#file.close();
  }
}

/** Whether the holder of a lease has provably ended. False where nothing can be proved. Never throws. */
export async function isProvablyGone(holder: LeaseHolder): Promise<boolean> {
  if (!mayUseFiles()) return false;
  const path = await proofPath(holder);
  try {
    // Before it is opened: to open a pipe may take for ever, and a link leads to a file that says nothing.
    const found = await Deno.lstat(path);
    if (!isProof(found) || !await isProtected() || found.uid !== await ownUser(path)) return false;
    using file = await Deno.open(path, { read: true });
    const opened = await file.stat();
    if (opened.dev !== found.dev || opened.ino !== found.ino) return false;
    // Shared, so that several who ask at once all get the same answer.
    return await file.tryLock(false);
  } catch {
    return false;
  }
}

/** Removes the file of a holder that is gone. Never throws. */
export async function forgetProof(holder: LeaseHolder): Promise<void> {
  if (mayUseFiles()) await Deno.remove(await proofPath(holder)).catch(() => {});
}

/** As {@link ProofOfLife.give} makes it: with a second name it might be any file of this user. */
function isProof({ isFile, mode, nlink, size, ino, uid }: Deno.FileInfo): boolean {
  return isFile && uid !== null && ino !== null && nlink === 1 && size === 0 && mode !== null &&
    (mode & OPEN_TO_OTHERS) === 0;
}

/** Whether nobody else can put another file in the place of one of this user's. */
async function isProtected(): Promise<boolean> {
  const { mode } = await Deno.stat(DIRECTORY);
  return mode !== null && ((mode & STICKY) !== 0 || (mode & WRITABLE_BY_OTHERS) === 0);
}

/** This process' user: the owner of a file that it makes. To ask for the number takes a permission of its own. */
async function ownUser(path: string): Promise<number | null> {
  const probe = temporaryPath(path);
  using file = await Deno.open(probe, { createNew: true, write: true, mode: 0o600 });
  try {
    return (await file.stat()).uid;
  } finally {
    await Deno.remove(probe);
  }
}

function temporaryPath(path: string): string {
  return `${path}-${crypto.randomUUID().slice(0, 8)}`;
}

function mayUseFiles(): boolean {
  if (Deno.build.os === "windows") return false;
  // Never asks for a permission that was not given.
  return (["read", "write"] as const).every((name) =>
    Deno.permissions.querySync({ name, path: DIRECTORY }).state === "granted"
  );
}

/**
 * Where the file of a lease is: the same for holder and challenger; the token and the database's clock tell apart what
 * was ever held.
 */
export async function proofPath({ policyType, host, processId, token, acquiredAt }: LeaseHolder): Promise<string> {
  const identity = new TextEncoder().encode(JSON.stringify([policyType, host, processId, token, acquiredAt]));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", identity)).toHex().slice(0, 32);
  return `${DIRECTORY}/rlcf-lease-${hash}`;
}
