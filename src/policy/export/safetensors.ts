/**
 * safetensors: the weights alone, in torch's names and layout. `load_state_dict(load_file(FILE))` takes them.
 *
 * @module
 */
import { encodeSafetensors } from "../../checkpoint/safetensors.ts";
import type { ExportedFiles, ExportedPolicy } from "./exported.ts";

/** One file; its metadata say the version and the experts, as a JSON array. */
export function exportSafetensors({ state, policyType, version, experts }: ExportedPolicy): ExportedFiles {
  const metadata = { format: "pt", policy_type: policyType, version, experts: JSON.stringify(experts) };
  return new Map([["policy.safetensors", encodeSafetensors(state, metadata)]]);
}
