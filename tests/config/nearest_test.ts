import { equal } from "node:assert/strict";
import { nearest } from "../../src/config/nearest.ts";

const known = ["learning_rate", "batch_size", "seed", "epochs"];

Deno.test("the nearest known name is found for a letter too many, too few or wrong", () => {
  equal(nearest("learning_ratee", known), "learning_rate");
  equal(nearest("lerning_rate", known), "learning_rate");
  equal(nearest("batch_sise", known), "batch_size");
  equal(nearest("Learning-Rate", known), "learning_rate");
  equal(nearest("epoch", known), "epochs");
});

Deno.test("a name that is near to none gets no guess", () => {
  equal(nearest("temperature", known), undefined);
  equal(nearest("", known), undefined);
  equal(nearest("learning_rate".repeat(1000), known), undefined);
});
