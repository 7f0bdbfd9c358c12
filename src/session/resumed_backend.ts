/**
 * The backend on which an interrupted run goes on.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { RlcfError } from "../base/errors.ts";
import type { BackendChoice } from "../engine/create.ts";
import { BACKEND_NAMES, type PolicyEngine } from "../engine/engine.ts";

const log = getLogger(["rlcf", "session"]);

/**
 * Opens the policy of an interrupted run: on the backend that was asked for by name; else, under `auto`, where the run
 * was saved, since there alone it ends in the bits of an uninterrupted one. Where that is gone, `auto` chooses anew.
 *
 * @param savedOn the backend that the run's last state was computed on
 * @param engineOf the engine that trains the policy
 */
export async function openInterrupted<P extends { readonly backendReason: string }>(
  choice: BackendChoice,
  savedOn: string,
  open: (backend: BackendChoice) => Promise<P>,
  engineOf: (policy: P) => Pick<PolicyEngine, "backend">,
): Promise<{ readonly policy: P; readonly backendReason: string }> {
  const saved = BACKEND_NAMES.find((name) => name === savedOn);
  if (choice === "auto" && saved !== undefined) {
    try {
      return { policy: await open(saved), backendReason: "the interrupted run was computed on it" };
    } catch (thrown) {
      if (!(thrown instanceof RlcfError) || thrown.code !== "backend") throw thrown;
    }
  }
  const policy = await open(choice);
  const { backend: found } = engineOf(policy);
  if (found !== savedOn) {
    log.warn("the run was saved on {savedOn} and goes on on {found}: the result will differ in its last bits", {
      savedOn,
      found,
    });
  }
  return { policy, backendReason: policy.backendReason };
}
