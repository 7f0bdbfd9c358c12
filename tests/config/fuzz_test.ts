import { ok } from "node:assert/strict";
import fc from "fast-check";
import { stringify } from "yaml";
import { RlcfError } from "../../src/base/errors.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { FlagValues } from "../../src/config/resolve.ts";
import { schema, settings, unusedSections } from "../../src/config/schema.ts";
import { resolveText } from "./support.ts";

const options = { seed: 20260501, numRuns: 400 };

/** Either a configuration in which every value is one that its setting takes, or an error that the user can mend. */
function isConfigOrUsageError(action: () => ReturnType<typeof resolveConfig>): boolean {
  try {
    const { config } = action();
    ok(
      Number.isFinite(config.training.learningRate) &&
        config.gatingPolicy.experts.length === config.gatingPolicy.numExperts,
    );
    return true;
  } catch (error) {
    if (error instanceof RlcfError && error.code === "usage") return false;
    throw error;
  }
}

const section = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...Object.keys(schema), ...Object.keys(unusedSections)) },
  fc.string(),
);
const key = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...[...settings.keys()].map((name) => name.split(".")[1]!)) },
  fc.string(),
);
const value = fc.oneof(
  fc.integer({ min: -2, max: 40 }),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(null, "auto", "gating", "none", "cpu"),
  fc.string({ unit: "binary" }),
  fc.array(fc.string(), { maxLength: 5 }),
  fc.anything(),
);

Deno.test("any text is either a configuration or an error that can be mended", () => {
  const piece = fc.constantFrom(
    ..."training: seed: experts: [ ] { } , : - ? & * ! | > ' \" % # --- ... \n \t \r \0 \ufeff 1 1e-4 .nan null a << __proto__"
      .split(" "),
    "\n  ",
    "  ",
    "\n",
    ": ",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join("")),
  );
  fc.assert(fc.property(text, (given) => void isConfigOrUsageError(() => resolveText(given))), {
    ...options,
    numRuns: 3000,
  });
});

Deno.test("any tree of sections and keys is either a configuration or an error that can be mended", () => {
  const plain = fc.dictionary(
    section,
    fc.oneof({ weight: 9, arbitrary: fc.dictionary(key, value, { maxKeys: 4 }) }, value),
    {
      maxKeys: 4,
    },
  );
  let accepted = 0;
  fc.assert(
    fc.property(plain, (tree) => {
      let text: string;
      try {
        text = stringify(tree);
      } catch {
        return; // Not everything that fast-check makes can be written as YAML.
      }
      if (isConfigOrUsageError(() => resolveText(text))) accepted++;
    }),
    options,
  );
  ok(accepted > 10, `only ${accepted} configurations were good: the test does not reach that side`);
});

Deno.test("any flags and environment give either a configuration or an error that can be mended", () => {
  const flags = fc.dictionary(fc.constantFrom(...settings.keys()), fc.oneof(value, fc.string({ unit: "binary" })), {
    maxKeys: 3,
  });
  fc.assert(
    fc.property(flags, fc.option(fc.string({ unit: "binary" }), { nil: undefined }), (given, variable) => {
      isConfigOrUsageError(() => resolveConfig({ flags: given as FlagValues, env: () => variable }));
    }),
    options,
  );
});
