// Lays a graph out beside the page, so that nothing waits for it: ForceAtlas2, told step by step.

import { DirectedGraph, forceAtlas2 } from "../../../vendor/layout.js";

const STEP = 120; // milliseconds between two pictures

/** Takes {ids, positions: Float32Array [2n], edges: Uint32Array [2m], weights: Float32Array [m], rounds}. */
onmessage = ({ data: { ids, positions, edges, weights, rounds } }) => {
  const graph = new DirectedGraph();
  ids.forEach((id, at) => graph.addNode(id, { x: positions[2 * at], y: positions[2 * at + 1] }));
  for (let at = 0; at < weights.length; at += 1) {
    const [source, target] = [ids[edges[2 * at]], ids[edges[2 * at + 1]]];
    if (source !== target && !graph.hasEdge(source, target)) graph.addEdge(source, target, { weight: weights[at] });
  }
  const settings = {
    ...forceAtlas2.inferSettings(graph),
    barnesHutOptimize: ids.length > 400,
    // Gravity that grows with the distance keeps memories without relations near the others.
    strongGravityMode: true,
    gravity: 0.12,
    scalingRatio: 30,
    edgeWeightInfluence: 0.3,
    slowDown: 4,
  };
  let done = 0;
  let chunk = 4;
  while (done < rounds) {
    const started = performance.now();
    const iterations = Math.min(chunk, rounds - done);
    const placed = forceAtlas2(graph, { iterations, settings, getEdgeWeight: "weight" });
    done += chunk;
    ids.forEach((id, at) => {
      const { x, y } = placed[id];
      graph.mergeNodeAttributes(id, { x, y });
      positions[2 * at] = x;
      positions[2 * at + 1] = y;
    });
    postMessage({ positions, done: Math.min(done, rounds), rounds });
    chunk = Math.max(1, Math.min(60, Math.round((chunk * STEP) / Math.max(4, performance.now() - started))));
  }
};
