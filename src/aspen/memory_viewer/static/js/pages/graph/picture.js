// Sigma where the processor has to stand in for a graphics card: what lies where is drawn only as a mouse asks for it,
// and a picture that moves too slowly is drawn coarser until it rests. With a graphics card it stays as sharp as it is.

import { Sigma } from "../../../vendor/graph.js";

const SLOW = 32; // milliseconds between two frames of a movement: with more it is drawn coarser, from then on
const NEWEST = 0.2; // what the last frame counts in their mean
const COARSE = 0.5; // of the pixels across
const REST = 180; // milliseconds without a movement, then it is drawn sharp again

export class Picture extends Sigma {
  /** Tell that what is drawn next is part of a movement. */
  stir() {
    const now = performance.now();
    const since = now - this.stirred;
    if (since < REST) this.between = (1 - NEWEST) * (this.between ?? 0) + NEWEST * since;
    this.stirred = now;
    if (this.between > SLOW) this.coarse = true;
    clearTimeout(this.resting);
    if (this.coarse) this.resting = setTimeout(() => this.rest(), REST);
  }

  /** Draw sharp what is no longer moved. */
  rest() {
    this.resting = null;
    this.scheduleRender();
  }

  get moved() {
    const { isMoving, currentWheelDirection } = this.getMouseCaptor();
    const wheeled = Boolean(currentWheelDirection);
    return isMoving || wheeled || this.getTouchCaptor().isMoving || this.getCamera().isAnimated();
  }

  get detail() {
    return this.coarse && this.resting ? COARSE : 1;
  }

  render() {
    if (this.moved) this.stir();
    return super.render();
  }

  resize(force) {
    super.resize(force);
    const [width, height] = [this.width, this.height].map((size) => Math.round(size * this.pixelRatio * this.detail));
    for (const { canvas } of [this.webGLContexts.nodes, this.webGLContexts.edges]) {
      if (canvas.width !== width) canvas.width = width;
      if (canvas.height !== height) canvas.height = height;
    }
    return this;
  }

  getRenderParams() {
    const params = super.getRenderParams();
    return { ...params, pixelRatio: params.pixelRatio * this.detail };
  }

  getNodeAtPosition(position) {
    if (this.getMouseCaptor().isMoving) return this.hoveredNode;
    this.nodePrograms.memory.pick();
    const sharp = this.pixelRatio;
    this.pixelRatio = sharp * (this.webGLContexts.nodes.canvas.width / Math.round(this.width * sharp));
    const found = super.getNodeAtPosition(position);
    this.pixelRatio = sharp;
    return found;
  }

  kill() {
    clearTimeout(this.resting);
    super.kill();
  }
}
