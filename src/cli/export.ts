/**
 * `rlcf export`: a version as a file that other programs run.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import { basename, join } from "node:path";
import { RlcfError } from "../base/errors.ts";
import type { ExportedFiles, ExportedPolicy } from "../policy/export/exported.ts";
import type { PolicyType } from "../session/kinds/apprenticeship.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { command, configured, memoryNotice, openStore } from "./context.ts";
import { checkFree, writeWhole } from "./export_files.ts";
import { count } from "./table.ts";
import { printResult, say } from "./terminal.ts";

/** The formats: what a format is good for, and what its place is called unless the user names it. */
const FORMATS = {
  safetensors: { defaultName: (name: string) => `${name}.safetensors`, isDirectory: false },
  tfjs: { defaultName: (name: string) => `${name}-tfjs`, isDirectory: true },
  onnx: { defaultName: (name: string) => `${name}.onnx`, isDirectory: false },
} as const;

type Format = keyof typeof FORMATS;

/** The command. */
export function exportCommand(): Command {
  const exporter = command("export", "a version as a file for PyTorch, TensorFlow.js or ONNX")
    .argument("[version]", "the active one by default")
    .addOption(
      new Option("--format <name>", "safetensors for PyTorch; tfjs = a layers model; onnx for onnxruntime")
        .choices(Object.keys(FORMATS) as Format[]).default("safetensors" as const),
    )
    .option("--output <path>", "the file, for tfjs the directory (default TYPE-VERSION.safetensors, ...)")
    .option("--force", "replace files that are there")
    .option("--policy-type <type>", "whose version (gating; react as safetensors alone; default gating)");
  exporter.action(async (version, options) => {
    const resolved = await configured(options, { "training.policy_type": options.policyType });
    const { checkpoint: { directory }, training: { policyType } } = resolved.config;
    await using store = await openStore(resolved, "empty");
    const notice = memoryNotice(store, resolved);
    if (notice !== undefined) say(`note: ${notice}`);
    const policy = await exportedPolicy(store, directory, policyType, options.format, version);
    const defaultName = FORMATS[options.format].defaultName(`${policy.policyType}-${policy.version}`);
    const files = placed(await filesOf(options.format, policy), options.format, options.output ?? defaultName);
    await checkFree(files.map(({ path }) => path), options.force === true);
    for (const { path, content } of files) await writeWhole(path, content);
    if (options.json) {
      const listed = await Promise.all(files.map(async ({ path, content }) => ({
        path,
        bytes: content.length,
        sha256: new Uint8Array(await crypto.subtle.digest("SHA-256", content)).toHex(),
      })));
      const { policyType, version, experts } = policy;
      return printResult(
        JSON.stringify({ policy_type: policyType, version, format: options.format, experts, files: listed }),
      );
    }
    const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
    say(`${policy.policyType} ${policy.version} as ${options.format}, ${count(bytes)} bytes`);
    for (const { path } of files) printResult(path);
  });
  return exporter as unknown as Command;
}

/** The version asked for; throws RlcfError("usage") where its type does not go into the format. */
async function exportedPolicy(
  store: RLCFPersistence,
  directory: string,
  policyType: PolicyType,
  format: Format,
  version: string | undefined,
): Promise<ExportedPolicy> {
  const { findStoredPolicy, findStoredReAct } = await import("../session/open_policy.ts");
  const { exportStateDict } = await import("../policy/state_dict.ts");
  if (policyType === "traversal") {
    throw new RlcfError("usage", "cannot export a traversal policy: found none of the formats for it, wanted gating", {
      hint:
        "policy.safetensors in its checkpoint holds its weights; TraversalPolicy.state() those of the original's layout.",
    });
  }
  if (policyType === "react") {
    if (format !== "safetensors") {
      throw new RlcfError("usage", `cannot export a react policy as ${format}: it is two networks, wanted safetensors`);
    }
    const { checkpoint, saved } = await findStoredReAct(store, directory, version);
    const { prefixed } = await import("../session/saved_policy.ts");
    const state = {
      ...prefixed("actor.", exportStateDict(saved.actor)),
      ...prefixed("critic.", exportStateDict(saved.critic)),
    };
    return { state, policyType, version: checkpoint.version, experts: saved.actions };
  }
  const { checkpoint, saved } = await findStoredPolicy(store, directory, policyType, version);
  return {
    state: exportStateDict(saved.state),
    policyType: checkpoint.policyType,
    version: checkpoint.version,
    experts: saved.experts,
  };
}

/** The files of a format. */
async function filesOf(format: Format, policy: ExportedPolicy): Promise<ExportedFiles> {
  switch (format) {
    case "safetensors":
      return (await import("../policy/export/safetensors.ts")).exportSafetensors(policy);
    case "tfjs":
      return (await import("../policy/export/tfjs_layers.ts")).exportTfjsLayers(policy);
    case "onnx":
      return (await import("../policy/export/onnx.ts")).exportOnnx(policy);
  }
}

/** The files where they are to lie. */
function placed(
  files: ExportedFiles,
  format: Format,
  output: string,
): { readonly path: string; readonly content: Uint8Array<ArrayBuffer> }[] {
  return [...files].map(([name, content]) => ({
    path: FORMATS[format].isDirectory ? join(output, basename(name)) : output,
    content: content as Uint8Array<ArrayBuffer>,
  }));
}
