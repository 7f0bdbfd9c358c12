import { deepEqual, equal, match, ok } from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { DEFAULT_CONFIG_PATH, loadConfig } from "../../src/config/load.ts";
import type { ConfigOrigin } from "../../src/config/load.ts";
import { defaultConfig } from "./support.ts";

/** Runs with a file of this content in a folder of its own. */
async function withFile(content: string | Uint8Array, use: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/c.yaml`;
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function failure(origin: ConfigOrigin): Promise<RlcfError> {
  try {
    await loadConfig(origin);
  } catch (error) {
    ok(error instanceof RlcfError && error.code === "usage", `not a usage error: ${error}`);
    return error;
  }
  throw new Error("wanted a usage error, but nothing was thrown");
}

Deno.test("a named file is read, and flags and environment with it", async () => {
  await withFile("training:\n  seed: 5\n  epochs: 7\n", async (path) => {
    const { config, sources } = await loadConfig({
      path,
      flags: { "training.epochs": "9" },
      env: (name) => name === "RLCF_BACKEND" ? "cpu" : undefined,
    });
    deepEqual([config.training.seed, config.training.epochs, config.compute.backend], [5, 9, "cpu"]);
    equal(sources["training.seed"], `file ${path}:2`);
  });
});

Deno.test("a named file that does not exist is an error", async () => {
  const error = await failure({ path: "no/such/file.yaml" });
  equal(error.message, 'cannot read the configuration "no/such/file.yaml": there is no such file');
  match(error.hint!, /--config/);
  await failure({ path: "" });
});

Deno.test("without a named file the usual one is read if it exists, else the defaults hold", async () => {
  equal(DEFAULT_CONFIG_PATH, "config/rlcf_training.yaml");
  await withFile("training:\n  seed: 5\n", async (path) => {
    equal((await loadConfig({ fallbackPath: path })).config.training.seed, 5);
    for (const fallbackPath of [`${path}.not-there`, `${path}/below/a/file`]) {
      const { config, sources } = await loadConfig({ fallbackPath });
      deepEqual(config, defaultConfig());
      ok(Object.values(sources).every((source) => source === "default"));
    }
  });
});

Deno.test("a usual file with a mistake is not passed over", async () => {
  await withFile("training: 5\n", async (path) => {
    match((await failure({ fallbackPath: path })).message, /c\.yaml:1:11: training: found 5/);
  });
});

Deno.test("a folder is no configuration", async () => {
  match((await failure({ path: "." })).message, /^cannot read the configuration "\."/);
});

Deno.test("a file of more than one mebibyte is refused, one of exactly that is read", async () => {
  const comment = (bytes: number): string => `${"#".repeat(bytes - 1)}\n`;
  await withFile(comment(1024 * 1024), async (path) => {
    deepEqual((await loadConfig({ path })).config, defaultConfig());
  });
  await withFile(comment(1024 * 1024 + 1), async (path) => {
    match((await failure({ path })).message, /c\.yaml: found more than 1 MiB, wanted a YAML file$/);
  });
});

Deno.test({
  name: "a device without an end is refused",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    match((await failure({ path: "/dev/zero" })).message, /found more than 1 MiB/);
  },
});

Deno.test("bytes that are not UTF-8 are refused where they stand", async () => {
  const start = new TextEncoder().encode("# perch\u00e9 \ufffd\ntraining:\n  # perch");
  await withFile(Uint8Array.from([...start, 0xe9, 0x0a]), async (path) => {
    match((await failure({ path })).message, /c\.yaml:3:10: found the byte 0xe9, wanted text in UTF-8$/);
  });
  await withFile(Uint8Array.from([0xff, 0xfe, 0x61, 0x00]), async (path) => {
    match((await failure({ path })).message, /c\.yaml:1:1: found the byte 0xff/);
  });
  await withFile(Uint8Array.from([0xef, 0xbb, 0xbf, 0x23, 0x0a, 0x80]), async (path) => {
    match((await failure({ path })).message, /c\.yaml:2:1: found the byte 0x80/);
  });
  await withFile(Uint8Array.from([0x23, 0xc3]), async (path) => {
    match((await failure({ path })).message, /c\.yaml:1:2: found the byte 0xc3/);
  });
});

Deno.test("a byte order mark is passed over and moves no column", async () => {
  await withFile("\ufeffseed: 1\n", async (path) => {
    match((await failure({ path })).message, /c\.yaml:1:1: /);
  });
});
