import { deepEqual, equal } from "node:assert/strict";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { FlagValues } from "../../src/config/resolve.ts";
import { flagOf, settings } from "../../src/config/schema.ts";
import type { SettingKey } from "../../src/config/schema.ts";
import { defaultConfig, resolveText, usageError, valuesOf } from "./support.ts";

/** For each setting a value that is not its default, as a flag or variable spells it, and what it means. */
const others: Readonly<Record<SettingKey, readonly [text: string, value: unknown]>> = {
  "training.policy_type": ["react", "react"],
  "training.min_feedback": ["7", 7],
  "training.max_episodes": ["500", 500],
  "training.batch_size": ["64", 64],
  "training.learning_rate": ["1e-3", 1e-3],
  "training.entropy_coef": ["0", 0],
  "training.clip_grad_norm": ["0.5", 0.5],
  "training.objective": ["direct", "direct"],
  "training.epochs": ["3", 3],
  "training.seed": ["4294967295", 4294967295],
  "training.weight_decay": [".1", 0.1],
  "training.baseline_decay": ["0.99", 0.99],
  "training.normalize_advantage": ["false", false],
  "training.min_variance": ["0.2", 0.2],
  "training.importance_clip": ["1", 1],
  "training.residual_clip": ["2.5", 2.5],
  "training.feedback_weighting": ["none", "none"],
  "training.discount_contradictions": ["false", false],
  "training.scoring": ["merlt", "merlt"],
  "react_policy.state_dim": ["768", 768],
  "react_policy.num_actions": ["3", 3],
  "react_policy.hidden_dim": ["0", 0],
  "react_policy.gamma": ["1", 1],
  "react_policy.gae_lambda": ["0", 0],
  "react_policy.clip_ratio": ["0.1", 0.1],
  "react_policy.num_epochs": ["10", 10],
  "react_policy.step_penalty": ["0", 0],
  "react_policy.actions": ["search, read, answer", ["search", "read", "answer"]],
  "react_policy.input_scale": ["1", 1],
  "react_policy.learning_rate": ["0.001", 0.001],
  "react_policy.minibatch_size": ["64", 64],
  "react_policy.value_coef": ["1", 1],
  "react_policy.max_grad_norm": ["0", 0],
  "react_policy.target_kl": ["0", 0],
  "traversal_policy.hidden_dim": ["0", 0],
  "traversal_policy.relations": ["CITA, DEROGA", ["CITA", "DEROGA"]],
  "traversal_policy.input_scale": ["1", 1],
  "gating_policy.input_dim": ["1024", 1024],
  "gating_policy.hidden_dim": ["0", 0],
  "gating_policy.num_experts": ["3", 3],
  "gating_policy.experts": ["a, b, c", ["a", "b", "c"]],
  "gating_policy.input_scale": ["32", 32],
  "checkpoint.directory": ["elsewhere/policies", "elsewhere/policies"],
  "checkpoint.save_frequency": ["10", 10],
  "checkpoint.keep_last_n": ["2", 2],
  "checkpoint.activate": ["never", "never"],
  "database.url": ["sqlite:///here.db", "sqlite:///here.db"],
  "database.lookback_days": ["90", 90],
  "database.pool_size": ["8", 8],
  "evaluation.enabled": ["false", false],
  "evaluation.holdout_ratio": ["0.5", 0.5],
  "evaluation.min_holdout": ["0", 0],
  "evaluation.level_margin": ["0.1", 0.1],
  "compute.backend": ["cpu", "cpu"],
  "logging.level": ["error", "error"],
};

/** A number and the names that it counts must agree, so they are given together. */
function together(key: SettingKey): readonly SettingKey[] {
  if (key === "react_policy.num_actions") return [key, "react_policy.actions"];
  return key === "gating_policy.num_experts" ? [key, "gating_policy.experts"] : [key];
}

Deno.test("every setting is reached from the file, and only that one", () => {
  for (const key of settings.keys()) {
    const expected: Record<string, unknown> = valuesOf(resolveConfig({}));
    let text = "";
    for (const given of together(key)) {
      const [section, name] = given.split(".");
      text += `${text === "" ? `${section}:\n` : ""}  ${name}: ${JSON.stringify(others[given][1])}\n`;
      expected[given] = others[given][1];
    }
    if (key === "gating_policy.experts") expected["gating_policy.num_experts"] = 3;
    if (key === "react_policy.actions") expected["react_policy.num_actions"] = 3;
    const resolved = resolveText(text);
    deepEqual(valuesOf(resolved), expected, key);
    equal(resolved.sources[key], "file c.yaml:2");
  }
});

Deno.test("every setting is reached from its flag, as text", () => {
  for (const key of settings.keys()) {
    const flags = Object.fromEntries(together(key).map((given) => [given, others[given][0]])) as FlagValues;
    const resolved = resolveConfig({ flags });
    deepEqual(valuesOf(resolved)[key], others[key][1], key);
    equal(resolved.sources[key], `flag ${flagOf(key)}`);
  }
});

Deno.test("a flag may also give the value itself, and undefined gives nothing", () => {
  const { config, sources } = resolveConfig({ flags: { "training.epochs": 3, "training.seed": undefined } });
  equal(config.training.epochs, 3);
  equal(config.training.seed, 0);
  equal(sources["training.seed"], "default");
});

const variables: ReadonlyArray<readonly [name: string, key: SettingKey]> = [
  ["RLCF_ASYNC_DATABASE_URL", "database.url"],
  ["RLCF_CHECKPOINT_DIR", "checkpoint.directory"],
  ["RLCF_LOG_LEVEL", "logging.level"],
  ["RLCF_BACKEND", "compute.backend"],
];

Deno.test("each environment variable reaches its setting, and there are no others", () => {
  for (const [name, key] of variables) {
    const resolved = resolveConfig({ env: (asked) => asked === name ? others[key][0] : undefined });
    deepEqual(valuesOf(resolved), { ...valuesOf(resolveConfig({})), [key]: others[key][1] });
    equal(resolved.sources[key], `environment ${name}`);
  }
  const asked: string[] = [];
  resolveConfig({ env: (name) => void asked.push(name) });
  deepEqual(asked.toSorted(), variables.map(([name]) => name).toSorted());
});

Deno.test("an environment variable that is empty counts as not set", () => {
  const { config, sources } = resolveConfig({ env: () => "" });
  deepEqual(config, defaultConfig());
  equal(sources["compute.backend"], "default");
});

Deno.test("a flag goes before the environment, that before the file, that before the default", () => {
  const text = "compute: {backend: wasm}\ncheckpoint: {directory: from/file}\nlogging: {level: error}";
  const env = (name: string): string | undefined => ({ RLCF_BACKEND: "simd", RLCF_CHECKPOINT_DIR: "from/env" })[name];
  const { config, sources } = resolveText(text, { env, flags: { "compute.backend": "cpu" } });
  equal(config.compute.backend, "cpu");
  equal(sources["compute.backend"], "flag --backend");
  equal(config.checkpoint.directory, "from/env");
  equal(sources["checkpoint.directory"], "environment RLCF_CHECKPOINT_DIR");
  equal(config.logging.level, "error");
  equal(sources["logging.level"], "file c.yaml:3");
  equal(sources["training.seed"], "default");
});

Deno.test("for the database URL the file goes before the environment, unless it says null", () => {
  const env = (name: string): string | undefined => name === "RLCF_ASYNC_DATABASE_URL" ? "sqlite:///env.db" : undefined;
  const named = resolveText("database:\n  url: sqlite:///file.db", { env });
  equal(named.config.database.url, "sqlite:///file.db");
  equal(named.sources["database.url"], "file c.yaml:2");
  const open = resolveText("database:\n  url: null", { env });
  equal(open.config.database.url, "sqlite:///env.db");
  equal(open.sources["database.url"], "environment RLCF_ASYNC_DATABASE_URL");
  const flagged = resolveText("database:\n  url: sqlite:///file.db", { env, flags: { "database.url": ":memory:" } });
  equal(flagged.config.database.url, ":memory:");
  equal(flagged.sources["database.url"], "flag --database");
  equal(resolveText("database:\n  url: null").config.database.url, null);
});

Deno.test("the log level is known in capitals and by its other names", () => {
  const levelOf = (level: string): string =>
    resolveConfig({ env: (n) => n === "RLCF_LOG_LEVEL" ? level : "" }).config.logging.level;
  equal(levelOf("INFO"), "info");
  equal(levelOf("Debug"), "debug");
  equal(levelOf("WARN"), "warning");
  equal(levelOf("WARNING"), "warning");
  equal(levelOf("CRITICAL"), "error");
  equal(resolveText("logging:\n  level: INFO").config.logging.level, "info");
});

Deno.test("a wrong flag or variable is named, with what was found and what was wanted", () => {
  equal(
    usageError(() => resolveConfig({ flags: { "training.max_episodes": "many" } })),
    'cannot use the configuration: flag --max-episodes: training.max_episodes: found the text "many", ' +
      "wanted an integer of at least 1",
  );
  equal(
    usageError(() => resolveConfig({ env: (name) => name === "RLCF_BACKEND" ? "cuda" : undefined })),
    'cannot use the configuration: environment RLCF_BACKEND: compute.backend: found the text "cuda", ' +
      "wanted one of auto, webgpu, simd, wasm, cpu",
  );
  for (const text of ["", " ", "0x10", "1_000", "Infinity", "NaN", "1e999", "1.5", "-1", "99999999999999999999"]) {
    usageError(() => resolveConfig({ flags: { "training.max_episodes": text } }));
  }
});

Deno.test("file, variables and flags are checked together, even where another value holds", () => {
  const message = usageError(() =>
    resolveText("compute:\n  backend: cuda", {
      env: (name) => name === "RLCF_BACKEND" ? "rocm" : undefined,
      flags: { "compute.backend": "cpu", "training.seed": "-1" },
    })
  );
  equal(
    message,
    "cannot use the configuration, 3 problems:\n" +
      'c.yaml:2:12: compute.backend: found the text "cuda", wanted one of auto, webgpu, simd, wasm, cpu\n' +
      "flag --seed: training.seed: found -1, wanted an integer from 0 to 4294967295\n" +
      'environment RLCF_BACKEND: compute.backend: found the text "rocm", wanted one of auto, webgpu, simd, wasm, cpu',
  );
});

Deno.test("a password is in no message", () => {
  const secret = "postgresql://u:hidden@h/db";
  const messages = [
    usageError(() => resolveConfig({ flags: { "database.url": `${secret}${"x".repeat(5000)}` } })),
    usageError(() => resolveText(`database:\n  ${secret}\n`)),
    usageError(() => resolveText(`database: ${secret}\n`)),
    usageError(() => resolveText(`${secret}: 1\n`)),
    usageError(() => resolveText(`database:\n  url: [${secret}]\n`)),
    usageError(() => resolveText(`training:\n  policy_type: ${secret}\n`)),
    usageError(() => resolveText(`gating_policy:\n  experts: [${secret}, ${secret}]\n`)),
    usageError(() => resolveText(`database:\n  url: !${secret}\n`)),
  ];
  for (const message of messages) equal(/hidden/.test(message), false, message);
});

Deno.test("the number of experts follows their names where it is not given", () => {
  const { config, sources } = resolveText("gating_policy:\n  experts: [a, b, c, d, e]");
  equal(config.gatingPolicy.numExperts, 5);
  equal(sources["gating_policy.num_experts"], "file c.yaml:2");
});

Deno.test("a number of experts that disagrees with their names is refused, naming both lines", () => {
  equal(
    usageError(() => resolveText("gating_policy:\n  num_experts: 3\n  experts: [a, b]\n")),
    "cannot use the configuration: c.yaml:2:16: gating_policy.num_experts: found 3, wanted 2, the number of names in " +
      "gating_policy.experts (c.yaml:3:12)",
  );
});

Deno.test("a number of experts other than four needs their names", () => {
  equal(
    usageError(() => resolveText("gating_policy:\n  num_experts: 5\n")),
    "cannot use the configuration: c.yaml:2:16: gating_policy.num_experts: found 5, " +
      "wanted 4 (literal, systemic, principles, precedent), or the names of all 5 in gating_policy.experts",
  );
});

Deno.test("one configuration does not change the next", () => {
  const before = defaultConfig();
  const first = resolveText("training: {epochs: 3}\ngating_policy: {experts: [a, b]}").config;
  deepEqual(defaultConfig(), before);
  equal(first.gatingPolicy.experts === defaultConfig().gatingPolicy.experts, false);
});
