/** Every engine computes the same bits in every process, on a network and batches of real size. */
import assert from "node:assert/strict";
import { listBackends } from "../../src/engine/create.ts";

const gpu = (await listBackends()).find(({ name }) => name === "webgpu")!;

/** An engine of `determinism_child.ts`, and the steps that it takes. */
interface Tested {
  readonly name: string;
  readonly steps: number;
  readonly needsGpu?: boolean;
}

const TESTED: readonly Tested[] = [
  // Long enough for the engine to try threads, which it chooses by the clock.
  { name: "simd", steps: 20 },
  { name: "simd, plain", steps: 20 },
  { name: "simd, 2 threads", steps: 20 },
  { name: "tfjs on wasm", steps: 5 },
  { name: "tfjs on cpu", steps: 2 },
  { name: "tfjs on webgpu", steps: 3, needsGpu: true },
  { name: "webgpu", steps: 3, needsGpu: true },
];

for (const { name, steps, needsGpu = false } of TESTED) {
  const missing = needsGpu && !gpu.available ? ` (ignored: ${gpu.device})` : "";
  Deno.test({
    name: `${name}: two processes end with the same bits${missing}`,
    ignore: missing !== "",
    fn: async () => {
      const [first, second] = await Promise.all([digestOf(name, steps), digestOf(name, steps)]);
      assert.match(first, /^[0-9a-f]{64}$/);
      assert.equal(first, second);
    },
  });
}

Deno.test("the digest of a process depends on what it trains", async () => {
  const [one, another] = await Promise.all([digestOf("simd", 1, 1), digestOf("simd", 1, 2)]);
  assert.notEqual(one, another);
});

/** What a process of its own prints. It gets no permission: training needs none. */
async function digestOf(engine: string, steps: number, seed = 1): Promise<string> {
  const child = new URL("./determinism_child.ts", import.meta.url).href;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", child, engine, `${seed}`, `${steps}`],
  }).output();
  const text = new TextDecoder();
  assert.ok(success, text.decode(stderr));
  return text.decode(stdout);
}
