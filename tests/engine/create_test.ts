/** Which engine is chosen, and what is said when the one asked for is not there. */
import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { createEngine, type EngineEntry, listBackends } from "../../src/engine/create.ts";
import type { BackendName } from "../../src/engine/engine.ts";
import { ReferenceEngine } from "../support/reference_engine.ts";

const SHAPE = { inputDim: 3, hiddenDim: 0, outputs: 2, inputScale: 1 };

/** Stands for an engine: `made` notes that it was chosen. */
function entry(name: BackendName, state: "hardware" | "software" | "absent" | "broken", made: string[]): EngineEntry {
  return {
    name,
    probe: () =>
      Promise.resolve({ available: state !== "absent", device: `${name} device`, software: state === "software" }),
    create: (shape) => {
      if (state === "broken") return Promise.reject(new RlcfError("backend", `${name} does not open`));
      made.push(name);
      return Promise.resolve(new ReferenceEngine(shape));
    },
  };
}

async function choose(backend: "auto" | BackendName, gpu: Parameters<typeof entry>[1]): Promise<[string[], string]> {
  const made: string[] = [];
  const entries = [entry("webgpu", gpu, made), entry("simd", "absent", made), entry("wasm", "hardware", made)];
  const { reason } = await createEngine(SHAPE, { backend }, entries);
  return [made, reason];
}

// First in this file, before any engine is made.
Deno.test("listing the backends loads no tensor library, making an engine does", async () => {
  assert.ok((await listBackends()).length >= 3);
  assert.equal("_tfengine" in globalThis, false);
  await using engine = (await createEngine(SHAPE, { backend: "cpu" })).engine;
  assert.equal(engine.backend, "cpu");
  assert.equal("_tfengine" in globalThis, true);
});

// Before any other test has started them.
Deno.test("backends that are started at the same time all start", async () => {
  const names = (await listBackends()).filter(({ available }) => available).map(({ name }) => name);
  const engines = await Promise.all(
    [...names, ...names].map(async (backend) => (await createEngine(SHAPE, { backend })).engine),
  );
  for (const engine of engines) assert.equal((await engine.forward(new Float32Array(3))).length, 2);
  for (const engine of engines) await engine[Symbol.asyncDispose]();
});

Deno.test("auto takes a hardware GPU", async () => {
  assert.deepEqual(await choose("auto", "hardware"), [["webgpu"], "webgpu is the fastest left"]);
});

Deno.test("auto passes over a software adapter, an absent engine and a GPU that does not open, and says so", async () => {
  const rest = "no simd: simd device; wasm is the fastest left";
  assert.deepEqual(await choose("auto", "software"), [["wasm"], `webgpu has only webgpu device; ${rest}`]);
  assert.deepEqual(await choose("auto", "absent"), [["wasm"], `no webgpu: webgpu device; ${rest}`]);
  assert.deepEqual(await choose("auto", "broken"), [["wasm"], `webgpu does not open; ${rest}`]);
});

Deno.test("a software adapter is used when it is asked for", async () => {
  assert.deepEqual(await choose("webgpu", "software"), [["webgpu"], "webgpu was asked for"]);
});

Deno.test("a backend that is asked for by name is never replaced by another", async () => {
  const refused = (backend: BackendName, gpu: Parameters<typeof entry>[1], message: RegExp): Promise<void> =>
    assert.rejects(
      choose(backend, gpu),
      (error) => error instanceof RlcfError && error.code === "backend" && message.test(error.message),
    );
  await refused("webgpu", "broken", /webgpu does not open/);
  await refused("webgpu", "absent", /cannot use backend "webgpu": webgpu device; available here: wasm$/);
  await refused("simd", "absent", /cannot use backend "simd": simd device; available here: wasm$/);
  await refused(
    "cpu",
    "absent",
    /cannot use backend "cpu": this build of rlcf has no such engine; available here: wasm$/,
  );
});

Deno.test("a shape that makes no network is refused before any backend is looked at", async () => {
  await assert.rejects(createEngine({ ...SHAPE, hiddenDim: 1 }), /hiddenDim is 1/);
});

Deno.test("every backend listed as available makes an engine on the device that was listed", async () => {
  for (const { name, available, device } of await listBackends()) {
    if (!available) continue;
    const { engine, reason } = await createEngine(SHAPE, { backend: name });
    assert.equal(engine.backend, name);
    assert.equal(engine.device, device);
    assert.equal(reason, `${name} was asked for`);
    assert.equal((await engine.forward(new Float32Array(6))).length, 4);
    await engine[Symbol.asyncDispose]();
  }
});

Deno.test("every backend starts without a word on stdout or stderr, and with no permission but for two variables", async () => {
  const create = new URL("../../src/engine/create.ts", import.meta.url).href;
  for (const { name, available } of await listBackends()) {
    if (!available) continue;
    const script = `import { createEngine } from ${JSON.stringify(create)};
      const { engine } = await createEngine(${JSON.stringify(SHAPE)}, { backend: ${JSON.stringify(name)} });
      await engine.forward(new Float32Array(6));
      await engine[Symbol.asyncDispose]();`;
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ..."run --quiet --no-prompt --ignore-env --config".split(" "),
        config,
        "--allow-env=XDG_RUNTIME_DIR,DENO_WEBGPU_BACKEND",
        `data:application/typescript,${encodeURIComponent(script)}`,
      ],
    }).output();
    const text = new TextDecoder();
    assert.deepEqual([name, code, text.decode(stdout), text.decode(stderr)], [name, 0, "", ""]);
  }
});

Deno.test({
  name: "on Linux GPUs are looked for through Vulkan, unless the environment says otherwise or may not be changed",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const devices = new URL("../../src/engine/devices.ts", import.meta.url).href;
    const script = `import { findGpuAdapter } from ${JSON.stringify(devices)};
      await findGpuAdapter();
      const { state } = Deno.permissions.querySync({ name: "env", variable: "DENO_WEBGPU_BACKEND" });
      console.log(state === "granted" ? Deno.env.get("DENO_WEBGPU_BACKEND") : "not allowed");`;
    for (
      const [permission, env, wanted] of [
        ["--allow-env", {}, "vulkan"],
        ["--allow-env", { DENO_WEBGPU_BACKEND: "gl" }, "gl"],
        ["--allow-env=XDG_RUNTIME_DIR", {}, "not allowed"],
      ] as const
    ) {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--quiet", "--no-prompt", "--no-config", "--unstable-webgpu", permission],
          `data:application/typescript,${encodeURIComponent(script)}`,
        ],
        env: { ...env },
        stderr: "null",
      }).output();
      assert.equal(new TextDecoder().decode(stdout).trim(), wanted);
    }
  },
});
