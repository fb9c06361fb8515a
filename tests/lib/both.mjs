// One scene for both libraries: first tfpersist, then TF.js's own tf.io as the control, which must fail as described, or the test
// shows nothing.

/** Runs `scene({ lib, argument })` in an empty origin for each; the control comes last, for what it leaves behind. */
export async function both(page, scene, argument) {
  const out = {};
  for (const lib of ['tfpersist', 'tf.io']) {
    await page.evaluate(() => T.clear());
    out[lib] = await page.evaluate(scene, { lib, argument });
  }
  return { ours: out.tfpersist, theirs: out['tf.io'] };
}
