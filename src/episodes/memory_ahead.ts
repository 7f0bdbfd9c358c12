/**
 * Memory that is there before it is written. The system hands out the memory of a new array in pieces, each when it is
 * first touched, and takes half as long for an embedding as SQLite takes to find and read it. Here another thread does
 * the touching, some megabytes ahead of the writer: it reads /dev/zero into the array, which leaves it as it was. Deno
 * has such threads at hand; a worker would take longer to start than many a log takes to load.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf } from "../base/errors.ts";

/** Where zeros come from. */
const ZEROS = "/dev/zero";

/** Bytes touched at a time: pages enough that the event loop seldom has to turn, and few enough to stay near the writer. */
const STEP = 4 * 2 ** 20;

/**
 * A wait this long, in milliseconds, says that no core is free for the other thread: the writer goes on alone. A step
 * takes 3 ms, and the collector, which likes to work while others wait, as much.
 */
const PATIENCE_MS = 10;

/** What {@link MemoryAhead} uses of an open file. */
export type Zeros = Pick<Deno.FsFile, "read" | "close">;

/** How {@link MemoryAhead} goes about it. */
export interface MemoryAheadOptions {
  /** Opens what zeros are read from, undefined for not at all; by default /dev/zero, where a second core can read it. */
  readonly open?: () => Zeros | undefined;
  /** Bytes touched at a time. */
  readonly step?: number;
  /** The longest wait, in milliseconds, after which more is touched. */
  readonly patienceMs?: number;
}

/** Touches the memory of an array ahead of its writer, who asks by {@link reach} before writing. */
export class MemoryAhead implements AsyncDisposable {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #zeros: Zeros;
  readonly #step: number;
  readonly #patienceMs: number;
  /** Bytes from the beginning that the other thread will not write to any more. */
  #ready: number;
  /** What {@link #ready} will be once the step under way is done; never rejects. */
  #next: Promise<number>;

  private constructor(bytes: Uint8Array<ArrayBuffer>, zeros: Zeros, step: number, patienceMs: number) {
    this.#bytes = bytes;
    this.#zeros = zeros;
    this.#step = step;
    this.#patienceMs = patienceMs;
    // The first step is the writer's own, who would have to wait for it.
    this.#ready = step;
    this.#next = this.#touch(step);
  }

  /**
   * Begins with an array to which nothing was written yet. Undefined where nothing is gained or nothing can be done: the
   * first step would be all, there is one core, there is no /dev/zero, or no leave to read it.
   */
  static of(array: Float32Array<ArrayBuffer>, options: MemoryAheadOptions = {}): MemoryAhead | undefined {
    const { open = openZeros, step = STEP, patienceMs = PATIENCE_MS } = options;
    const zeros = array.byteLength > step ? open() : undefined;
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    return zeros && new MemoryAhead(bytes, zeros, step, patienceMs);
  }

  /** Waits until the entries before `end` are the caller's alone to write. */
  async reach(end: number): Promise<void> {
    const wanted = Math.min(end * Float32Array.BYTES_PER_ELEMENT, this.#bytes.length);
    while (this.#ready < wanted) {
      const startedAt = performance.now();
      this.#ready = await this.#next;
      if (performance.now() - startedAt >= this.#patienceMs) this.#ready = this.#bytes.length;
      this.#next = this.#touch(this.#ready);
    }
  }

  /** Waits for the step under way, which still writes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#next;
    this.#zeros.close();
  }

  /** Reads zeros into the step from here on; gives its end, or the array's where no more will be done. */
  async #touch(from: number): Promise<number> {
    const step = this.#bytes.subarray(from, from + this.#step);
    if (step.length === 0) return from;
    try {
      const read = await this.#zeros.read(step);
      if (read !== null && read > 0) return from + read;
    } catch (error) {
      getLogger(["rlcf", "episodes"]).debug("memory is not prepared ahead: {reason}", { reason: messageOf(error) });
    }
    return this.#bytes.length;
  }
}

function openZeros(): Zeros | undefined {
  if (Deno.build.os === "windows" || navigator.hardwareConcurrency < 2) return undefined;
  if (Deno.permissions.querySync({ name: "read", path: ZEROS }).state !== "granted") return undefined;
  try {
    return Deno.openSync(ZEROS);
  } catch {
    return undefined;
  }
}
