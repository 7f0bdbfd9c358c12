/**
 * Weights from elsewhere as a version: the same function, once, and never over another version.
 *
 * @module
 */
import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { initialState } from "../../src/engine/network.ts";
import { exportStateDict, type StateDict } from "../../src/policy/state_dict.ts";
import { findStoredPolicy, openPolicy } from "../../src/session/open_policy.ts";
import { registerPolicy } from "../../src/session/register_policy.ts";
import { createPersistence } from "../../src/store/create.ts";
import { testOnEach, type TestStore } from "../store/databases.ts";
import { torchForward } from "../policy/torch.ts";

const STATE = weights(3);
const ROW = { version: null, config: { a: 1 }, metrics: { loss: 0.5 }, episodes: 24 };

/** Weights of a network 16-8-4-4 on inputs as they are. */
function weights(seed: number): StateDict {
  return exportStateDict(initialState({ inputDim: 16, hiddenDim: 8, outputs: 4, inputScale: 1 }, seed));
}

async function configFor(inputScale: number | "auto" = "auto"): Promise<Config & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "rlcf-register-" });
  const text = `gating_policy:\n  input_dim: 16\n  hidden_dim: 8\n  input_scale: ${inputScale}\n` +
    `checkpoint:\n  directory: ${path}/policies\ncompute:\n  backend: simd\n`;
  await Deno.writeTextFile(`${path}/config.yaml`, text);
  const { config } = await loadConfig({ path: `${path}/config.yaml`, flags: {}, env: () => undefined });
  return { ...config, path };
}

/** A test with a configuration of its own. */
function onEach(name: string, test: (on: TestStore, config: Config) => Promise<void>, scale?: number): void {
  testOnEach(name, async (on) => {
    const config = await configFor(scale);
    try {
      await test(on, config);
    } finally {
      await Deno.remove(config.path, { recursive: true });
    }
  });
}

const INPUTS = Float32Array.from({ length: 3 * 16 }, (_, i) => Math.sin(i));

for (const scale of [undefined, 3]) {
  onEach(`registered weights route as they did (input_scale ${scale ?? "auto"})`, async ({ store }, config) => {
    const { version, outcome, path } = await registerPolicy(store, config, { ...ROW, state: STATE });
    assert.deepEqual([version, outcome, path], ["v1.0.0", "new", "gating-v1.0.0"]);
    const { checkpoint, saved } = await findStoredPolicy(store, config.checkpoint.directory, "gating", version);
    assert.deepEqual(exportStateDict(saved.state), STATE);
    assert.equal(saved.shape.inputScale, scale === undefined ? 4 : 1);
    await using policy = await openPolicy(saved, "simd");
    const found = (await policy.forward(INPUTS)).weights;
    const { weights } = torchForward(STATE, INPUTS);
    for (const [i, weight] of weights.entries()) assert.ok(Math.abs(found[i]! - weight) < 1e-6);
    assert.deepEqual([checkpoint.parentVersion, checkpoint.isActive, checkpoint.trainingEpisodes], [null, false, 24]);
    assert.deepEqual(checkpoint.trainingMetrics, { loss: 0.5 });
  }, scale);
}

onEach(
  "the same weights again change nothing, others under the same version are refused",
  async ({ store }, config) => {
    const first = await registerPolicy(store, config, { ...ROW, version: "v2.0.0", state: STATE });
    const again = await registerPolicy(store, config, { ...ROW, version: "v2.0.0", state: STATE });
    assert.deepEqual(again, { ...first, outcome: "unchanged" });
    await assert.rejects(
      registerPolicy(store, config, { ...ROW, version: "v2.0.0", state: weights(4) }),
      /gating-v2\.0\.0: this version exists with other weights/,
    );
    const next = await registerPolicy(store, config, { ...ROW, state: weights(4) });
    assert.equal(next.version, "v2.0.1");
  },
);

onEach("a row that came without files gets them and keeps everything else", async ({ store }, config) => {
  const id = await store.savePolicyCheckpoint({ version: "v1.0.1", policyType: "gating", trainingEpisodes: 7 });
  const { outcome } = await registerPolicy(store, config, { ...ROW, version: "v1.0.1", state: STATE });
  assert.equal(outcome, "files");
  const row = (await store.getPolicyCheckpoint("v1.0.1", "gating"))!;
  assert.deepEqual([row.id, row.trainingEpisodes, row.stateDictPath], [id, 7, "gating-v1.0.1"]);
  assert.deepEqual(
    exportStateDict((await findStoredPolicy(store, config.checkpoint.directory, "gating", "v1.0.1")).saved.state),
    STATE,
  );
});

onEach("files whose row was never stored are taken by the next run", async ({ store }, config) => {
  {
    await using other = await createPersistence("sqlite://");
    await registerPolicy(other, config, { ...ROW, version: "v1.0.1", state: STATE });
  }
  await assert.rejects(
    registerPolicy(store, config, { ...ROW, version: "v1.0.1", state: weights(4) }),
    /other weights/,
  );
  const { outcome } = await registerPolicy(store, config, { ...ROW, version: "v1.0.1", state: STATE });
  assert.equal(outcome, "new");
  await findStoredPolicy(store, config.checkpoint.directory, "gating", "v1.0.1");
});

onEach("a network of other sizes is refused by its sizes, and a dry run leaves nothing", async ({ store }, config) => {
  const wide = exportStateDict(initialState({ inputDim: 16, hiddenDim: 8, outputs: 5, inputScale: 1 }, 3));
  await assert.rejects(
    registerPolicy(store, config, { ...ROW, state: wide }),
    /found a network 16-8-4-5, wanted 16-8-4-4/,
  );
  await assert.rejects(registerPolicy(store, config, { ...ROW, state: {} }), /found a network without layers/);
  const broken = { ...STATE, "0.bias": { shape: [8], data: new Float32Array(8).fill(NaN) } };
  await assert.rejects(registerPolicy(store, config, { ...ROW, state: broken }), /NaN or infinity/);
  const { version } = await registerPolicy(store, config, { ...ROW, state: STATE }, true);
  assert.equal(version, "v1.0.0");
  assert.deepEqual(await store.listPolicyCheckpoints(), []);
  assert.equal(await Deno.stat(config.checkpoint.directory).catch(() => null), null);
});
