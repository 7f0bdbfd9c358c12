/**
 * What the checkpoint tests share: a checkpoint to publish, a directory that goes away, and assertions on errors.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import type { CheckpointContent } from "../../src/checkpoint/checkpoint.ts";

/** A checkpoint of a 3-2-1-2 network; the fields given replace its own. */
export function sampleContent(changes: Partial<CheckpointContent> = {}): CheckpointContent {
  return {
    policyType: "gating",
    version: "v1.0.2",
    parentVersion: "v1.0.1",
    createdAt: "2025-12-30T09:00:00.000Z",
    sessionId: "5e8b8f0a-6a0e-4f6e-9a58-1d2b3c4d5e6f",
    engine: { backend: "simd", device: "2 cores, relaxed SIMD" },
    network: { input_dim: 3, hidden_dim: 2, experts: ["literal", "systemic"] },
    config: { training: { learning_rate: 1e-4, epochs: 5 } },
    metrics: { loss: 0.25, value: 0.7 },
    policy: {
      "0.weight": { shape: [2, 3], data: Float32Array.of(0.1, -0.2, 0.3, 4, -5, 6) },
      "0.bias": { shape: [2], data: Float32Array.of(0.5, -0) },
      "3.weight": { shape: [1, 2], data: Float32Array.of(1e-40, 3e38) },
      "3.bias": { shape: [1], data: Float32Array.of(7) },
      "6.weight": { shape: [2, 1], data: Float32Array.of(8, 9) },
      "6.bias": { shape: [2], data: Float32Array.of(10, 11) },
    },
    trainer: {
      tensors: { first_moments: { shape: [4], data: Float32Array.of(1, 2, 3, 4) } },
      state: { step: 130, baseline: 0.1 + 0.2, random: [1, 4294967295, 0, 7], note: "È" },
    },
    ...changes,
  };
}

/** Runs a test with a fresh directory that is deleted afterwards. */
export async function withDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "rlcf-checkpoint-" });
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The names in a directory, sorted. */
export function namesIn(directory: string): string[] {
  return Array.from(Deno.readDirSync(directory), (entry) => entry.name).sort();
}

/** A check for `assert.rejects` and `assert.throws`: an RlcfError of the code, every pattern in its message. */
export function rlcfError(code: RlcfError["code"], ...patterns: RegExp[]): (thrown: unknown) => true {
  return (thrown) => {
    assert.ok(thrown instanceof RlcfError, `found ${thrown instanceof Error ? thrown.stack : thrown}`);
    assert.equal(thrown.code, code);
    for (const pattern of patterns) assert.match(thrown.message, pattern);
    return true;
  };
}
