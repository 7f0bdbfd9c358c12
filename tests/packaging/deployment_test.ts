/**
 * The files for systemd and for containers: what they name exists, and they hold what the README promises of them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const service = await Deno.readTextFile(`${root}config/systemd/rlcf-train.service`);
const containerfile = await Deno.readTextFile(`${root}config/Containerfile`);

const hasSystemd = await new Deno.Command("systemd-analyze", { args: ["--version"], stdout: "null" }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: `systemd finds nothing wrong with the units${hasSystemd ? "" : " (systemd-analyze is not here)"}`,
  ignore: !hasSystemd,
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "rlcf-units-" });
    try {
      // The program and its user exist where it is installed, not here.
      const here = service.replaceAll("/usr/local/bin/rlcf", "/bin/sh").replace(/^(?:User|Group)=.*$/gm, "");
      await Deno.writeTextFile(`${directory}/rlcf-train.service`, here);
      await Deno.copyFile(`${root}config/systemd/rlcf-train.timer`, `${directory}/rlcf-train.timer`);
      const { code, stderr } = await new Deno.Command("systemd-analyze", {
        args: ["verify", "--man=no", `${directory}/rlcf-train.service`, `${directory}/rlcf-train.timer`],
      }).output();
      assert.deepEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("the service runs as a user of its own, writes to its own directories, and has no password on a command line", () => {
  for (
    const line of [
      "User=rlcf",
      "ProtectSystem=strict",
      "NoNewPrivileges=yes",
      "CapabilityBoundingSet=",
      "PrivateTmp=yes",
    ]
      .concat("StateDirectory=rlcf", "CacheDirectory=rlcf", "EnvironmentFile=/etc/rlcf/rlcf.env")
  ) assert.ok(service.split("\n").includes(line), line);
  const commands = service.split("\n").filter((line) => line.startsWith("Exec"));
  assert.deepEqual(commands, ["ExecStart=/usr/local/bin/rlcf train --json $RLCF_TRAIN_FLAGS"]);
  assert.doesNotMatch(service, /RLCF_ASYNC_DATABASE_URL|postgresql:\/\//);
});

Deno.test("the container file copies what exists, builds with the Deno of CI, and does not run as root", async () => {
  const instructions: readonly string[] = containerfile.replace(/^#.*\n/gm, "").split("\n").filter((line) =>
    line !== ""
  );
  const known = /^(?:FROM|WORKDIR|COPY|RUN|ENV|USER|VOLUME|ENTRYPOINT|CMD) \S/;
  for (const line of instructions) assert.match(line, known);
  for (const line of instructions.filter((line) => line.startsWith("COPY ") && !line.includes("--from="))) {
    for (const source of line.split(" ").slice(1, -1)) await Deno.stat(`${root}${source}`);
  }
  const ci = await Deno.readTextFile(`${root}.ci/run`);
  const [version] = /deno@[\d.]+/.exec(ci)!;
  assert.ok(containerfile.includes(`npx --yes ${version} task compile --portable`), String(version));
  const last = instructions.findLastIndex((line) => line.startsWith("FROM "));
  const user = instructions.findLast((line) => line.startsWith("USER "));
  assert.ok(user !== undefined && instructions.indexOf(user) > last && !/^USER (?:0|root)\b/.test(user), String(user));
});
