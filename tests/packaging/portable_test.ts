/**
 * One file does all the work, whoever starts it and wherever, and runs nothing that somebody else has put in its way.
 *
 * @module
 */
import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import { findGpuAdapter } from "../../src/engine/devices.ts";
import { logOf, onlyObject } from "../cli/support.ts";
import {
  AS_STRANGER,
  Bench,
  cannotPack,
  namesIn,
  noMounts,
  noStrangers,
  OFFLINE,
  run,
  type Start,
  STRANGER,
} from "./portable.ts";

const bench = cannotPack ? undefined : await Bench.make();
if (bench !== undefined) globalThis.addEventListener("unload", () => Deno.removeSync(bench.path, { recursive: true }));
const hasGpu = !("missing" in await findGpuAdapter());

/** A test that needs the program, and perhaps more. */
function check(name: string, missing: string | undefined, fn: (bench: Bench) => Promise<void>): void {
  const reason = cannotPack ? "packs on Linux only" : missing;
  Deno.test({
    name: reason === undefined ? name : `${name} (${reason})`,
    ignore: reason !== undefined,
    fn: () => fn(bench!),
  });
}

/** Asserts that a start failed with a message on stderr and nothing on stdout. */
function refused({ code, stdout, stderr }: Awaited<ReturnType<typeof run>>, message: RegExp): void {
  assert.equal(stdout, "");
  assert.match(stderr, message);
  assert.equal(code, 2);
}

/** Asserts that the program said its version. */
function answered({ code, stdout, stderr }: Awaited<ReturnType<typeof run>>): void {
  assert.deepEqual([code, stderr], [0, ""]);
  assert.ok(stdout.startsWith(`rlcf ${manifest.version}\ncommit `), stdout);
}

/** What a complete place to unpack to holds. */
function assertComplete(place: string): void {
  const names = namesIn(place);
  assert.equal(names.length, 3, names.join(", "));
  assert.match(names.join(" "), /^cache deno-[0-9a-f]{16} rlcf-[0-9a-f]{16}\.js$/);
}

/** Demonstrates, trains, measures and counts in an empty directory with an empty environment. */
async function doEverything(bench: Bench, name: string, owner: number, wrapper: readonly string[]): Promise<void> {
  const cwd = await bench.directory(name, { owner });
  // An empty environment names no home: the program is unpacked where temporary files are.
  const unpacked = `/tmp/rlcf-${owner}`;
  const wasThere = await Deno.lstat(unpacked).then(() => true, () => false);
  const rlcf = (...args: string[]): Promise<Awaited<ReturnType<typeof run>>> =>
    run([bench.program, ...args], { cwd, wrapper: [...OFFLINE, ...wrapper] });
  const object = async (...args: string[]): Promise<Record<string, unknown>> => {
    const finished = await rlcf(...args, "--json");
    assert.equal(finished.code, 0, `${args[0]}: ${finished.stderr}`);
    return onlyObject(finished);
  };
  try {
    const { stdout } = await rlcf("--version");
    assert.match(stdout, /^rlcf \S+\ncommit \S+.*\ndeno \S+ \(v8 .*\)\nengines webgpu, simd, wasm, cpu\n$/);
    await object("demo", "--episodes", "60", "--epochs", "1");
    await Deno.writeTextFile(`${cwd}/log.jsonl`, logOf(40));
    await Deno.writeTextFile(
      `${cwd}/small.yaml`,
      "gating_policy: {input_dim: 8, hidden_dim: 4}\ntraining: {epochs: 2}\n",
    );
    const here = ["--config", "small.yaml", "--database", "sqlite:///log.db"];
    assert.equal((await object("ingest", "log.jsonl", ...here)).traces, 40);
    const trained = await object("train", ...here);
    assert.deepEqual([trained.status, trained.version], ["completed", "v1.0.0"]);
    assert.equal((await object("stats", ...here)).total_traces, 40);
    const backends = ["simd", "wasm", "cpu", ...hasGpu ? ["webgpu"] : []];
    const measured = await object("bench", "--quick", "--backend", backends.join(","), ...here) as {
      readonly rows: readonly { readonly backend: string }[];
      readonly agreement: readonly { readonly backend: string; readonly max_rel_error: number }[];
    };
    for (const backend of backends) {
      assert.ok(measured.rows.some((row) => row.backend.startsWith(backend)), `bench: no row of ${backend}`);
    }
    // The engine's threads are started from a text inside the bundle.
    if (navigator.hardwareConcurrency > 1) {
      assert.ok(measured.rows.some(({ backend }) => /^simd [2-9]\d* threads/.test(backend)), "no threads");
    }
    assert.ok(measured.agreement.length > 0 && measured.agreement.every((row) => row.max_rel_error < 1e-5));
  } finally {
    if (!wasThere) await Deno.remove(unpacked, { recursive: true });
  }
}

check(
  `one file demonstrates, trains, measures and counts with nothing around it${
    OFFLINE.length > 0 ? ", without a network" : ""
  }`,
  undefined,
  (bench) => doEverything(bench, "everything", Deno.uid()!, []),
);

check(
  "the same for a user who owns nothing else",
  noStrangers,
  (bench) => doEverything(bench, "stranger", STRANGER, AS_STRANGER),
);

check("six first starts at once all answer, and leave one copy that is whole", undefined, async (bench) => {
  const cwd = await bench.directory("six");
  const start: Start = { cwd: await bench.directory("empty"), env: { HOME: cwd, TMPDIR: cwd } };
  const starts = await Promise.all(Array.from({ length: 6 }, () => run([bench.program, "--version"], start)));
  starts.forEach(answered);
  assertComplete(`${cwd}/.cache/rlcf`);
});

check("what lies in the working directory and above the unpacked files is not read", undefined, async (bench) => {
  const home = await bench.directory("home");
  for (const place of [home, await bench.directory("hostile"), await bench.directory("home/.cache")]) {
    const evil = "console.log('evil'); Deno.exit(99);\n";
    const map = JSON.stringify({ imports: { "node:path": "./evil.js", "node:sqlite": "./evil.js" } });
    const files = {
      "deno.json": `{"imports": {"node:path": "./evil.js"}, "nodeModulesDir": "manual", "lock": {"frozen": true}}`,
      "deno.lock": "not a lock file",
      "import_map.json": map,
      "package.json": `{"type": "commonjs", "imports": {"node:path": "./evil.js"}, "dependencies": {"evil": "file:."}}`,
      ".npmrc": "registry=http://127.0.0.1:1/",
      ".env": "RLCF_BACKEND=evil\nRLCF_LOG_LEVEL=evil\n",
      "tsconfig.json": "{{{",
      "evil.js": evil,
    };
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${place}/${name}`, text);
  }
  const start = { cwd: `${bench.path}/hostile`, env: { HOME: home, TMPDIR: home } };
  answered(await run([bench.program, "--version"], start));
  const { code, stdout, stderr } = await run([bench.program, "stats", "--json"], start);
  assert.deepEqual([code, stderr.includes("evil"), stdout.includes("evil")], [0, false, false], stderr);
});

check("a file that was cut off or damaged is refused before anything of it runs", undefined, async (bench) => {
  const cwd = await bench.directory("damaged");
  const env = { RLCF_UNPACK_DIR: `${cwd}/unpacked` };
  const whole = await Deno.readFile(bench.program);
  const text = new TextDecoder("latin1").decode(whole.subarray(0, 20_000));
  const end = text.indexOf("\nexit 126; }\n");
  assert.ok(end > 0);
  const tryOut = async (bytes: Uint8Array): Promise<Awaited<ReturnType<typeof run>>> => {
    await Deno.writeFile(`${cwd}/rlcf`, bytes, { mode: 0o755 });
    return await run([`${cwd}/rlcf`, "--version"], { cwd, env });
  };
  for (const length of [whole.length - 1, whole.length >> 1, end + 14]) {
    refused(await tryOut(whole.subarray(0, length)), /has \d+ bytes, wanted \d+: it was not downloaded to its end/);
  }
  for (const length of [end - 100, 900]) {
    const { code, stdout } = await tryOut(whole.subarray(0, length));
    assert.deepEqual([code === 0, stdout], [false, ""]);
  }
  const flipped = whole.slice();
  flipped[whole.length - 1000]! ^= 1;
  refused(await tryOut(flipped), /is damaged, its SHA-256 is not what it was built with/);
  assert.deepEqual(namesIn(cwd), ["rlcf"]);
});

check("SIGTERM while unpacking leaves nothing half done, and the next start works", undefined, async (bench) => {
  const cwd = await bench.directory("term");
  const place = `${cwd}/unpacked`;
  const child = new Deno.Command(bench.program, {
    args: ["--version"],
    cwd,
    clearEnv: true,
    env: { RLCF_UNPACK_DIR: place },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const isUnpacking = (): boolean => {
    try {
      return namesIn(place).some((name) => name.startsWith(".unpack") && namesIn(`${place}/${name}`).length > 1);
    } catch {
      return false;
    }
  };
  while (!isUnpacking()) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGTERM");
  const { code, stdout } = await child.output();
  assert.deepEqual([code, stdout.length], [143, 0]);
  assert.deepEqual(namesIn(place), []);
  answered(await run([bench.program, "--version"], { cwd, env: { RLCF_UNPACK_DIR: place } }));
  assertComplete(place);
  // A copy that a power cut left with the right name but not its content is replaced.
  const [deno] = namesIn(place).filter((name) => name.startsWith("deno"));
  await Deno.truncate(`${place}/${deno}`, 1000);
  answered(await run([bench.program, "--version"], { cwd, env: { RLCF_UNPACK_DIR: place } }));
});

check("directories that others can write to are never run from", noStrangers, async (bench) => {
  const cwd = await bench.directory("others");
  const safe = await bench.directory("others/safe");
  answered(await run([bench.program, "--version"], { cwd, env: { RLCF_UNPACK_DIR: safe } }));
  const names = namesIn(safe).filter((name) => name !== "cache");
  const [deno] = names;
  const explicitly = (place: string): ReturnType<typeof run> =>
    run([bench.program, "--version"], { cwd, env: { RLCF_UNPACK_DIR: place } });
  /** A place prepared by somebody else: right names and sizes, but what would run says so and leaves a mark. */
  const prepare = async (name: string, owner: number): Promise<string> => {
    const place = await bench.directory(`others/${name}`);
    for (const file of names) await Deno.copyFile(`${safe}/${file}`, `${place}/${file}`);
    await Deno.writeTextFile(`${place}/${deno}`, `#!/bin/sh\ntouch ${cwd}/hacked\n`);
    await Deno.truncate(`${place}/${deno}`, (await Deno.stat(`${safe}/${deno}`)).size);
    for (const path of [place, ...names.map((file) => `${place}/${file}`)]) await Deno.chown(path, owner, owner);
    return place;
  };
  const own = await prepare("own", 0);
  await Deno.chmod(own, 0o777);
  refused(await explicitly(own), /other users may write to .*own/);
  await Deno.chmod(own, 0o755);
  await Deno.chmod(`${own}/${deno}`, 0o775);
  // Its own directory: what others may have changed in it is replaced.
  answered(await explicitly(own));
  const theirs = await prepare("theirs", STRANGER);
  refused(await explicitly(theirs), new RegExp(`belongs to the user with id ${STRANGER}`));
  await Deno.symlink(theirs, `${cwd}/link`);
  refused(await explicitly(`${cwd}/link`), new RegExp(`belongs to the user with id ${STRANGER}`));
  const parent = await bench.directory("others/open", { mode: 0o777 });
  refused(await explicitly(`${parent}/inside`), /other users may write to .*open/);
  // Without a place asked for, the hostile one is passed over.
  const tmp = await bench.directory("others/tmp", { mode: 0o1777 });
  await Deno.rename(theirs, `${tmp}/rlcf-0`);
  const home = await bench.directory("others/home");
  answered(await run([bench.program, "--version"], { cwd, env: { HOME: home, TMPDIR: tmp } }));
  assertComplete(`${home}/.cache/rlcf`);
  assert.ok(!namesIn(cwd).includes("hacked"));
  // What root has unpacked serves everyone, and nobody but root can change it.
  answered(await run([bench.program, "--version"], { cwd, env: { RLCF_UNPACK_DIR: safe }, wrapper: AS_STRANGER }));
});

check(
  "a read-only or full home and places without exec are passed over, and named if all fail",
  noMounts,
  async (bench) => {
    const cwd = await bench.directory("mounts");
    for (const name of ["home", "tmp"]) await bench.directory(`mounts/${name}`);
    /** Runs a start with file systems of its own mounted over home and tmp. */
    const mounted = (home: string, env: Readonly<Record<string, string>>, after = "true"): ReturnType<typeof run> =>
      run(
        [
          "unshare",
          "-m",
          "sh",
          "-c",
          `mount -t tmpfs -o ${home} none home && "$0" --version; code=$?; ${after}; exit $code`,
        ]
          .concat(bench.program),
        { cwd, env: { HOME: `${cwd}/home`, PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...env } },
      );
    const TMPDIR = `${cwd}/tmp`;
    for (const home of ["ro", "noexec", "size=8m"]) {
      answered(await mounted(home, { TMPDIR }, `test -z "$(find home -name 'deno*')"`));
    }
    assertComplete(`${TMPDIR}/rlcf-0`);
    const RLCF_UNPACK_DIR = `${cwd}/home/here`;
    const cases: readonly [string, RegExp][] = [
      ["ro", /cannot be made/],
      ["noexec", /programs may not be run there \(noexec\)/],
      ["size=8m", /No space left on device/],
    ];
    for (const [home, cause] of cases) {
      const finished = await mounted(home, { RLCF_UNPACK_DIR }, 'test -z "$(ls -A home/here)" || echo leftovers >&2');
      refused(finished, cause);
      assert.match(finished.stderr, /\nhint: Set RLCF_UNPACK_DIR to a directory/);
      assert.doesNotMatch(finished.stderr, /leftovers/);
    }
  },
);
