/**
 * The backend on which an interrupted run goes on.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { RlcfError } from "../base/errors.ts";
import type { EngineUsed } from "../checkpoint/manifest.ts";
import { BACKEND_NAMES } from "../config/schema.ts";
import type { BackendChoice } from "../engine/create.ts";
import type { PolicyEngine } from "../engine/engine.ts";

const log = getLogger(["rlcf", "session"]);

/**
 * Opens the policy of an interrupted run: on the backend that was asked for by name; else, under `auto`, where the run
 * was saved, since there alone it ends in the bits of an uninterrupted one. Where that is gone, `auto` chooses anew; so it
 * does where the GPU is another one, which would give other bits and may be an imitation on the CPU.
 *
 * @param saved what the run's last state was computed on
 * @param engineOf the engine that trains the policy
 */
export async function openInterrupted<P extends { readonly backendReason: string; close(): Promise<void> }>(
  choice: BackendChoice,
  saved: EngineUsed,
  open: (backend: BackendChoice) => Promise<P>,
  engineOf: (policy: P) => Pick<PolicyEngine, "backend" | "device">,
): Promise<{ readonly policy: P; readonly backendReason: string }> {
  const name = BACKEND_NAMES.find((one) => one === saved.backend);
  if (choice === "auto" && name !== undefined) {
    try {
      const policy = await open(name);
      if (name !== "webgpu" || engineOf(policy).device === saved.device) {
        return { policy, backendReason: "the interrupted run was computed on it" };
      }
      await policy.close();
    } catch (thrown) {
      if (!(thrown instanceof RlcfError) || thrown.code !== "backend") throw thrown;
    }
  }
  const policy = await open(choice);
  const found = engineOf(policy);
  if (found.backend !== saved.backend || found.backend === "webgpu" && found.device !== saved.device) {
    log.warn("the run was saved on {saved} and goes on on {found}: the result will differ in its last bits", {
      saved: `${saved.backend} (${saved.device})`,
      found: `${found.backend} (${found.device})`,
    });
  }
  return { policy, backendReason: policy.backendReason };
}
