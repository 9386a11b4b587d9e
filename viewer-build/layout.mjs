// The worker that lays a graph out loads this.
export { DirectedGraph } from "graphology";
export { default as forceAtlas2 } from "graphology-layout-forceatlas2";
