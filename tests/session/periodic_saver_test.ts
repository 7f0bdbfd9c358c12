import assert from "node:assert/strict";
import { DISK } from "../../src/checkpoint/files.ts";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { initialState } from "../../src/engine/network.ts";
import { PeriodicSaver } from "../../src/session/periodic_saver.ts";
import { type NewVersion, type SessionContext, statesOf } from "../../src/session/versions.ts";
import { Workplace } from "./support.ts";

const SHAPE = { inputDim: 3, hiddenDim: 0, outputs: 2, inputScale: 1 };

/** The version after so many episodes, whose weights come from that number. */
function versionAt(episodes: number): NewVersion {
  return {
    version: `v1.0.0-ep.${episodes}`,
    snapshot: {
      network: { shape: SHAPE, experts: ["a", "b"] },
      engine: { backend: "cpu", device: "none" },
      state: initialState(SHAPE, episodes),
      trainer: { baseline: 0.5, rewardStd: 0.1, rewardWindow: [], numUpdates: episodes },
    },
    metrics: {},
    episodes,
    run: {},
  };
}

/** A disk that does not write before it is told to, and counts the versions that it was given to write. */
class Gate {
  readonly #open = Promise.withResolvers<void>();
  /** Names of the directories that were begun. */
  readonly begun: string[] = [];
  /** Refuses the directory whose name holds this. */
  broken: string | undefined;

  /** The disk. */
  readonly disk = {
    ...DISK,
    mkdir: async (path: string, options?: Deno.MkdirOptions): Promise<void> => {
      this.begun.push(/ep\.\d+/.exec(path)![0]);
      await this.#open.promise;
      if (this.broken !== undefined && path.includes(this.broken)) throw new Deno.errors.PermissionDenied("broken");
      await DISK.mkdir(path, options);
    },
  };

  /** Lets everything be written from now on. */
  open(): void {
    this.#open.resolve();
  }
}

async function withSaver(
  keepLastN: number,
  test: (saver: PeriodicSaver, gate: Gate, workplace: Workplace) => Promise<void>,
): Promise<void> {
  await using workplace = await Workplace.open(0);
  const { store, root } = workplace;
  await using lease = await store.acquireLease("gating");
  const gate = new Gate();
  const context: SessionContext = {
    store,
    root,
    disk: gate.disk,
    policyType: "gating",
    fence: lease.holder,
    sessionId: await store.startTrainingSession("gating"),
    parentVersion: null,
    config: {},
    predecessors: new Set(),
  };
  const saver = new PeriodicSaver(context, keepLastN, 0);
  try {
    await test(saver, gate, workplace);
  } finally {
    gate.open();
    await saver[Symbol.asyncDispose]();
  }
}

async function episodesStored({ store }: Workplace): Promise<number[]> {
  return (await store.listPolicyCheckpoints("gating")).map((row) => row.trainingEpisodes).sort((a, b) => a - b);
}

Deno.test("a slow disk does not hold up training, and in the end the newest versions are there, each with its own weights", async () => {
  await withSaver(2, async (saver, gate, workplace) => {
    for (let i = 1; i <= 9; i++) await saver.save(versionAt(i));
    gate.open();
    await saver.settle();
    assert.deepEqual(gate.begun, ["ep.1", "ep.8", "ep.9"]);
    assert.deepEqual(await episodesStored(workplace), [8, 9]);
    assert.deepEqual(await workplace.directories(), ["gating-v1.0.0-ep.8", "gating-v1.0.0-ep.9"]);
    for (const episodes of [8, 9]) {
      const { policy } = await loadCheckpoint(workplace.root, `gating-v1.0.0-ep.${episodes}`);
      assert.deepEqual(policy["0.weight"]!.data, initialState(SHAPE, episodes).parameters.slice(0, 6));
    }
  });
});

Deno.test("where all versions are to be kept, none is left out, and saving waits once five are in memory", async () => {
  await withSaver(100, async (saver, gate, workplace) => {
    for (let i = 1; i <= 6; i++) await saver.save(versionAt(i));
    let taken = false;
    const seventh = saver.save(versionAt(7)).then(() => taken = true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(taken, false);
    gate.open();
    await seventh;
    for (let i = 8; i <= 12; i++) await saver.save(versionAt(i));
    await saver.settle();
    assert.deepEqual(await episodesStored(workplace), Array.from({ length: 12 }, (_, i) => i + 1));
  });
});

Deno.test("a failure is heard of by the next save and by settling, and nothing is written after it", async () => {
  await withSaver(2, async (saver, gate, workplace) => {
    gate.broken = "ep.1";
    for (let i = 1; i <= 3; i++) await saver.save(versionAt(i));
    gate.open();
    await assert.rejects(saver.settle(), /broken/);
    await assert.rejects(saver.save(versionAt(4)), /broken/);
    assert.deepEqual(gate.begun, ["ep.1"]);
    assert.deepEqual(await episodesStored(workplace), []);
  });
});

Deno.test("a session that ends otherwise waits for the version being written and writes the newest, but none between", async () => {
  await withSaver(3, async (saver, gate, workplace) => {
    for (let i = 1; i <= 4; i++) await saver.save(versionAt(i));
    const disposed = saver[Symbol.asyncDispose]();
    gate.open();
    await disposed;
    assert.deepEqual(gate.begun, ["ep.1", "ep.4"]);
    assert.deepEqual(await episodesStored(workplace), [1, 4]);
  });
});

Deno.test("a session that ends otherwise begins no other version after one that failed, and ends with its own error", async () => {
  await withSaver(3, async (saver, gate, workplace) => {
    gate.broken = "ep.1";
    for (let i = 1; i <= 4; i++) await saver.save(versionAt(i));
    const disposed = saver[Symbol.asyncDispose]();
    gate.open();
    await disposed;
    assert.deepEqual(gate.begun, ["ep.1"]);
    assert.deepEqual(await episodesStored(workplace), []);
  });
});

Deno.test("the memory of a version that is done with is given to the next one, and in the end to nobody", async () => {
  await withSaver(2, async (saver, gate) => {
    assert.equal(saver.takeWorn(), undefined);
    const [first, second] = [versionAt(1), versionAt(2)];
    await saver.save(first);
    assert.equal(saver.takeWorn(), undefined, "it is still being written");
    gate.open();
    await saver.settle();
    assert.equal(saver.takeWorn(), statesOf(first.snapshot)[0]);
    assert.equal(saver.takeWorn(), undefined, "it was taken");
    await saver.save(second);
    await saver.settle();
    await saver[Symbol.asyncDispose]();
    assert.equal(statesOf(second.snapshot)[0]!.parameters.length, 0);
  });
});

Deno.test("the same state is not saved twice", async () => {
  await withSaver(2, async (saver, gate, workplace) => {
    gate.open();
    await saver.save(versionAt(0));
    await saver.save(versionAt(3));
    await saver.save(versionAt(3));
    await saver.settle();
    assert.deepEqual(await episodesStored(workplace), [3]);
  });
});
