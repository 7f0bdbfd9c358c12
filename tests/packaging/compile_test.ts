import assert from "node:assert/strict";
import { RUNTIME_FLAGS } from "../../scripts/compile/runtime_flags.ts";
import { programCommand } from "../../scripts/program_task.ts";
import { cannotPack, compile } from "./portable.ts";

Deno.test("a packed program is given exactly the permissions of the tasks in deno.json", () => {
  const { flags } = programCommand("rlcf");
  for (const task of ["train", "stats", "bench", "serve"] as const) {
    assert.deepEqual(programCommand(task).flags, flags, task);
  }
  // The demonstration needs no network; in the packed program it gives it away when it opens its database.
  assert.deepEqual(programCommand("demo").flags, flags.filter((flag) => flag !== "--allow-net"));
  assert.deepEqual(RUNTIME_FLAGS, ["--no-config", "--no-lock", "--unstable-webgpu", ...flags]);
  assert.ok(!RUNTIME_FLAGS.some((flag) => /^(?:-A|--allow-(?:all|run|ffi|import))/.test(flag)));
});

Deno.test({
  name: "deno task compile takes the runtime of DENORT_BIN and adds the program and nothing else",
  ignore: cannotPack,
  fn: async () => {
    // Deno itself stands in for denort, which only its download server has: the result cannot run, but it is built.
    const runtime = Deno.execPath();
    const directory = await Deno.makeTempDir({ prefix: "rlcf-compile-" });
    const output = `${directory}/rlcf`;
    const { code, stdout, stderr } = await compile(["--output", output], { DENORT_BIN: runtime });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /rlcf: \d+\.\d MB, commit \S+/);
    const added = (await Deno.stat(output)).size - (await Deno.stat(runtime)).size;
    assert.ok(added > 2e6 && added < 8e6, `${added} bytes`);
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test("where the runtime cannot be had, compile says so and names the two ways out", async () => {
  const cases: readonly [Record<string, string>, RegExp][] = [
    [{ DENORT_BIN: "/nowhere/denort" }, /the runtime that DENORT_BIN names, \/nowhere\/denort, cannot be used/],
    // A target that no test machine has in its cache, and a proxy where none listens.
    [{ HTTPS_PROXY: "http://127.0.0.1:1" }, /denort-x86_64-pc-windows-msvc\.zip .* could not be fetched from dl\.deno/],
  ];
  for (const [env, message] of cases) {
    const { code, stdout, stderr } = await compile(["--target", "x86_64-pc-windows-msvc", "--output", "/nowhere"], env);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, message);
    assert.match(stderr, /deno task compile --portable/);
    assert.match(stderr, /DENORT_BIN=\/path\/to\/denort deno task compile/);
  }
});

Deno.test("an option that compile does not have, or a target it does not know, builds nothing", async () => {
  const cases: readonly [string[], RegExp][] = [
    [["--tarjet"], /^error: Unknown option '--tarjet'/m],
    [["--target", "z80"], /^error: --target: found "z80", wanted one of x86_64-unknown-linux-gnu/m],
    [
      ["--portable", "--target", "x86_64-pc-windows-msvc"],
      /^error: --portable packs this Deno, so it takes no --target/,
    ],
    [["--fast"], /^error: --fast is for --portable/m],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await compile(args);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, message);
  }
});
