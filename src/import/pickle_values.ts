/**
 * What a pickle is made of, and what it may name.
 *
 * @module
 */

/** A value of a pickle. A dict is a Map, a tuple and a list are both arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly PickleValue[]
  | ReadonlyMap<string | number, PickleValue>
  | PickleObject
  | PickleGlobal;

/** What a called global made: whoever supplied the global knows it by its class. */
export abstract class PickleObject {
  /** Takes the state of Python's BUILD; by default none is wanted. */
  build(_state: PickleValue): string | undefined {
    return "an object takes no state";
  }
}

/** A name of Python that a pickle may use. */
export class PickleGlobal {
  /** `module.name`. */
  readonly name: string;
  /** Its value when it is called; undefined for a name that only stands for itself. */
  readonly call: ((args: readonly PickleValue[]) => PickleValue) | undefined;

  /** Makes a name known; `call` is what calling it does. */
  constructor(name: string, call?: (args: readonly PickleValue[]) => PickleValue) {
    this.name = name;
    this.call = call;
  }
}

/** What a pickle may name, and how it refers to data beside it. */
export interface PickleWorld {
  /** By `module.name`. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** The value of a persistent id. */
  persistent(id: PickleValue): PickleValue;
}
