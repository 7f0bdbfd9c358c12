import assert from "node:assert/strict";
import { MemoryAhead, type Zeros } from "../../src/episodes/memory_ahead.ts";

/** Floats of a step in these tests. */
const STEP = 8;
const STEPS = 6;
/** Nobody is that slow. */
const patienceMs = Infinity;

/** A source that the test lets answer; `asked` are the first float in the buffer and the number of floats of each read. */
class SlowZeros implements Zeros {
  readonly asked: (readonly [from: number, length: number])[] = [];
  closed = false;
  #waiting: (() => void) | undefined;

  read(bytes: Uint8Array): Promise<number | null> {
    this.asked.push([bytes.byteOffset / 4, bytes.length / 4]);
    return new Promise((resolve) => {
      this.#waiting = () => {
        bytes.fill(0);
        resolve(bytes.length);
      };
    });
  }

  /** Lets the read that is under way end. */
  answer(): void {
    this.#waiting!();
  }

  close(): void {
    this.closed = true;
  }
}

/** Whether a promise is settled once everything that can go on has gone on. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true);
  await new Promise((resolve) => setTimeout(resolve));
  return settled;
}

Deno.test("one step is touched ahead of the writer, who waits for it and no more", async () => {
  const zeros = new SlowZeros();
  // It begins at the second float of its buffer.
  const array = new Float32Array(new ArrayBuffer(4 * (1 + STEP * STEPS)), 4);
  const memory = MemoryAhead.of(array, { open: () => zeros, step: STEP * 4, patienceMs })!;
  // The first step is the writer's own.
  await memory.reach(STEP);
  assert.deepEqual(zeros.asked, [[1 + STEP, STEP]]);
  const second = memory.reach(STEP + 1);
  assert.equal(await isSettled(second), false);
  zeros.answer();
  await second;
  await memory.reach(2 * STEP);
  assert.deepEqual(zeros.asked, [[1 + STEP, STEP], [1 + 2 * STEP, STEP]]);
  const end = memory[Symbol.asyncDispose]();
  assert.equal(await isSettled(end), false, "the step under way still writes");
  assert.equal(zeros.closed, false);
  zeros.answer();
  await end;
  assert.equal(zeros.closed, true);
  assert.equal(zeros.asked.length, 2);
});

Deno.test("a page of several steps is waited for, and the array's end is reached", async () => {
  const zeros = new SlowZeros();
  const array = new Float32Array(STEP * STEPS + 3);
  await using memory = MemoryAhead.of(array, { open: () => zeros, step: STEP * 4, patienceMs })!;
  const all = memory.reach(array.length + 100);
  for (let i = 1; i <= STEPS; i++) {
    assert.equal(await isSettled(all), false);
    zeros.answer();
  }
  await all;
  assert.deepEqual(zeros.asked.at(-1), [STEP * STEPS, 3]);
});

Deno.test("what is written after asking stays, however little the source gives at a time", async () => {
  const array = new Float32Array(STEP * STEPS);
  // Zeros come late, and in pieces of one float to a whole step.
  let reads = 0;
  const zeros: Zeros = {
    async read(bytes): Promise<number> {
      const piece = bytes.subarray(0, 4 * (1 + reads++ % STEP));
      await new Promise((resolve) => setTimeout(resolve));
      piece.fill(0);
      return piece.length;
    },
    close: () => {},
  };
  {
    await using memory = MemoryAhead.of(array, { open: () => zeros, step: STEP * 4, patienceMs })!;
    for (let end = 5; end <= array.length - 3; end += 5) {
      await memory.reach(end);
      for (let i = end - 5; i < end; i++) array[i] = i + 1;
    }
  }
  const written = array.length - array.length % 5;
  assert.deepEqual(array, Float32Array.from(array, (_, i) => i < written ? i + 1 : 0));
  assert.ok(reads >= STEPS);
});

for (
  const [what, read] of [
    ["fails", () => Promise.reject(new Error("the device is gone"))],
    ["is at its end", () => Promise.resolve(null)],
    ["gives nothing", () => Promise.resolve(0)],
  ] satisfies [string, () => Promise<number | null>][]
) {
  Deno.test(`the writer goes on alone where the source ${what}`, async () => {
    let [reads, closed] = [0, 0];
    const zeros: Zeros = {
      read: () => {
        reads++;
        return read();
      },
      close: () => closed++,
    };
    {
      await using memory = MemoryAhead.of(new Float32Array(STEP * STEPS), { open: () => zeros, step: STEP * 4 })!;
      await memory.reach(STEP * STEPS);
    }
    assert.deepEqual([reads, closed], [1, 1]);
  });
}

Deno.test("the writer goes on alone after it had to wait for too long", async () => {
  const zeros = new SlowZeros();
  const array = new Float32Array(STEP * STEPS);
  await using memory = MemoryAhead.of(array, { open: () => zeros, step: STEP * 4, patienceMs: 0 })!;
  const waiting = memory.reach(STEP + 1);
  zeros.answer();
  await waiting;
  await memory.reach(array.length);
  assert.equal(zeros.asked.length, 1);
});

Deno.test("nothing is opened for an array of one step, and nothing done where nothing can be opened", () => {
  const never = (): Zeros => assert.fail("opened");
  assert.equal(MemoryAhead.of(new Float32Array(STEP), { open: never, step: STEP * 4 }), undefined);
  assert.equal(MemoryAhead.of(new Float32Array(0), { open: never }), undefined);
  assert.equal(
    MemoryAhead.of(new Float32Array(STEP * STEPS), { open: () => undefined, step: STEP * 4 }),
    undefined,
  );
});

Deno.test("an array of many megabytes is written whole", async () => {
  const array = new Float32Array(5 * 2 ** 20);
  {
    await using memory = MemoryAhead.of(array);
    for (let [start, end] = [0, 0]; start < array.length; start = end) {
      end = Math.min(start + 100_003, array.length);
      await memory?.reach(end);
      array.fill(end, start, end);
    }
  }
  assert.equal(array.indexOf(0), -1);
});
