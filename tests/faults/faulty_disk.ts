/**
 * A disk that fails, as SQLite's tests have it: the n-th operation and, if asked for, every one after it.
 *
 * @module
 */
import { DISK, type Disk, type OpenFile } from "../../src/checkpoint/files.ts";

/** Which operations fail: the n-th alone, as a passing fault, or all from the n-th on, as after a crash. */
export type FaultMode = "once" | "forever";

/** Counts operations and says which of them fail. */
export class FaultPlan {
  /** Operations so far. */
  count = 0;
  /** Faults injected so far. */
  injected = 0;

  constructor(
    /** The first operation to fail, from 1; Infinity for none. */
    readonly first: number,
    readonly mode: FaultMode,
  ) {}

  /** Counts an operation; whether it is one to fail. */
  strikes(): boolean {
    this.count++;
    const isStruck = this.mode === "once" ? this.count === this.first : this.count >= this.first;
    if (isStruck) this.injected++;
    return isStruck;
  }
}

/** What a disk says that has an error. */
export function diskError(code = "EIO", message = "Input/output error (os error 5)"): Error {
  return Object.assign(new Error(message), { code });
}

/** The real disk with the faults of a plan. Reads fail as writes do. */
export function faultyDisk(plan: FaultPlan): Disk {
  const tried = <T>(work: () => Promise<T>): Promise<T> => plan.strikes() ? Promise.reject(diskError()) : work();
  return {
    mkdir: (path, options) => tried(() => DISK.mkdir(path, options)),
    rename: (from, to) => tried(() => DISK.rename(from, to)),
    remove: (path, options) => tried(() => DISK.remove(path, options)),
    stat: (path) => tried(() => DISK.stat(path)),
    lstat: (path) => tried(() => DISK.lstat(path)),
    realPath: (path) => tried(() => DISK.realPath(path)),
    readFile: (path) => tried(() => DISK.readFile(path)),
    readDir: async function* (path): AsyncGenerator<Deno.DirEntry> {
      if (plan.strikes()) throw diskError();
      yield* DISK.readDir(path);
    },
    open: (path, options) =>
      tried(async (): Promise<OpenFile> => {
        const file = await DISK.open(path, options);
        return {
          // A failing write leaves a part of the data, as a full disk does.
          write: async (bytes) => {
            if (!plan.strikes()) return await file.write(bytes);
            await file.write(bytes.subarray(0, bytes.length >> 1));
            throw diskError("ENOSPC", "No space left on device (os error 28)");
          },
          sync: () => tried(() => file.sync()),
          [Symbol.dispose]: () => file[Symbol.dispose](),
        };
      }),
  };
}
