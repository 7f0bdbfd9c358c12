/**
 * `trainer.safetensors`: what resuming needs besides the weights. Arrays are tensors; counters, baseline and random
 * state are one JSON text in the file's metadata, because they are float64 and must come back to the last bit.
 *
 * @module
 */
import { expectObject } from "../base/check.ts";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { TrainerState } from "./checkpoint.ts";
import { parseJson, stringifyExactly } from "./json.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";

/** The key in the metadata that holds the JSON text. */
const STATE_KEY = "state";

/**
 * The bytes of `trainer.safetensors`.
 *
 * @throws RlcfError `checkpoint` for a number that is not finite, or what {@link encodeSafetensors} refuses
 */
export function encodeTrainer(trainer: TrainerState): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(trainer.tensors, {
    [STATE_KEY]: stringifyExactly(trainer.state, "the trainer's state"),
  });
}

/**
 * The state in the bytes of `trainer.safetensors`.
 *
 * @param where the file, for messages
 * @throws RlcfError `checkpoint` for anything else
 */
export function decodeTrainer(bytes: Uint8Array, where: string): TrainerState {
  const { tensors, metadata } = decodeSafetensors(bytes, where);
  const text = Object.hasOwn(metadata, STATE_KEY) ? metadata[STATE_KEY] : undefined;
  if (text === undefined) {
    throw new RlcfError("checkpoint", `cannot read ${where}: found no ${STATE_KEY} in its metadata, wanted JSON text`);
  }
  const place = `the trainer's state in ${where}`;
  const state = parseJson(new TextEncoder().encode(text), place);
  try {
    return { tensors, state: expectObject(state, place) };
  } catch (thrown) {
    throw new RlcfError("checkpoint", `cannot read ${messageOf(thrown)}`, { cause: thrown });
  }
}
