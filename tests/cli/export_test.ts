/**
 * `rlcf export` as a process.
 *
 * @module
 */
import assert from "node:assert/strict";
import { decodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { sha256Hex } from "../../src/checkpoint/manifest.ts";
import { smallNetwork, torchFile } from "../import/torch_files.ts";
import { onlyObject, Workplace } from "./support.ts";

/** A workplace with the active version v1.0.0, 2-2-1-2. */
async function withPolicy(): Promise<Workplace> {
  const place = new Workplace();
  Deno.writeTextFileSync(
    place.config,
    `gating_policy:\n  input_dim: 2\n  hidden_dim: 2\n  num_experts: 2\n  experts: [a, b]\n` +
      `checkpoint:\n  directory: ${place.policies}\n`,
  );
  const { state, storages } = smallNetwork();
  Deno.writeFileSync(`${place.path}/gating_v1.0.0.pt`, torchFile(state, storages));
  const { code, stderr } = await place.run(["import", "--checkpoint", "gating_v1.0.0.pt", "--activate"]);
  assert.equal(code, 0, stderr);
  return place;
}

Deno.test("each format is written where it was asked for, with the weights as they came", async () => {
  using place = await withPolicy();
  const names = { safetensors: ["out"], onnx: ["out"], tfjs: ["out/weights.bin", "out/model.json"] };
  for (const [format, files] of Object.entries(names)) {
    const output = `${place.path}/${format}/out`;
    const result = onlyObject(await place.run(["export", "--format", format, "--output", output, "--json"]));
    assert.deepEqual([result.version, result.format, result.experts], ["v1.0.0", format, ["a", "b"]]);
    const listed = result.files as { path: string; bytes: number; sha256: string }[];
    assert.deepEqual(listed.map(({ path }) => path), files.map((name) => `${place.path}/${format}/${name}`));
    for (const { path, bytes, sha256 } of listed) {
      const content = Deno.readFileSync(path);
      assert.equal(content.length, bytes);
      assert.equal(await sha256Hex(content), sha256);
    }
  }
  const { tensors } = decodeSafetensors(Deno.readFileSync(`${place.path}/safetensors/out`), "out");
  assert.deepEqual([...tensors["0.weight"]!.data], [0.5, 0.75, 1, 1.25]);
});

Deno.test("without --output the file is named after the version; stdout has its path", async () => {
  using place = await withPolicy();
  const { code, stdout } = await place.run(["export", "v1.0.0"]);
  assert.deepEqual([code, stdout], [0, "gating-v1.0.0.safetensors\n"]);
  assert.ok(Deno.statSync(`${place.path}/gating-v1.0.0.safetensors`).isFile);
});

Deno.test("nothing is overwritten unless that is asked for", async () => {
  using place = await withPolicy();
  const file = place.write("mine.onnx", "mine");
  Deno.mkdirSync(`${place.path}/model`);
  const json = place.write("model/model.json", "mine");
  for (
    const args of [["--format", "onnx", "--output", file], ["--format", "tfjs", "--output", `${place.path}/model`]]
  ) {
    const refused = await place.run(["export", ...args]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /the file exists already/);
  }
  assert.deepEqual([file, json].map((path) => Deno.readTextFileSync(path)), ["mine", "mine"]);
  assert.equal(await Deno.stat(`${place.path}/model/weights.bin`).catch(() => null), null);
  assert.equal((await place.run(["export", "--format", "onnx", "--output", file, "--force"])).code, 0);
  assert.notEqual(Deno.readTextFileSync(file), "mine");
  const directory = await place.run(["export", "--output", place.path, "--force"]);
  assert.equal(directory.code, 2);
  assert.match(directory.stderr, /it is a directory/);
});

Deno.test("a version or a format that there is not is one error with its exit code", async () => {
  using place = await withPolicy();
  const missing = await place.run(["export", "v9.9.9"]);
  assert.equal(missing.code, 6);
  assert.match(missing.stderr, /gating has no version v9\.9\.9/);
  const format = await place.run(["export", "--format", "pickle"]);
  assert.equal(format.code, 2);
  assert.match(format.stderr, /safetensors, tfjs, onnx/);
});
