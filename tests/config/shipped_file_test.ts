import { deepEqual, equal, match, ok } from "node:assert/strict";
import { parse } from "yaml";
import { effectiveConfig } from "../../src/config/effective.ts";
import { loadConfig } from "../../src/config/load.ts";
import { schema, settings } from "../../src/config/schema.ts";
import { hasShared, sharedUrl } from "../support/shared.ts";
import { defaultConfig } from "./support.ts";

const path = `${import.meta.dirname}/../../config/rlcf_training.yaml`;
const text = Deno.readTextFileSync(path);

Deno.test("the shipped configuration gives exactly the defaults", async () => {
  const { config, notices } = await loadConfig({ path });
  deepEqual(config, defaultConfig());
  deepEqual(notices, []);
});

Deno.test("the shipped configuration lists every section and key, in the order of the declarations", () => {
  const file = parse(text) as Record<string, Record<string, unknown>>;
  const outline = (sections: object): unknown =>
    Object.entries(sections).map(([name, keys]) => [name, Object.keys(keys)]);
  deepEqual(outline(file), outline(schema));
});

Deno.test("the shipped configuration says where each of its values stands", async () => {
  const lines = text.split("\n");
  for (const { key, source } of effectiveConfig(await loadConfig({ path }))) {
    // A null URL leaves the choice open, so the file is not what gives it.
    if (key === "database.url") {
      equal(source, "default");
      continue;
    }
    match(source, /^file .*:\d+$/);
    const line = lines[Number(/(\d+)$/.exec(source)![1]) - 1]!;
    ok(line.startsWith(`  ${key.split(".")[1]}: `), `${key}: ${line}`);
  }
});

Deno.test("the comment above each shipped key is the setting's help, with its choices and its variable", () => {
  const lines = text.split("\n");
  for (const [key, { help, wanted, environment }] of settings) {
    const [section, name] = key.split(".");
    const at = lines.findIndex((line, i) => line.startsWith(`  ${name}:`) && i > lines.indexOf(`${section}:`));
    const choices = wanted.startsWith("one of ") ? ` (${wanted.slice(7).replaceAll(", ", " | ")})` : "";
    // The help of the database URL names its variable itself, because there the file goes before it.
    const variable = environment === undefined || help.includes(environment) ? "" : `; environment: ${environment}`;
    equal(lines[at - 1], `  # ${help}${choices}${variable}`, key);
  }
});

Deno.test({
  name: "the specification's own file loads, and gives the defaults",
  ignore: !hasShared,
  fn: async () => {
    const specification = await Deno.readTextFile(sharedUrl("spec/TRAINING_WORKFLOW.it.md"));
    const file = await Deno.makeTempFile({ suffix: ".yaml" });
    try {
      await Deno.writeTextFile(file, /```yaml\n(# Training generale[\s\S]*?)```/.exec(specification)![1]!);
      const { config, sources } = await loadConfig({ path: file });
      deepEqual(config, defaultConfig());
      equal(sources["training.learning_rate"], `file ${file}:7`);
    } finally {
      await Deno.remove(file);
    }
  },
});
