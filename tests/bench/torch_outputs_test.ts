/**
 * PyTorch loads what rlcf exports and computes the same; only where there is a PyTorch.
 *
 * @module
 */
import assert from "node:assert/strict";

const PYTHON = "/usr/bin/python3";
const root = new URL("../../", import.meta.url).pathname;

/** Whether Debian's Python has torch. */
async function hasTorch(): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(PYTHON, { args: ["-c", "import torch"], stdout: "null", stderr: "null" })
      .output();
    return success;
  } catch {
    return false;
  }
}

const isThere = await hasTorch();

for (const [inputDim, hiddenDim] of [[768, 256], [32, 0]]) {
  Deno.test({
    name: `PyTorch routes ${inputDim}-${hiddenDim} like rlcf route to 1e-6${isThere ? "" : " (no python3-torch)"}`,
    ignore: !isThere,
    fn: async () => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "bench/peers/torch_outputs.ts", "--queries", "50", "--input-dim", `${inputDim}`]
          .concat("--hidden-dim", `${hiddenDim}`),
        cwd: root,
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      const [, difference] = /rlcf is ([\d.e+-]+)/.exec(new TextDecoder().decode(stdout))!;
      assert.ok(Number(difference) <= 1e-6);
    },
  });
}
