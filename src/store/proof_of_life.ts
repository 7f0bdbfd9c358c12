/**
 * Proof that the holder of a lease has died, for trainers on the same host: an empty file that the holder keeps locked.
 * The operating system lets go of the lock when the process ends, however it ends; whoever finds the file unlocked
 * knows that its holder is gone, and need not wait for the lease to expire.
 *
 * A process number would prove less: numbers are used again, two containers may share a host's name but not its
 * processes, and Deno lets nobody read `/proc` without `--allow-all`. Where the file cannot be made or is not found
 * (another host, another user, no `/tmp`), nothing is proved and the lease's expiry decides.
 *
 * On disk: `/tmp/rlcf-lease-<hash of the lease>`, readable by its owner only, removed when the lease is let go.
 *
 * @module
 */
import type { LeaseHolder } from "./records.ts";

const DIRECTORY = "/tmp";

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
    const unlocked = `${path}-${crypto.randomUUID().slice(0, 8)}`;
    try {
      const file = await Deno.open(unlocked, { createNew: true, read: true, write: true, mode: 0o600 });
      // Under its own name only once it is locked: unlocked it would prove a death.
      await file.lock(true);
      await Deno.rename(unlocked, path);
      return new ProofOfLife(path, file);
    } catch {
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
  try {
    using file = await Deno.open(await proofPath(holder), { read: true });
    // Others may not have put it there: only its owner, or root, could open one that nobody else may read.
    const { isFile, mode } = await file.stat();
    if (!isFile || mode === null || (mode & 0o077) !== 0) return false;
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
