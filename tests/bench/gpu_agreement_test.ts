/** The GPU benchmark finds out when the kernels compute something else than float64 and the CPU engine. */
import assert from "node:assert/strict";
import { compareAll } from "../../bench/gpu/agreement.ts";
import { sizesOf } from "../../bench/gpu/sizes.ts";
import type { StepMetrics, TrainingSegment } from "../../src/engine/engine.ts";
import { LOSS_HEADS, type LossHeadName } from "../../src/loss/heads.ts";
import { ReferenceEngine } from "../support/reference_engine.ts";

const SIZES = sizesOf(true);

/** Wrong by a thousandth in one number that one loss measures. */
class Crooked extends ReferenceEngine {
  override async train(segment: TrainingSegment): Promise<StepMetrics> {
    const metrics = await super.train(segment);
    if (segment.head === "soft_target") metrics.gradNorm[1]! *= 1.001;
    return metrics;
  }
}

Deno.test("every loss is compared with float64 and with simd at every size, and a sound engine agrees", async () => {
  const found = await compareAll(new ReferenceEngine(SIZES.shape), SIZES);
  const wanted = (Object.keys(LOSS_HEADS) as LossHeadName[]).flatMap((head) =>
    SIZES.checks.flatMap(({ batchSize, steps }) =>
      (["float64", "simd"] as const).map((against) => [against, head, batchSize, steps, true])
    )
  );
  assert.deepEqual(
    found.map(({ against, head, batch_size, steps, agrees }) => [against, head, batch_size, steps, agrees]),
    wanted,
  );
  assert.ok(found.every(({ missing, not_compared }) => missing === undefined && not_compared === undefined));
  assert.ok(found.some(({ against, max_rel_error }) => against === "simd" && max_rel_error! > 0));
});

Deno.test("a number that is off by a thousandth is told, of whichever loss", async () => {
  for (const { head, agrees } of await compareAll(new Crooked(SIZES.shape), SIZES)) {
    assert.equal(agrees, head !== "soft_target");
  }
});
