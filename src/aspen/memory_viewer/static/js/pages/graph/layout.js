// Asks the worker for places, and sets them as they come.

const FULL = 320; // rounds for a small graph; large ones get fewer, for each costs more

/** Lay out what is drawn; `onStep(share)` as it goes, 1 at the end. Returns what stops it. */
export function layOut(drawing, { rounds, onStep = () => {} } = {}) {
  const { graph } = drawing;
  const ids = graph.nodes();
  const number = new Map(ids.map((id, at) => [id, at]));
  const positions = new Float32Array(ids.length * 2);
  graph.forEachNode((id, { x, y }) => positions.set([x, y], 2 * number.get(id)));
  const edges = new Uint32Array(graph.size * 2);
  const weights = new Float32Array(graph.size);
  let at = 0;
  graph.forEachEdge((key, { weight }, source, target) => {
    edges.set([number.get(source), number.get(target)], 2 * at);
    weights[at] = Math.max(0.05, weight);
    at += 1;
  });
  const worker = new Worker("/static/js/pages/graph/layout_worker.js", { type: "module" });
  const total = rounds ?? Math.max(60, Math.min(FULL, Math.round(240000 / Math.max(1, ids.length))));
  worker.onmessage = ({ data }) => {
    const places = data.positions;
    graph.updateEachNodeAttributes(
      (id, attributes) => {
        const own = number.get(id);
        if (own !== undefined) Object.assign(attributes, { x: places[2 * own], y: places[2 * own + 1] });
        return attributes;
      },
      { attributes: ["x", "y"] },
    );
    onStep(data.done / data.rounds);
    if (data.done >= data.rounds) worker.terminate();
  };
  worker.postMessage({ ids, positions, edges, weights, rounds: total });
  return () => worker.terminate();
}
