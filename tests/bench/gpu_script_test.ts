/**
 * The GPU benchmark as it is used on a strange machine, with tiny sizes on whatever adapter there is: packed, and from the
 * repository.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Report } from "../../bench/gpu/report.ts";
import { findGpuAdapter } from "../../src/engine/devices.ts";
import { OFFLINE } from "../packaging/portable.ts";

const SCRIPTS = fileURLToPath(new URL("../../bench/gpu/", import.meta.url));
const adapter = await findGpuAdapter();
/** Why it cannot be tried here. */
const missing = Deno.build.target !== "x86_64-unknown-linux-gnu"
  ? "for x86-64 Linux only"
  : "missing" in adapter
  ? adapter.missing
  : undefined;

/** Declares a test with a directory of its own, in which `bin/deno` is the program that runs this. */
function gpuScriptTest(title: string, fn: (directory: string) => Promise<void>): void {
  Deno.test({
    name: missing === undefined ? title : `${title} (ignored: ${missing})`,
    ignore: missing !== undefined,
    fn: async () => {
      const directory = await Deno.makeTempDir({ prefix: "rlcf-gpu-" });
      try {
        for (const name of ["bin", "home", "elsewhere"]) await Deno.mkdir(`${directory}/${name}`);
        await Deno.symlink(Deno.execPath(), `${directory}/bin/deno`);
        await fn(directory);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

/** Runs a command to its end and wants it to succeed. */
async function succeed(
  [program, ...args]: readonly string[],
  options: Pick<Deno.CommandOptions, "cwd" | "env" | "clearEnv">,
): Promise<void> {
  const { code, stderr } = await new Deno.Command(program!, { args, ...options }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

/** Wants a report in which all that was compared agrees, and both engines were measured in both rounds. */
async function assertWhole(path: string): Promise<void> {
  const { dry_run, agreement, rows, torch } = JSON.parse(await Deno.readTextFile(path)) as Report;
  assert.equal(dry_run, true);
  assert.equal(agreement.length, 16);
  for (const one of agreement) assert.deepEqual([one.agrees, one.not_compared], [true, undefined], JSON.stringify(one));
  const ops = (backend: string, round: number): string[] =>
    rows.filter((row) => row.backend === backend && row.round === round).map(({ op, batch_size }) =>
      `${op} ${batch_size}`
    );
  const both = ["train_step 1", "train_step 5", "forward 1", "forward 64"];
  for (const round of [1, 2]) {
    assert.deepEqual(ops("webgpu tfjs", round), both);
    assert.deepEqual(ops("webgpu fused", round).slice(0, 4), both);
  }
  assert.equal(torch.length, 2);
}

gpuScriptTest(
  "the packed GPU benchmark runs where there is neither deno nor a home nor a network",
  async (directory) => {
    const PATH = `${directory}/bin:${Deno.env.get("PATH")}`;
    await succeed([`${SCRIPTS}pack.sh`, "--fast", "--output", "packed"], { cwd: directory, env: { PATH } });
    await succeed(["tar", "xf", `${directory}/packed/rlcf-gpu-bench.tar`], { cwd: `${directory}/elsewhere` });
    const bare = { HOME: `${directory}/home`, TMPDIR: `${directory}/home`, PATH: "/usr/bin:/bin" };
    await succeed([...OFFLINE, `${directory}/elsewhere/rlcf-gpu-bench/run.sh`, "--dry-run", "--json", "report.json"], {
      cwd: directory,
      env: bare,
      clearEnv: true,
    });
    await assertWhole(`${directory}/report.json`);
    // It leaves nothing but the report.
    assert.deepEqual([...Deno.readDirSync(`${directory}/home`)], []);
  },
);

gpuScriptTest("the GPU benchmark runs from the repository, whatever the working directory", async (directory) => {
  const PATH = `${directory}/bin:${Deno.env.get("PATH")}`;
  await succeed([`${SCRIPTS}run.sh`, "--dry-run"], { cwd: `${directory}/elsewhere`, env: { PATH } });
  await assertWhole(`${directory}/elsewhere/gpu-bench.json`);
  assert.deepEqual([...Deno.readDirSync(`${directory}/elsewhere`)].map(({ name }) => name), ["gpu-bench.json"]);
});

Deno.test("the scripts refuse arguments that they do not know, with exit code 2", async () => {
  for (const script of ["pack.sh", "run.sh"]) {
    const { code, stderr } = await new Deno.Command(`${SCRIPTS}${script}`, { args: ["--dri-run"] }).output();
    assert.match(new TextDecoder().decode(stderr), /^(pack|run)\.sh: unknown argument '--dri-run'; wanted /);
    assert.equal(code, 2);
  }
});
