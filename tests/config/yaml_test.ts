import { deepEqual, equal, match, ok } from "node:assert/strict";
import { defaultConfig, problemsOf, resolveText } from "./support.ts";

Deno.test("a file that says nothing gives the defaults", () => {
  for (
    const text of ["", "\n", "# only a comment\n", "---\n", "null\n", "{}\n", "training:\n", "training:\n  # seed: 1\n"]
  ) {
    const { config, notices } = resolveText(text);
    deepEqual(config, defaultConfig(), JSON.stringify(text));
    deepEqual(notices, []);
  }
});

Deno.test("numbers may be written in all ways of YAML 1.2", () => {
  const rateOf = (text: string): number =>
    resolveText(`training:\n  learning_rate: ${text}`).config.training.learningRate;
  equal(rateOf("1e-4"), 1e-4);
  equal(rateOf("1.0E-4"), 1e-4);
  equal(rateOf(".5"), 0.5);
  equal(rateOf("1"), 1);
  equal(resolveText("training:\n  seed: 0xff").config.training.seed, 255);
  equal(resolveText("training:\n  seed: 1e3").config.training.seed, 1000);
  ok(Object.is(resolveText("training:\n  entropy_coef: -0").config.training.entropyCoef, 0));
});

Deno.test("a configuration of the original loads; what rlcf does not use is said once for each section", () => {
  const text = `# RLCF training
training:
  policy_type: gating
  min_feedback: 12
  max_episodes: 1000
  batch_size: 32
  learning_rate: 0.0001
  entropy_coef: 0.01
  clip_grad_norm: 1.0

gating_policy:
  input_dim: 768
  hidden_dim: 256
  num_experts: 4

react_policy:
  state_dim: 1024
  num_actions: 7
  hidden_dim: 256
  gamma: 0.99
  gae_lambda: 0.95
  clip_ratio: 0.2
  num_epochs: 4
  step_penalty: -0.05

curriculum:
  enabled: true
  initial_difficulty: 0.3
  target_difficulty: 0.8
  progression_rate: 0.1

evaluation:
  enabled: true
  holdout_ratio: 0.3
  min_holdout: 5

checkpoint:
  directory: models/policies
  save_frequency: 100
  keep_last_n: 5

database:
  url: null
  lookback_days: 30
`;
  const { config, notices } = resolveText(text);
  equal(config.training.minFeedback, 12);
  equal(config.evaluation.holdoutRatio, 0.3);
  equal(config.reactPolicy.stepPenalty, -0.05);
  deepEqual(notices, [
    "c.yaml:26: curriculum is a section of the original that rlcf does not use",
  ]);
});

Deno.test("an unknown key of a section that is not used is refused all the same", () => {
  deepEqual(problemsOf("curriculum:\n  enable: true\n"), [
    'c.yaml:2:3: found the key "enable" in curriculum, wanted one of its keys; did you mean enabled?',
  ]);
});

Deno.test("an unknown key is refused, with the nearest that is known", () => {
  const only = (text: string): string => {
    const problems = problemsOf(text);
    equal(problems.length, 1);
    return problems[0]!;
  };
  match(
    only("training:\n  learning_rat: 1\n"),
    /^c\.yaml:2:3: .*"learning_rat" in training, .* did you mean learning_rate\?$/,
  );
  match(only("training:\n  learning-rate: 1\n"), /did you mean learning_rate\?$/);
  match(only("training:\n  seeed: 1\n"), /did you mean seed\?$/);
  match(only("trainin:\n  seed: 1\n"), /^c\.yaml:1:1: .*section "trainin", .* did you mean training\?$/);
  match(only("seed: 1\n"), /^c\.yaml:1:1: .*wanted it under its section, as training\.seed$/);
  match(
    only("checkpoint:\n  learning_rate: 1\n"),
    /wanted it in its section, as training\.learning_rate \(not checkpoint\)$/,
  );
  match(only("logging:\n  zzzzzzzzz: 1\n"), /wanted one of level$/);
  match(only("logging:\n  1: 1\n"), /^c\.yaml:2:3: .*"1" in logging/);
  match(only("logging:\n  ? [a]\n  : 1\n"), /^c\.yaml:2:5: found the key/);
  match(only("<<: {a: 1}\n"), /^c\.yaml:1:1: found the section "<<"/);
  ok(only(`${"k".repeat(900)}: 1\n`).length < 250);
});

Deno.test("names from JavaScript's own objects are unknown keys like any other", () => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    match(problemsOf(`${name}:\n  polluted: true\n`)[0]!, /^c\.yaml:1:1: found the section/);
    match(problemsOf(`training:\n  ${name}: 1\n`)[0]!, /^c\.yaml:2:3: found the key/);
  }
  equal(({} as Record<string, unknown>)["polluted"], undefined);
});

Deno.test("a value of the wrong type or out of range is refused where it stands", () => {
  const cases: ReadonlyArray<readonly [line: string, expected: string]> = [
    [
      "training:\n  learning_rate: fast",
      '2:18: training.learning_rate: found the text "fast", wanted a number above 0 and at most 1',
    ],
    [
      "training:\n  learning_rate: 0",
      "2:18: training.learning_rate: found 0, wanted a number above 0 and at most 1",
    ],
    [
      "training:\n  learning_rate: .inf",
      "2:18: training.learning_rate: found Infinity, wanted a number above 0 and at most 1",
    ],
    [
      "training:\n  learning_rate: .nan",
      "2:18: training.learning_rate: found NaN, wanted a number above 0 and at most 1",
    ],
    [
      "training:\n  entropy_coef: 1e400",
      "2:17: training.entropy_coef: found Infinity, wanted a number from 0 to 1000000",
    ],
    [
      "training:\n  learning_rate:",
      "2:17: training.learning_rate: found null, wanted a number above 0 and at most 1",
    ],
    ["training:\n  batch_size: 1.5", "2:15: training.batch_size: found 1.5, wanted an integer from 1 to 65536"],
    ["training:\n  batch_size: 65537", "2:15: training.batch_size: found 65537, wanted an integer from 1 to 65536"],
    [
      "training:\n  batch_size: '32'",
      '2:15: training.batch_size: found the text "32", wanted an integer from 1 to 65536',
    ],
    [
      "training:\n  batch_size: [32]",
      "2:15: training.batch_size: found an array of 1, wanted an integer from 1 to 65536",
    ],
    [
      "training:\n  batch_size: {a: 1}",
      "2:15: training.batch_size: found an object, wanted an integer from 1 to 65536",
    ],
    ["training:\n  max_episodes: 0", "2:17: training.max_episodes: found 0, wanted an integer of at least 1"],
    [
      "training:\n  baseline_decay: 1",
      "2:19: training.baseline_decay: found 1, wanted a number of at least 0 and below 1",
    ],
    [
      "training:\n  normalize_advantage: yes",
      '2:24: training.normalize_advantage: found the text "yes", wanted true or false',
    ],
    [
      "training:\n  policy_type: Gating",
      '2:16: training.policy_type: found the text "Gating", wanted one of gating, react, traversal',
    ],
    [
      "training:\n  policy_type: __proto__",
      '2:16: training.policy_type: found the text "__proto__", wanted one of gating, react, traversal',
    ],
    [
      "gating_policy:\n  hidden_dim: 1",
      "2:15: gating_policy.hidden_dim: found 1, wanted 0 or an integer from 2 to 16384",
    ],
    [
      "gating_policy:\n  input_scale: 0",
      "2:16: gating_policy.input_scale: found 0, wanted auto or a number from 0.000001 to 1000000",
    ],
    [
      "checkpoint:\n  directory: ''",
      '2:14: checkpoint.directory: found the text "", wanted a text of 1 to 4096 characters, without NUL',
    ],
    [
      "checkpoint:\n  directory: 5",
      "2:14: checkpoint.directory: found 5, wanted a text of 1 to 4096 characters, without NUL",
    ],
    ["database:\n  url: 5", "2:8: database.url: found 5, wanted null or a URL of at most 4096 characters, without NUL"],
    [
      "evaluation:\n  holdout_ratio: 1",
      "2:18: evaluation.holdout_ratio: found 1, wanted a number of at least 0 and below 1",
    ],
  ];
  for (const [text, expected] of cases) deepEqual(problemsOf(text), [`c.yaml:${expected}`]);
});

Deno.test("the list of experts must hold different names", () => {
  const found = (list: string): string =>
    /found (.*), wanted a list of 2 to 1024 different texts/.exec(
      problemsOf(`gating_policy:\n  experts: ${list}`)[0]!,
    )![1]!;
  equal(found("[a, b, a]"), 'the text "a" twice in the list');
  equal(found("[a, 2]"), "2 in the list, as item 2");
  equal(found("[a, '']"), 'the text "" in the list, as item 2');
  equal(found("[a, [b]]"), "an object in the list, as item 2");
  equal(found("[a]"), "a list of 1");
  equal(found("literal"), 'the text "literal"');
  equal(found('[a, "\\ud800"]'), 'the text "\\ud800" in the list, as item 2');
});

Deno.test("text that is not YAML is refused where it goes wrong", () => {
  const placeOf = (text: string): string => /^c\.yaml:(\d+:\d+): /.exec(problemsOf(text)[0]!)![1]!;
  equal(placeOf("training:\n\tseed: 1\n"), "2:1");
  equal(placeOf("training:\n  seed: [1\n"), "3:1");
  equal(placeOf("training: {seed: 1}\n---\nlogging: {level: info}\n"), "2:1");
  equal(placeOf("training:\n  seed: 'open\n"), "3:1");
  equal(placeOf("training:\n  seed: !unknown 1\n"), "2:9");
  match(problemsOf("training:\n\tseed: 1\n")[0]!, /not valid YAML: Tabs are not allowed as indentation/);
  match(problemsOf("a: 1\n---\nb: 2\n")[0]!, /found a second document, wanted one$/);
});

Deno.test("a key that is there twice is refused where it comes again", () => {
  const twice = (key: string): string => `found the key "${key}" again, wanted it once in`;
  deepEqual(problemsOf("training:\n  seed: 1\n  epochs: 2\n  seed: 1\n"), [
    `c.yaml:4:3: ${twice("seed")} training (it is on line 2)`,
  ]);
  deepEqual(problemsOf("training:\n  seed: 1\ntraining:\n  epochs: 2\n"), [
    `c.yaml:3:1: ${twice("training")} the file (it is on line 1)`,
  ]);
  deepEqual(problemsOf('training:\n  seed: 1\n  "seed": 2\n'), [
    `c.yaml:3:3: ${twice("seed")} training (it is on line 2)`,
  ]);
});

Deno.test("a file or section that is not a mapping is refused", () => {
  match(problemsOf("- training\n")[0]!, /^c\.yaml:1:1: found an array of 1, wanted sections such as "training:"$/);
  match(problemsOf("training\n")[0]!, /^c\.yaml:1:1: found the text "training", wanted sections/);
  match(problemsOf("training: 5\n")[0]!, /^c\.yaml:1:11: training: found 5, wanted the section's keys, one a line$/);
  match(problemsOf("curriculum: [a]\n")[0]!, /^c\.yaml:1:13: curriculum: found an array of 1, wanted/);
});

Deno.test("aliases are refused instead of followed", () => {
  match(
    problemsOf("training:\n  seed: &one 1\n  epochs: *one\n")[0]!,
    /^c\.yaml:3:11: training\.epochs: found an alias/,
  );
  match(problemsOf("training: &all\n  seed: 1\nlogging: *all\n")[0]!, /^c\.yaml:3:10: logging: found an alias/);
  match(problemsOf("gating_policy:\n  experts: [&a a, *a]\n")[0]!, /^c\.yaml:2:19: .*found an alias/);
  equal(resolveText("training:\n  seed: &unused 1\n").config.training.seed, 1);
});

Deno.test("a bomb of nested aliases is refused without being unfolded", () => {
  const levels = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}*a${i}]`);
  equal(problemsOf(["a0: &a0 [lol]", ...levels].join("\n")).at(-1), "and 11 more");
});

Deno.test("all problems of a file are reported at once, and of very many the first twenty", () => {
  deepEqual(
    problemsOf("training:\n  seed: x\n  epoch: 1\nlogging:\n  level: loud\n").map((line) => line.slice(0, 11)),
    [
      "c.yaml:2:9:",
      "c.yaml:3:3:",
      "c.yaml:5:10",
    ],
  );
  const many = problemsOf(Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join("\n"));
  equal(many.length, 21);
  equal(many.at(-1), "and 19980 more");
});

Deno.test("text nested deeper than any reader's stack is refused", () => {
  for (
    const text of [
      "[".repeat(10_000),
      "training: " + "{a: ".repeat(10_000),
      "- ".repeat(10_000),
      "? ".repeat(10_000),
    ]
  ) {
    ok(problemsOf(text).length > 0);
  }
});

Deno.test("lines are counted alike with either line ending", () => {
  for (const end of ["\n", "\r\n"]) {
    equal(resolveText(["training:", "  # seed", "  seed: 5", ""].join(end)).sources["training.seed"], "file c.yaml:3");
    match(problemsOf(["training:", "  seed: -5", ""].join(end))[0]!, /^c\.yaml:2:9: /);
  }
});

Deno.test("a list may be written over several lines", () => {
  const { config } = resolveText("gating_policy:\n  experts:\n    - one\n    - two\n");
  deepEqual(config.gatingPolicy.experts, ["one", "two"]);
});
