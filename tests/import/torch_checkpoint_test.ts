/**
 * Checkpoints of torch: the original's own, every kind of number, every way in which one can be wrong.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { parseTorchCheckpoint, readTorchCheckpoint, registrationOf } from "../../src/import/torch_checkpoint.ts";
import { hasShared, readShared, sharedUrl } from "../support/shared.ts";
import { Call, smallNetwork, tensorOf, torchFile, Tuple, zipOf } from "./torch_files.ts";

const { state, storages } = smallNetwork();

function refused(bytes: Uint8Array<ArrayBuffer>, message: RegExp): void {
  assert.throws(() => parseTorchCheckpoint(bytes, "file.pt"), (thrown: unknown) => {
    assert.ok(thrown instanceof RlcfError);
    assert.equal(thrown.code, "checkpoint");
    assert.match(thrown.message, message);
    return true;
  });
}

Deno.test({
  name: "the original's checkpoint is read to the last bit",
  ignore: !hasShared,
  fn: async () => {
    const read = await readTorchCheckpoint(sharedUrl("golden/gating_v1.0.0.pt").pathname);
    const { state_dict: wanted } = await readShared<{ state_dict: Record<string, number[] | number[][]> }>(
      "golden/gating_v1.0.0.expected.json",
    );
    assert.deepEqual(Object.keys(read.state), Object.keys(wanted));
    for (const [name, values] of Object.entries(wanted)) {
      assert.deepEqual([...read.state[name]!.data], (values as number[][]).flat());
    }
    assert.deepEqual(read.state["0.weight"]!.shape, [8, 16]);
    const { version, policyType, savedAt, metrics } = read;
    assert.deepEqual({ version, policyType, savedAt, metrics }, {
      version: "v1.0.0",
      policyType: "gating",
      savedAt: "2026-01-01T00:00:00",
      metrics: { num_updates: 3 },
    });
  },
});

Deno.test("the weights are found in each form in which the original saves them", () => {
  const dict = new Call("collections", "OrderedDict", []);
  const module = Object.fromEntries(Object.entries(state).map(([name, tensor]) => [`mlp.${name}`, tensor]));
  for (
    const value of [state, { state_dict: state }, {
      policy_state_dict: module,
      optimizer_state_dict: dict,
      baseline: 0.5,
    }]
  ) {
    const read = parseTorchCheckpoint(torchFile(value, storages), "file.pt");
    assert.deepEqual(Object.keys(read.state), Object.keys(state));
    assert.deepEqual([...read.state["0.weight"]!.data], [0.5, 0.75, 1, 1.25]);
    assert.equal(read.version, null);
  }
});

Deno.test("float64, float16 and int64 become float32; strides and offsets are followed", () => {
  const data = {
    "0": Float64Array.of(0.1, -2.5, 1e300, 4),
    "1": Uint16Array.of(0x3c00, 0xc000, 0x7bff),
    "2": BigInt64Array.of(-3n, 7n),
    "3": Float32Array.of(9, 1, 2, 3, 4, 5, 6),
  };
  const read = parseTorchCheckpoint(
    torchFile({
      "0.weight": tensorOf("0", 4, [2, 2], { storage: "DoubleStorage" }),
      "0.bias": tensorOf("1", 3, [3], { storage: "HalfStorage" }),
      "3.bias": tensorOf("2", 2, [2], { storage: "LongStorage" }),
      // The transpose of [[1, 2, 3], [4, 5, 6]] as torch's .t() leaves it.
      "3.weight": tensorOf("3", 7, [3, 2], { offset: 1, strides: [1, 3] }),
    }, data),
    "file.pt",
  ).state;
  assert.deepEqual([...read["0.weight"]!.data], [Math.fround(0.1), -2.5, Infinity, 4]);
  assert.deepEqual([...read["0.bias"]!.data], [1, -2, 65504]);
  assert.deepEqual([...read["3.bias"]!.data], [-3, 7]);
  assert.deepEqual([...read["3.weight"]!.data], [1, 4, 2, 5, 3, 6]);
});

Deno.test("a parameter is its tensor, attributes of the dict are passed over", () => {
  const parameter = new Call("torch._utils", "_rebuild_parameter", [state["0.bias"], true, null]);
  const read = parseTorchCheckpoint(torchFile({ "0.bias": parameter }, storages), "file.pt");
  assert.deepEqual([...read.state["0.bias"]!.data], [1.5, 1.75]);
});

Deno.test("tensors that leave their storage, repeat it without end or lack it are refused", () => {
  const bad = (tensor: Call, message: RegExp): void => refused(torchFile({ "0.bias": tensor }, storages), message);
  bad(tensorOf("0", 4, [5]), /does not fit its storage of 4 numbers/);
  bad(tensorOf("0", 4, [2], { offset: 3 }), /does not fit/);
  bad(tensorOf("0", 4, [2, 2], { strides: [3, 2] }), /does not fit/);
  bad(tensorOf("0", 4, [2 ** 30], { strides: [0] }), /does not fit/);
  bad(tensorOf("0", 4, [2 ** 53, 2 ** 53], { strides: [0, 0] }), /not described as torch does it|does not fit/);
  bad(tensorOf("0", 4, [-1]), /not described as torch does it/);
  bad(tensorOf("0", 5, [4]), /x\/data\/0 has 16 bytes, wanted 20/);
  bad(tensorOf("99", 4, [4]), /numbers of a tensor are missing, wanted the entry x\/data\/99/);
  bad(tensorOf("../0", 4, [4]), /a storage is not described/);
  bad(tensorOf("0", 4, [4], { storage: "ComplexFloatStorage" }), /"torch\.ComplexFloatStorage"/);
});

Deno.test("many names for the same numbers cannot make more of them than the file has", () => {
  const big = { "0": new Float32Array(5000) };
  const names = Array.from({ length: 100 }, (_, i) => [`${i}.weight`, tensorOf("0", 5000, [5000])]);
  refused(torchFile(Object.fromEntries(names), big), /its weights share their numbers/);
});

Deno.test("metrics that refer to themselves, or unfold without end, are refused", () => {
  // {"metrics": {"a": x}} with x = [y, y], y = [z, z], ... 40 deep, each built once: BINPUT and BINGET.
  const text = (value: string): number[] => [0x58, value.length, 0, 0, 0, ...new TextEncoder().encode(value)];
  const start = [0x80, 2, 0x7d, 0x28, ...text("state_dict"), 0x7d, ...text("metrics"), 0x7d, ...text("a")];
  const file = (ops: readonly number[]): Uint8Array<ArrayBuffer> =>
    zipOf([["x/data.pkl", Uint8Array.from([...start, ...ops, 0x73, 0x75, 0x2e])]]);
  const doubled = (levels: number): Uint8Array<ArrayBuffer> =>
    file([0x29, ...Array.from({ length: levels }, (_, i) => [0x71, i, 0x68, i, 0x86]).flat()]);
  refused(doubled(40), /nested too deep or too large/);
  refused(doubled(14), /nested too deep or too large/);
  assert.deepEqual(parseTorchCheckpoint(doubled(2), "file.pt").metrics, { a: [[[], []], [[], []]] });
  // l = []; l.append(l)
  refused(file([0x5d, 0x71, 0, 0x68, 0, 0x61]), /nested too deep/);
});

Deno.test("torch's format from before 1.6 is told as what it is, and so is anything else", () => {
  refused(Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc), /torch's format from before version 1\.6/);
  refused(new TextEncoder().encode("weights"), /no torch checkpoint/);
  refused(zipOf([["x/other", new Uint8Array(4)]]), /found 0 entries data\.pkl/);
  refused(torchFile([1, 2], {}), /found no dict at its top/);
  refused(torchFile({ state_dict: { hello: 1 } }, {}), /found "hello" among the weights/);
  refused(
    torchFile({ state_dict: { "a.0.bias": state["0.bias"], "b.0.bias": state["0.bias"] } }, storages),
    /two networks/,
  );
  const big = zipOf([["x/data.pkl", new Uint8Array(4)], ["x/byteorder", new TextEncoder().encode("big")]]);
  refused(big, /not little-endian/);
});

Deno.test("a file that is missing or a directory is an error of the checkpoint", async () => {
  for (const path of ["/nowhere/gating_v1.0.0.pt", "/"]) {
    await assert.rejects(readTorchCheckpoint(path), (thrown: unknown) => {
      assert.ok(thrown instanceof RlcfError);
      assert.equal(thrown.code, "checkpoint");
      return true;
    });
  }
});

Deno.test("the version comes from the file, else from its name", () => {
  const read = parseTorchCheckpoint(
    torchFile({ state_dict: state, metrics: { num_episodes: 24, loss: NaN } }, storages),
    "x",
  );
  const named = registrationOf(read, "gating_v1.2.3.pt", { policyType: "gating" });
  assert.equal(named.version, "v1.2.3");
  assert.equal(named.episodes, 24);
  assert.deepEqual(named.metrics, {
    num_episodes: 24,
    loss: null,
    imported_from: { file: "gating_v1.2.3.pt", saved_at: null },
  });
  assert.equal(registrationOf(read, "weights.pt", { policyType: "gating" }).version, null);
  assert.equal(registrationOf(read, "gating_v1.2.3.pt", { policyType: "gating", version: "v9.0.0" }).version, "v9.0.0");
  assert.throws(() => registrationOf(read, "gating_vfinal.pt", { policyType: "react" }), /found policy type react/);
  assert.throws(
    () => registrationOf({ ...read, version: "final" }, "x.pt", { policyType: "gating" }),
    /found version "final"/,
  );
});

Deno.test("any change of a good checkpoint ends in weights or in one error", () => {
  const good = torchFile({ state_dict: state, config: { a: new Tuple([1, 2]) } }, storages);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }), (changes) => {
      const bytes = good.slice();
      for (const [at, value] of changes) bytes[at] = value;
      try {
        parseTorchCheckpoint(bytes, "file.pt");
      } catch (thrown) {
        if (!(thrown instanceof RlcfError)) throw thrown;
      }
    }),
    { seed: 5, numRuns: 3000 },
  );
});
