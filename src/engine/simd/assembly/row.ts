/**
 * One row times all panels of B. A tile with one row has two sums under way, each waiting for its last addition; here
 * four panels go side by side, so that there are eight. The order of each sum is that of the tiles.
 */
import { PANEL, PANEL_ROW } from "../plan";
import { madd } from "./tiles";

/**
 * C = A B for one row of A.
 *
 * @param a the row; 8 elements lie side by side, the next 8 at aGroup bytes
 * @param b panels [panels][depth][8]
 * @param depth length of the row, a multiple of 8
 * @param c the first 8 elements of C, the next 8 at cPanel bytes
 */
export function multiplyRow(
  a: usize, aGroup: usize, b: usize, depth: i32, panels: i32, c: usize, cPanel: usize,
): void {
  const panelBytes = <usize>depth * PANEL_ROW;
  for (let panel = 0; panel < panels; panel += 4) {
    // Where fewer than four are left, the last one is done more than once: the same numbers to the same place.
    const left = panels - panel - 1;
    fourPanels(a, aGroup, b, panelBytes, min(1, left), min(2, left), min(3, left), depth / PANEL, c, cPanel);
    b += 4 * panelBytes, c += 4 * cPanel;
  }
}

/** Panels 0, i, j and k of B. */
function fourPanels(
  a: usize, aGroup: usize, b: usize, panelBytes: usize, i: usize, j: usize, k: usize, groups: i32, c: usize,
  cPanel: usize,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  let b1 = b + i * panelBytes, b2 = b + j * panelBytes, b3 = b + k * panelBytes;
  for (; groups > 0; groups--) {
    for (let offset: usize = 0; offset < <usize>PANEL_ROW; offset += 4) {
      const t = v128.load32_splat(a + offset);
      c00 = madd(t, v128.load(b), c00), c01 = madd(t, v128.load(b, 16), c01);
      c10 = madd(t, v128.load(b1), c10), c11 = madd(t, v128.load(b1, 16), c11);
      c20 = madd(t, v128.load(b2), c20), c21 = madd(t, v128.load(b2, 16), c21);
      c30 = madd(t, v128.load(b3), c30), c31 = madd(t, v128.load(b3, 16), c31);
      b += PANEL_ROW, b1 += PANEL_ROW, b2 += PANEL_ROW, b3 += PANEL_ROW;
    }
    a += aGroup;
  }
  v128.store(c, c00), v128.store(c, c01, 16);
  v128.store(c + i * cPanel, c10), v128.store(c + i * cPanel, c11, 16);
  v128.store(c + j * cPanel, c20), v128.store(c + j * cPanel, c21, 16);
  v128.store(c + k * cPanel, c30), v128.store(c + k * cPanel, c31, 16);
}
