// A graph as the API tells it, and what is added to it later.

import { relationKey } from "../../parts/relations.js";

/** Both graphs as one, {nodes, edges}, each node and edge once. */
export function joined(one, other) {
  const nodes = new Map([...other.nodes, ...one.nodes].map((node) => [node.id, node]));
  const edges = new Map([...other.edges, ...one.edges].map((edge) => [relationKey(edge), edge]));
  return { ...one, nodes: [...nodes.values()], edges: [...edges.values()] };
}
