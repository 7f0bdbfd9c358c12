/**
 * Where things lie in the memory that JavaScript and the WebAssembly module share, and the numbers of the phases of a
 * step. Compiled twice, as TypeScript and as AssemblyScript, so that the two sides cannot disagree: only plain
 * constants here.
 *
 * The plan is a table of 32-bit words at {@link PLAN}, then one row of words for each layer at {@link LAYERS}. All
 * addresses are in bytes.
 *
 * Matrices come in two layouts. *Rows*: row-major, each row at a stride of an odd number of cache lines. *Panels*:
 * columns cut into panels of 8, `[columns / 8][rows][8]`, so that a kernel reads 8 columns of one row after another.
 * Both are padded with zeros to multiples of 8.
 *
 * @module
 */

/** Width of a panel, and what the sizes of layers are padded to. */
export const PANEL = 8;

/** Bytes of one row of a panel. */
export const PANEL_ROW = 32;

/** Address of the command that starts a phase: sequence number, thread count and phase in one word. */
export const COMMAND = 64;

/** Address of the number of threads that have finished the phase; on a cache line of its own. */
export const ARRIVALS = 128;

/** Address of the plan. */
export const PLAN = 256;

/** Number of layers. */
export const PLAN_LAYERS = 0;

/** Number of rows of the current batch. */
export const PLAN_ROWS = 4;

/** Length of the parameters in floats, padding included. */
export const PLAN_PARAMETERS = 8;

/** Address of the parameters. */
export const PLAN_VALUES = 12;

/** Address of the gradients, laid out as the parameters. */
export const PLAN_GRADIENTS = 16;

/** Address of AdamW's first moments. */
export const PLAN_FIRST_MOMENTS = 20;

/** Address of AdamW's second moments. */
export const PLAN_SECOND_MOMENTS = 24;

/** Address of the sums of squares of the gradients, one float64 for each {@link SQUARES_CHUNK} of them. */
export const PLAN_SQUARES = 28;

/** Address of the outputs [B, E], without padding. */
export const PLAN_OUTPUTS = 32;

/** Number of outputs E, without padding. */
export const PLAN_OUTPUT_COUNT = 36;

/** Factor on the inputs. */
export const PLAN_INPUT_SCALE = 40;

/** Factor on the gradients that clips them. */
export const PLAN_CLIP_FACTOR = 44;

/** Factor on the parameters: 1 - learning rate * weight decay. */
export const PLAN_DECAY = 48;

/** Learning rate, corrected for the first moments' start at 0. */
export const PLAN_STEP_SIZE = 52;

/** Factor on sqrt(second moment) that corrects for its start at 0. */
export const PLAN_CORRECTION = 56;

/** AdamW's beta1. */
export const PLAN_BETA1 = 60;

/** 1 - beta1, rounded once. */
export const PLAN_ONE_LESS_BETA1 = 64;

/** AdamW's beta2. */
export const PLAN_BETA2 = 68;

/** 1 - beta2, rounded once. */
export const PLAN_ONE_LESS_BETA2 = 72;

/** AdamW's epsilon. */
export const PLAN_EPSILON = 76;

/** Address of the loss's gradient at the outputs [B, E], without padding. */
export const PLAN_OUTPUT_GRADIENTS = 80;

/** Address of the threads' room for packed rows. */
export const PLAN_PACKED = 84;

/** Address of the first layer's row. */
export const LAYERS = 512;

/** Bytes from one layer's row to the next. */
export const LAYER_BYTES = 64;

/** Number of inputs, padded. */
export const LAYER_INPUTS = 0;

/** Number of outputs, padded. */
export const LAYER_OUTPUTS = 4;

/** Byte offset of the weights, panels over the outputs [outputs / 8][inputs][8], in each of the parameter arrays. */
export const LAYER_WEIGHTS = 8;

/** Byte offset of the biases [outputs] in each of the parameter arrays. */
export const LAYER_BIASES = 12;

/** Address of the weights transposed, panels over the inputs [inputs / 8][outputs][8]; the first layer has none. */
export const LAYER_TRANSPOSED = 16;

/** Address of the layer's input activations, rows. */
export const LAYER_INPUT = 20;

/** Bytes from one row of the input activations to the next. */
export const LAYER_INPUT_STRIDE = 24;

/** Address of the layer's output activations, rows. */
export const LAYER_OUTPUT = 28;

/** Bytes from one row of the output activations to the next. */
export const LAYER_OUTPUT_STRIDE = 32;

/** Address of the loss's gradient at the layer's outputs, panels [outputs / 8][B][8]. */
export const LAYER_ERRORS = 36;

/** Address from which memory is free for the arrays. */
export const DATA = 1024;

/** Threads at most. */
export const MAX_THREADS = 8;

/** Bytes of each thread's room for packed rows: 48 rows of 256 numbers. */
export const PACKED_BYTES = 49152;

/** Gradients in one partial sum of squares: fixed, so that the norm is the same for any number of threads. */
export const SQUARES_CHUNK = 4096;

/** Phase: worker threads return from `serve`. */
export const PHASE_QUIT = 0;

/** Phase: activations of all layers from the inputs. */
export const PHASE_FORWARD = 1;

/** Phase: gradients at the outputs of all layers from those at the network's outputs. */
export const PHASE_BACKWARD = 2;

/** Phase: gradients of weights and biases. */
export const PHASE_GRADIENTS = 3;

/** Phase: sums of squares of the gradients. */
export const PHASE_SQUARES = 4;

/** Phase: AdamW. */
export const PHASE_UPDATE = 5;
